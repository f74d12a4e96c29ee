"""Install packages of Debian, for what does not come from PyPI."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from include.errors import ConfigError


def install(packages: Sequence[str], whom: str) -> None:
    """Install packages, as root.

    Parameters
    ----------
    packages : sequence of str
        Debian's names.
    whom : str
        What needs them, for messages: `The cluster`.

    Raises
    ------
    ConfigError
        We may not install, there is no apt-get, or it failed.
    """
    needs = f"{whom} needs {', '.join(packages)}"
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        raise ConfigError(
            f"{needs}, and only root may install packages. Run `sudo {' '.join(command)}`."
        )
    # RUNLEVEL=1: the packages' scripts start no service of their own on this machine's ports.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for step in (["apt-get", "update"], command):
        try:
            done = subprocess.run(step, env=env, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ConfigError(
                f"{needs}, and there is no apt-get here. Install them with this system's own "
                "package manager."
            ) from None
        if done.returncode != 0:
            raise ConfigError(f"`{' '.join(step)}` failed: {done.stderr.strip()[-500:]}")
