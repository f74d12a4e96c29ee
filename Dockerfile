# One image for Airflow, MLflow and serving: `docker-compose.yaml` starts a role of it in each container.
#
#   make image
#
# is this, where python:3.11-slim can be pulled (with Docker before 23: DOCKER_BUILDKIT=1 docker build ...):
#
#   docker build --build-arg CODE_VERSION=$(git rev-parse --short=12 HEAD) -t flywheel:local .
#
# Behind a proxy with certificates of its own: --secret id=certificates,src=FILE. No layer keeps the file.

ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt requirements.in ./
SHELL ["/bin/sh", "-euc"]
# As in the Makefile: uv stands in the lock itself; pip installs that block alone, hashes checked, and uv the rest.
RUN --mount=type=secret,id=certificates \
    if [ -f /run/secrets/certificates ]; then \
      export PIP_CERT=/run/secrets/certificates SSL_CERT_FILE=/run/secrets/certificates; \
    fi \
 && python3 -m venv /build/uv \
 && awk '/^[^ #]/ {inside = /^uv==/} inside && !/^ *#/' requirements.txt > uv.txt \
 && /build/uv/bin/pip install --no-cache-dir --no-deps --require-hashes -r uv.txt \
 && python3 -m venv --copies --without-pip /opt/flywheel/.venv \
 && /build/uv/bin/uv pip sync --no-cache --link-mode copy --require-hashes \
      --python /opt/flywheel/.venv/bin/python requirements.txt
# What only development needs goes: requirements.in names it below the line "# Development". `uv pip check` stops
# the build when something that stays needs one of them. So do the tests of the large packages (100 MB);
# not of all: to some, such as Evidently, `tests` is a part of what they do.
RUN awk '/^# Development/ {below = 1} below && /^[a-z]/ {sub(/[^a-z0-9-].*/, ""); print}' requirements.in > development.txt \
 && test -s development.txt \
 && /build/uv/bin/uv pip uninstall --python /opt/flywheel/.venv/bin/python -r development.txt \
 && /build/uv/bin/uv pip check --python /opt/flywheel/.venv/bin/python \
 && for each in matplotlib numpy pandas pyarrow scipy sklearn statsmodels; do \
      find /opt/flywheel/.venv/lib/python3*/site-packages/"$each" -type d -name tests -prune -exec rm -r {} +; \
    done \
 && /opt/flywheel/.venv/bin/python -m compileall -q -j 0 -x '/plotly/(validators|graph_objs)/' \
      /opt/flywheel/.venv/lib
# LightGBM needs the system's OpenMP (libgomp1), which a slim image lacks: scikit-learn brings the same library along.
RUN ln -s /opt/flywheel/.venv/lib/python3*/site-packages/scikit_learn.libs/libgomp-*.so.* /opt/flywheel/.venv/lib/libgomp.so.1

FROM ${PYTHON_IMAGE}
# 10001: no user of a host's own. The group is root's, as platforms that choose the user themselves expect.
RUN useradd --uid 10001 --gid 0 --home-dir /home/flywheel --no-log-init flywheel \
 && install -d -o 10001 -g 0 -m 0770 /home/flywheel /home/flywheel/serving
COPY --from=packages /opt/flywheel/.venv /opt/flywheel/.venv
WORKDIR /opt/flywheel
# requirements.txt: each result notes by which lock it was computed.
COPY requirements.txt ./
COPY include ./include
COPY plugins ./plugins
COPY dags ./dags
COPY scripts ./scripts
# Compiled once: nothing can be written here later.
RUN /opt/flywheel/.venv/bin/python -m compileall -q include plugins dags scripts
# The image has no git: the revision of the code is baked in, and each result notes it.
ARG CODE_VERSION
RUN test -n "${CODE_VERSION}" || { echo "Give --build-arg CODE_VERSION=\$(git rev-parse --short=12 HEAD)" >&2; exit 1; }
ENV FLYWHEEL_CODE_VERSION=${CODE_VERSION} \
    FLYWHEEL_HOME=/home/flywheel \
    LD_LIBRARY_PATH=/opt/flywheel/.venv/lib \
    PATH=/opt/flywheel/.venv/bin:$PATH \
    PYTHONPATH=/opt/flywheel \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
ENTRYPOINT ["python", "-m", "scripts.cluster.part"]
