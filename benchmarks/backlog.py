"""Many partitions landed at once: how many a minute go through, and what a backlog costs in tasks.

On a small synthetic use case with partitions of a day, so that the wheel is measured and not the
rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure
from tests.support import daily
from tests.support.stacks import House, daily_house

AT_ONCE = 60
BACKLOG = 400
PHASES = (
    "ingest_label",
    "validate_clean",
    "feature",
    "batch_predict",
    "drift_monitor",
    "retrain_trigger",
    "train_tune",
    "deploy",
)
TASKS_A_PARTITION = 8.0
"""validate, feature, predict, report, monitor, decide and request, and one decision on labels."""


def measure(folder: Path, say: Callable[[str], None], count: int = AT_ONCE) -> list[Figure]:
    """Land days with a champion, and count how many are monitored a minute."""
    with daily_house(folder) as house:
        for day in daily.days("2024-01-01", 3):
            daily.land(house.landing, day)
        house.until(house.served, "a first champion serves", 300)
        house.at_rest()
        days = daily.days("2024-02-01", count)
        for day in days:
            daily.land(house.landing, day)
        seconds = _until_monitored(house, days, say)
    rate = 60 * count / seconds
    against = f"{rate:.0f} partitions a minute, landed file to drift report"
    return [Figure(f"seconds_a_partition_of_{count}", seconds / count, "s", against, 6.0)]


def measure_backlog(folder: Path, say: Callable[[str], None], count: int = BACKLOG) -> list[Figure]:
    """Land days without a champion, and count runs and tasks until a champion serves."""
    with daily_house(folder) as house:
        for day in daily.days("2023-01-01", count):
            daily.land(house.landing, day)
        started = time.monotonic()
        house.until(house.served, "a first champion serves", 3600)
        house.at_rest(within_s=3600)
        seconds = time.monotonic() - started
        trainings = [run.facts["partition_key"] for run in house.runs("train_tune")]
        runs = sum(_total(house, f"/dags/daily__{phase}/dagRuns") for phase in PHASES)
        tasks = sum(
            _total(house, f"/dags/daily__{phase}/dagRuns/~/taskInstances") for phase in PHASES
        )
    against = f"{runs} runs, {tasks} tasks, {len(trainings)} training as of {trainings}"
    ratio, minutes = tasks / count, seconds / 60
    until = f"until a champion serves; {against}"
    return [
        Figure(f"tasks_a_partition_of_{count}", ratio, "tasks", against, TASKS_A_PARTITION),
        Figure(f"backlog_of_{count}", minutes, "min", until, 60),
    ]


def _until_monitored(house: House, days: list[str], say: Callable[[str], None]) -> float:
    started, said = time.monotonic(), 0
    while True:
        there = len(set(days) & set(house.table("monitoring").partitions()))
        if there == len(days):
            return time.monotonic() - started
        if there >= said + 10:
            said = there
            say(f"  {there} monitored after {time.monotonic() - started:.0f} s")
        if time.monotonic() - started > 1800:
            raise RuntimeError(f"after half an hour {there} of {len(days)} days are monitored")
        time.sleep(0.5)


def _total(house: House, path: str) -> int:
    return int(house.get(path, limit=1)["total_entries"])
