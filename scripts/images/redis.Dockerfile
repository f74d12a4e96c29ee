# Stands in for the image `redis`: Debian's package.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
# No versions are pinned: Debian keeps only the newest of a release, with its security fixes.
# hadolint ignore=DL3008
RUN groupadd --gid 999 redis && useradd --uid 999 --gid 999 --home-dir /data redis \
 && apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o redis -g redis -m 0700 /data
USER 999:999
CMD ["redis-server"]
