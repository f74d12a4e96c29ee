"""Install the browser of the tests from Debian: `python -m scripts.browser`.

The library that drives it, Playwright, is in requirements.txt. Its own browsers are downloads that
no lock covers.
"""

from __future__ import annotations

import shutil
import sys

from include.errors import ConfigError
from scripts import debian

CHROMIUM = "chromium"
"""The program, and Debian's package of it."""


def install() -> str:
    """Return the path of the browser; install it, as root, where it is missing.

    Raises
    ------
    ConfigError
        It is missing, and we may not install it, or apt-get failed.
    """
    if shutil.which(CHROMIUM) is None:
        debian.install([CHROMIUM], "A test in a browser")
    found = shutil.which(CHROMIUM)
    if found is None:
        raise ConfigError("chromium was installed and is not on PATH. Add its folder to PATH.")
    return found


if __name__ == "__main__":
    try:
        print(f"The browser is {install()}.")
    except ConfigError as error:
        sys.exit(str(error))
