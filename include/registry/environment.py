"""What a model was made in, so that a difference between two answers can be explained."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

_CPU_INFO = Path("/proc/cpuinfo")
_CPU_FACTS = ("vendor_id", "cpu family", "model name")


def environment() -> dict[str, Any]:
    """Return the facts that a floating-point result depends on, JSON values.

    Returns
    -------
    dict
        `python`; `machine`, such as `x86_64`; `cpu`, its family as the kernel names it; and
        `thread_pools`: of each numerical library in the process its name, version, the kernels that
        it chose for this CPU, and its threads.
    """
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "thread_pools": sorted(
            (
                {
                    "library": pool["internal_api"],
                    "version": pool["version"],
                    "kernels": pool.get("architecture"),
                    "threads": pool["num_threads"],
                }
                for pool in threadpool_info()
            ),
            key=str,
        ),
    }


def _cpu() -> str:
    """Name the CPU; on systems without `/proc` what Python knows of it."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    pairs = [line.partition(":")[::2] for line in lines]
    # The first processor stands for all; what comes first in the file is its own.
    facts = {name.strip(): value.strip() for name, value in reversed(pairs)}
    return ", ".join(facts[name] for name in _CPU_FACTS if facts.get(name)) or platform.processor()
