"""How long a landed partition takes to its drift report: under Airflow, and in one plain process.

Both begin when the files have landed, on equal copies of the lake, and end with the commit of the
partition's monitoring. The plain process is fresh and pays its imports; Airflow was up before.
Which of the two goes first changes from month to month: the second finds the month's MLflow run,
and the operating system's caches filled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, spread
from benchmarks.house import USE_CASE, House
from include.lake.table import Lake
from include.tracking_server.users import PIPELINE
from scripts.land_flights import land_rows
from scripts.stack.environment import mlflow_login
from scripts.stack.settings import REPO

LIMIT = 2.0
MONTHS = ["2013-04", "2013-05", "2013-06"]
WITHIN_S = 300


def measure(house: House) -> list[Figure]:
    """Send each month through both ways, and compare the medians."""
    wheel: list[float] = []
    plain: list[float] = []
    imports: list[float] = []
    for number, month in enumerate(MONTHS):
        copy = _copied(house, month)
        if number % 2:
            alone = _plain(house, copy, month)
            wheel.append(_wheel(house, month))
        else:
            wheel.append(_wheel(house, month))
            alone = _plain(house, copy, month)
        plain.append(alone[0])
        imports.append(alone[1])
        house.say(f"  {month}: wheel {wheel[-1]:.1f} s, plain process {plain[-1]:.1f} s")
    against = (
        f"a fresh plain process {spread(plain)}, of which imports {median(imports):.2f} s; "
        f"the wheel {spread(wheel)}"
    )
    ratio = median(wheel) / median(plain)
    return [Figure("partition_through_the_wheel", ratio, "ratio", against, LIMIT)]


def _copied(house: House, month: str) -> Path:
    copy = house.folder / f"copy-{month}"
    for part in ("lake", "models", "landing", "keys"):
        shutil.copytree(house.settings.home / part, copy / part)
    return copy


def _wheel(house: House, month: str) -> float:
    lake, watch = house.lake, house.watch()
    land_rows(house.landing, month)
    started = time.time()
    table = lake.table(USE_CASE, "monitoring")
    watch.until(lambda: month in table.partitions(), f"{month} monitored", WITHIN_S)
    seconds = _monitored_at(lake, month) - started
    watch.until_at_rest(
        lambda: month in lake.table(USE_CASE, "decisions").partitions(), f"{month} decided"
    )
    return seconds


def _plain(house: House, copy: Path, month: str) -> tuple[float, float]:
    """Give the seconds of the whole process until its last commit, and those of its imports."""
    land_rows(copy / "landing", month)
    # Its own home; MLflow is the stack's.
    login = mlflow_login(house.stack.settings, PIPELINE)
    environment = {**house.stack.environment(), **login, "FLYWHEEL_HOME": str(copy)}
    command = [sys.executable, "-m", "benchmarks.plain_partition", USE_CASE, month]
    started = time.time()
    done = subprocess.run(
        command, cwd=REPO, env=environment, check=True, capture_output=True, text=True
    )
    imported = float(done.stdout.splitlines()[0])
    return _monitored_at(Lake(str(copy / "lake")), month) - started, imported - started


def _monitored_at(lake: Lake, month: str) -> float:
    """When the monitoring of `month` was committed, in seconds since the epoch."""
    published = lake.table(USE_CASE, "monitoring").facts(month)
    if published["facts"]["verdict"] == "no_model":
        raise RuntimeError(f"{month} was monitored without a model: nothing was compared.")
    return datetime.fromisoformat(published["timestamp"]).timestamp()
