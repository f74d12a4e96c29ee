# Stands in for python:3.11-slim: Debian's Python 3.11, with venv.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
# No versions are pinned: Debian keeps only the newest of a release, with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
