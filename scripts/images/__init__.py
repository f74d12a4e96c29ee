"""The images of `docker-compose.yaml`: Flywheel's own, and stand-ins for those of other people.

`make image` builds Flywheel's. Where an image that it or the compose file names cannot be pulled,
one that does the same is made here from Debian's packages.
"""
