"""Stand-ins for images that cannot be pulled, made from Debian's packages."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from include.errors import ConfigError, ServiceUnavailable
from scripts.images import docker
from scripts.stack.settings import REPO

FOLDER = Path(__file__).parent
RELEASE = "bookworm"
"""Debian's release: the one whose Python is 3.11."""
DEBIAN = f"flywheel-debian:{RELEASE}"
PYTHON = "PYTHON_IMAGE"
"""The build argument that names the image with Python."""
RECIPES = {
    "FLYWHEEL_POSTGRES_IMAGE": "postgres",
    "FLYWHEEL_REDIS_IMAGE": "redis",
    "FLYWHEEL_NGINX_IMAGE": "nginx",
    "FLYWHEEL_S3_IMAGE": "s3",
}
"""The recipe of each image of docker-compose.yaml, by the variable that names it."""


def named() -> dict[str, str]:
    """Return the images that the Dockerfile and docker-compose.yaml name, by their variable."""
    dockerfile = (REPO / "Dockerfile").read_text()
    compose = (REPO / "docker-compose.yaml").read_text()
    found = {PYTHON: str(re.search(rf"ARG {PYTHON}=(\S+)", dockerfile)[1])}  # type: ignore[index]
    for variable in RECIPES:
        default = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", compose)
        found[variable] = str(default[1])  # type: ignore[index]
    return found


def images(say: Callable[[str], None] = print) -> dict[str, str]:
    """Return the image that is named for each variable, or a stand-in for it.

    A stand-in is used where the image cannot be pulled. Docker's cache spares what is unchanged.

    Raises
    ------
    ConfigError
        A stand-in is needed, and this system cannot make one.
    ServiceUnavailable
        A stand-in could not be made.
    """
    found = named()
    missing = [variable for variable, image in found.items() if not docker.available(image)]
    for variable in missing:
        say(f"{found[variable]} cannot be pulled: a stand-in is used, from Debian's packages.")
        found[variable] = _stand_in("python" if variable == PYTHON else RECIPES[variable], say)
    return found


def _stand_in(recipe: str, say: Callable[[str], None]) -> str:
    image = f"flywheel-{recipe}:{RELEASE}"
    if not docker.present(DEBIAN):
        _debian(say)
    arguments = {"DEBIAN_IMAGE": DEBIAN}
    if recipe == "s3":
        arguments[PYTHON] = _stand_in("python", say)
    docker.build(image, FOLDER / f"{recipe}.Dockerfile", FOLDER, arguments)
    return image


def _debian(say: Callable[[str], None]) -> None:
    """Import a minimal Debian as an image."""
    if os.geteuid() != 0:
        raise ConfigError(
            f"{DEBIAN} is made by debootstrap, which only root may run. Run `sudo make image` once."
        )
    say(f"Making {DEBIAN} with debootstrap (2 minutes)")
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        for command in (
            ["debootstrap", "--variant=minbase", RELEASE, str(root)],
            ["tar", "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb",
             "--exclude=./var/lib/apt/lists/*", "-C", str(root), "-cf", str(archive), "."],
        ):  # fmt: skip
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                raise ConfigError(
                    f"{command[0]} is not installed (Debian: apt-get install {command[0]})."
                ) from None
            if done.returncode != 0:
                words = (done.stderr or done.stdout).strip()[-500:]
                raise ServiceUnavailable(f"`{' '.join(command)}` failed: {words}")
        docker.run("import", str(archive), DEBIAN)
