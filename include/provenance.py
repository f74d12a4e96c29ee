"""Which code and which locked packages made something."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from include.settings import REPO, Settings


def code_version() -> str:
    """Version of the code that runs.

    Returns
    -------
    str
        The variable `FLYWHEEL_CODE_VERSION` where it is set (an image has no git), else the
        commit's first 12 digits, with `+dirty` when files differ from it, else `unknown`.
    """
    return Settings.from_env().code_version or _commit(REPO)


@cache
def lock_hash() -> str:
    """First 16 hexadecimal digits of the sha256 of `requirements.txt`."""
    return hashlib.sha256((REPO / "requirements.txt").read_bytes()).hexdigest()[:16]


@cache
def _commit(repo: Path) -> str:
    head = _git(repo, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    return f"{head}+dirty" if _git(repo, "status", "--porcelain") else head


def _git(repo: Path, *arguments: str) -> str | None:
    """Answer of git, None where there is no git, no repository or no commit."""
    command = ["git", "-C", str(repo), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # 'unknown' is the documented answer: provenance must not stop a run.
    return done.stdout.strip()
