"""Which code, locked packages, machine and numerical libraries made something."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

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


def environment() -> dict[str, str]:
    """Name what a result may depend on apart from its data and its definition.

    Returns
    -------
    dict of str to str
        `code_version`, `lock_hash`, `python` (such as `3.11.9`), `machine` (such as
        `Linux x86_64, GenuineIntel family 6 model 143`: libraries choose their instructions by it,
        and sums differ in the last bits) and `threads` (OMP_NUM_THREADS, or one).
    """
    return {
        "code_version": code_version(),
        "lock_hash": lock_hash(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {_cpu()}",
        "threads": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def numerical_libraries() -> list[dict[str, Any]]:
    """List the numerical libraries of this process: they decide the last bits of a result.

    Returns
    -------
    list of dict
        JSON values, sorted: `library` (such as `openblas`), `version`, `kernels` that it chose for
        this CPU, and `threads`.
    """
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    found = [
        {
            "library": pool["internal_api"],
            "version": pool["version"],
            "kernels": pool.get("architecture"),
            "threads": pool["num_threads"],
        }
        for pool in threadpool_info()
    ]
    return sorted(found, key=str)


@cache
def _cpu(about: Path = Path("/proc/cpuinfo")) -> str:
    """Vendor, family and model of the processor; what Python knows where Linux does not tell."""
    try:
        lines = about.read_text().splitlines()
    except OSError:
        return platform.processor() or "processor unknown"
    told = dict(reversed([line.split(":", 1) for line in lines if ":" in line]))
    known = {name.strip(): value.strip() for name, value in told.items()}
    names = ("vendor_id", "cpu family", "model")
    if not all(name in known for name in names):
        return platform.processor() or "processor unknown"
    vendor, family, model = (known[name] for name in names)
    return f"{vendor} family {family} model {model}"


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
