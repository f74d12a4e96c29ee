"""The few commands of a Docker engine that building an image takes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from include.errors import ConfigError, ServiceUnavailable

CERTIFICATES = "SSL_CERT_FILE"
"""Names a file of certificates that the build trusts too, such as a company's own."""


def docker() -> str:
    """Return the path of a `docker` that can build with secrets.

    Docker 23 and later need the plugin buildx for that; before, it is part of the program.

    Raises
    ------
    ConfigError
        There is none.
    """
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which("docker", path=folder)
        if found and _has_buildkit(found):
            return found
    raise ConfigError(
        "No `docker` that can build with secrets was found. Install Docker 20.10 or later, from "
        "23 on with its plugin buildx (Debian: apt-get install docker.io)."
    )


def _has_buildkit(path: str) -> bool:
    answer = _asked(path, "version", "--format", "{{.Client.Version}}").stdout
    major = answer.partition(".")[0]
    return (major.isdecimal() and int(major) < 23) or _asked(path, "buildx", "version").ok


class Done:
    """What a command of Docker answered."""

    def __init__(self, finished: subprocess.CompletedProcess[str]) -> None:
        self.ok = finished.returncode == 0
        self.stdout = finished.stdout.strip()
        self.stderr = finished.stderr.strip()


def _asked(path: str, *arguments: str) -> Done:
    return Done(subprocess.run([path, *arguments], capture_output=True, text=True, check=False))


def run(*arguments: str) -> str:
    """Run a command of Docker; return what it printed.

    Raises
    ------
    ServiceUnavailable
        It failed; with its own words.
    """
    done = _asked(docker(), *arguments)
    if not done.ok:
        raise ServiceUnavailable(
            f"`docker {' '.join(arguments[:2])}` failed: {done.stderr[-800:]} "
            "Check that the Docker engine runs (`docker info`)."
        )
    return done.stdout


def present(image: str) -> bool:
    """Whether the engine has this image."""
    return _asked(docker(), "image", "inspect", image).ok


def available(image: str) -> bool:
    """Whether the engine has this image, or can pull it."""
    return present(image) or _asked(docker(), "pull", "--quiet", image).ok


def build(image: str, file: Path, context: Path, arguments: Mapping[str, str]) -> None:
    """Build an image; the network of this machine is used, and the certificates it trusts.

    Parameters
    ----------
    image
        Name and tag.
    file
        The Dockerfile.
    context
        The folder whose files it may copy.
    arguments
        Its build arguments.

    Raises
    ------
    ServiceUnavailable
        It could not be built; the output above says why.
    """
    command = [docker(), "build", "--network", "host", "--tag", image, "--file", str(file)]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if certificates := os.environ.get(CERTIFICATES):
        # A secret is a file of the build alone: no layer keeps it.
        command += ["--secret", f"id=certificates,src={certificates}"]
    env = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    if subprocess.run([*command, str(context)], env=env, check=False).returncode != 0:
        raise ServiceUnavailable(f"{image} was not built; the lines above say why.")
