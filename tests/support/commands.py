"""The commands that a document shows, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping

from include.settings import REPO


def commands_of(document: str) -> list[str]:
    """Return the commands in the bash blocks of a document."""
    return [
        command
        for block in re.findall(r"```bash\n(.*?)```", document, re.DOTALL)
        for command in re.findall(r"""^\S+ -c "[^"]*"$|^curl .*?'$|^[^\n]+$""", block, re.M | re.S)
    ]


def run(command: str, env: Mapping[str, str]) -> str:
    """Run a command; of `make` its recipe, without the installation before it."""
    if command.startswith("make "):
        dry = f"--dry-run --old-file={sys.prefix}/.installed VENV={sys.prefix}"
        command = in_shell(command.replace("make ", f"make --no-print-directory {dry} ", 1), env)
    elif command.startswith(".venv/bin/python"):
        command = command.replace(".venv/bin/python", sys.executable, 1)
    return in_shell(command, env)


def in_shell(command: str, env: Mapping[str, str]) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        ["bash", "-ec", command], cwd=REPO, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
