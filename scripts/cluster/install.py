"""Install what a cluster of plain processes needs from Debian: `python -m scripts.cluster.install`.

What comes from PyPI is in requirements.txt.
"""

from __future__ import annotations

import sys

from include.errors import ConfigError
from scripts import debian
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
    if packages:
        debian.install(packages, "The cluster")
    return packages


if __name__ == "__main__":
    try:
        print(f"Installed: {', '.join(install()) or 'nothing; all is there'}.")
    except ConfigError as error:
        sys.exit(str(error))
