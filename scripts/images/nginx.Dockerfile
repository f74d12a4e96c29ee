# Stands in for the image `nginxinc/nginx-unprivileged`: Debian's package, and curl for the health check.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
# No versions are pinned: Debian keeps only the newest of a release, with its security fixes.
# hadolint ignore=DL3008
RUN groupadd --gid 101 nginx && useradd --uid 101 --gid 101 --no-create-home nginx \
 && apt-get update \
 && apt-get install -y --no-install-recommends nginx-light curl \
 && rm -rf /var/lib/apt/lists/*
USER 101:101
CMD ["nginx", "-g", "daemon off;"]
