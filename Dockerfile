# One image for Airflow, MLflow and serving: `docker-compose.yaml` starts a role of it in each container.
#
#   docker build --build-arg CODE_VERSION=$(git rev-parse --short=12 HEAD) -t flywheel:local .
#
# Where python:3.11-slim cannot be pulled, name another image that has Python 3.11: --build-arg PYTHON_IMAGE=...

ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt ./
SHELL ["/bin/sh", "-euc"]
# As in the Makefile: uv stands in the lock itself; pip installs that block alone, hashes checked, and uv the rest.
RUN python3 -m venv /build/uv \
 && awk '/^[^ #]/ {inside = /^uv==/} inside && !/^ *#/' requirements.txt > uv.txt \
 && /build/uv/bin/pip install --no-cache-dir --no-deps --require-hashes -r uv.txt \
 && python3 -m venv --copies /opt/flywheel/.venv \
 && /build/uv/bin/uv pip sync --no-cache --compile-bytecode --require-hashes \
      --python /opt/flywheel/.venv/bin/python requirements.txt \
 && rm -rf /opt/flywheel/.venv/bin/pip* /opt/flywheel/.venv/lib/python3*/site-packages/pip

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
    PATH=/opt/flywheel/.venv/bin:$PATH \
    PYTHONPATH=/opt/flywheel \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
ENTRYPOINT ["python", "-m", "scripts.cluster.part"]
