"""Install what a cluster of plain processes needs from Debian: `python -m scripts.cluster.install`.

What comes from PyPI is in requirements.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys

from include.errors import ConfigError
from scripts.cluster.services import tool

PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server", "nginx": "nginx-light"}
"""Debian's package of each program."""


def missing() -> list[str]:
    """Return the packages whose program is not there."""
    found = []
    for program, package in PACKAGES.items():
        try:
            tool(program)
        except ConfigError:
            found.append(package)
    return found


def install() -> list[str]:
    """Install what is missing, as root; return it.

    Raises
    ------
    ConfigError
        Something is missing, and we may not install it, or apt-get failed.
    """
    packages = missing()
    if not packages:
        return []
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        raise ConfigError(
            f"The cluster needs {', '.join(packages)}, and only root may install packages. Run "
            f"`sudo {' '.join(command)}`."
        )
    # RUNLEVEL=1: the packages' scripts start no service of their own on this machine's ports.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for step in (["apt-get", "update"], command):
        try:
            done = subprocess.run(step, env=env, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ConfigError(
                f"The cluster needs {', '.join(packages)}, and there is no apt-get here. Install "
                "them with this system's own package manager."
            ) from None
        if done.returncode != 0:
            raise ConfigError(f"`{' '.join(step)}` failed: {done.stderr.strip()[-500:]}")
    return packages


if __name__ == "__main__":
    try:
        print(f"Installed: {', '.join(install()) or 'nothing; all is there'}.")
    except ConfigError as error:
        sys.exit(str(error))
