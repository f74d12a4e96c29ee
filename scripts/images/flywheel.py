"""Flywheel's own image."""

from __future__ import annotations

from include.provenance import code_version
from scripts.images import docker
from scripts.stack.settings import REPO

IMAGE = "flywheel:local"
"""The name that docker-compose.yaml uses where FLYWHEEL_IMAGE is not set."""


def build(python: str, image: str = IMAGE) -> None:
    """Build it from this checkout, with the revision of its code.

    Parameters
    ----------
    python
        The image with Python 3.11 on which it stands.
    image
        Name and tag.

    Raises
    ------
    ServiceUnavailable
        It could not be built.
    """
    arguments = {"PYTHON_IMAGE": python, "CODE_VERSION": code_version()}
    docker.build(image, REPO / "Dockerfile", REPO, arguments)


def size_bytes(image: str = IMAGE) -> int:
    """Return the size of all its layers."""
    return int(docker.run("image", "inspect", "--format", "{{.Size}}", image))
