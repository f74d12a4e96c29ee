"""The machine that the figures are of: without it they say nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

BUSY_LOAD = 0.5
"""Load per processor, before anything is measured, above which times are not trusted."""


def describe() -> dict[str, object]:
    """Name processor, memory, system and versions, and how busy it is before the measurements."""
    cpus = os.cpu_count() or 1
    load = os.getloadavg()[0]
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpus": cpus,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "airflow": version("apache-airflow"),
        "mlflow": version("mlflow"),
        "load_before": round(load, 2),
        "busy": load / cpus > BUSY_LOAD,
    }


def told(machine: dict[str, object]) -> str:
    """Say it in two lines."""
    busy = ": busy with other work, so times are too long" if machine["busy"] else ""
    return (
        f"{machine['cpus']} x {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}\n"
        f"Python {machine['python']}, Airflow {machine['airflow']}, MLflow {machine['mlflow']}; "
        f"load before: {machine['load_before']}{busy}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
