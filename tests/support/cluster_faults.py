"""Faults of a cluster, how long it takes to go on, and what must be true afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from scripts.stack.keep import members
from tests.support import daily
from tests.support.clusters import ClusterHouse
from tests.support.stacks import Run

RESUMES_WITHIN_S = 120.0
"""The heartbeat time-out of a task (60 s), and 60 s more."""
SERVICES = ("postgres", "redis", "s3")
COUNTED = {"raw": 60, "labels": 60, "features": 60, "predictions": 60, "clean": 60}
"""Rows of a day by table: `daily.land` lands 60, and none of them breaks the suite."""


def pid_of(house: ClusterHouse, name: str) -> int:
    """Return the main process of a part."""
    place = house.stack.services if name in SERVICES else house.stack.wheel
    return int(json.loads((place.run / f"{name}.json").read_text())["pid"])


def processes_of(house: ClusterHouse, name: str) -> list[int]:
    """Return all processes of a part, the main one first."""
    pid = pid_of(house, name)
    children = {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return [pid, *sorted(children | set(members(pid)))]


def lose(house: ClusterHouse, name: str) -> float:
    """Kill all processes of a part at once, -9, as when its machine is lost; return when."""
    found = processes_of(house, name)
    at = time.time()
    _signal(found, signal.SIGKILL)
    return at


@contextmanager
def frozen(house: ClusterHouse, *names: str) -> Iterator[None]:
    """Stop all processes of these parts, and let them go on after the block."""
    found = [pid for name in names for pid in processes_of(house, name)]
    _signal(found, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(found, signal.SIGCONT)


def _signal(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


@dataclass(frozen=True)
class Caught:
    """A task that was running on a worker at a moment."""

    run: Run
    task: str
    worker: str


def caught(house: ClusterHouse, run: Run, task: str, state: str = "running") -> Caught | None:
    """Wait until a worker has the task and it is in that state; None when it was too quick."""
    logs = {name: house.stack.wheel.log(name) for name in ("worker-1", "worker-2")}
    mark = f"dag_id={daily.NAME}__{run.phase}/run_id={run.run_id}/task_id={task}/"
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for name, log in logs.items():
            if mark in log.read_text(errors="replace"):
                while state == "running" and (now := run.tasks.get(task)) != "running":
                    if now in ("success", "failed", "skipped"):
                        return None
                return Caught(run, task, name)
        time.sleep(0.02)
    raise AssertionError(f"After 120 s no worker has {task} of {run}")


def began_again(house: ClusterHouse, found: Caught, after: float, within_s: float) -> float:
    """Wait for a start of the task after that moment; return the seconds from then to it."""

    def start() -> float | None:
        path = f"/dags/{daily.NAME}__{found.run.phase}/dagRuns/{found.run.run_id}/taskInstances"
        for task in house.get(path)["task_instances"]:
            if task["task_id"] == found.task and task["start_date"]:
                at = datetime.fromisoformat(task["start_date"]).timestamp()
                if at > after and task["state"] in ("running", "success"):
                    return at - after
        return None

    return float(house.until(start, f"{found.task} of {found.run} began again", within_s))


def run_of(house: ClusterHouse, phase: str, day: str) -> Run:
    """Wait for the first run of a key."""

    def first() -> Run | None:
        runs = house.runs(phase, day)
        return runs[-1] if runs else None

    found: Run = house.until(first, f"a run of {phase} {day}", 180)
    return found


def monitored(house: ClusterHouse, day: str, within_s: float) -> float:
    """Wait until a day has gone through the whole wheel; return the seconds."""
    started = time.monotonic()
    house.until(lambda: _version(house, "monitoring", day), f"{day} is monitored", within_s)
    return time.monotonic() - started


def _version(house: ClusterHouse, stage: str, day: str) -> int | None:
    return house.version(stage, day) if house.table(stage).exists() else None


def computed_without_faults(
    house: ClusterHouse, days: list[str], folder: Path
) -> dict[str, dict[str, int]]:
    """Compute days from the landed files in this process; return their versions by table.

    They are digests of the rows, so equal ones are equal content.
    """
    from include.batch_predict.predict import predict_partition
    from include.feature.build import build_partition
    from include.ingest_label.ingest import ingest_labels, ingest_reference, ingest_rows
    from include.ingest_label.landing import Landing
    from include.lake.table import Lake, Writer
    from include.use_cases.loader import load
    from include.validate_clean.validate import validate_and_clean

    os.environ["FLYWHEEL_USE_CASES"] = str(house.use_cases)
    use_case = load(house.use_cases / daily.NAME)
    lake, landing = Lake(str(folder)), Landing(str(house.landing))
    scored_by = {day: _scored_by(house, day) for day in days}
    for day in days:
        writer = Writer("without_faults", 1, int(time.time() * 1000), "test")
        for name in use_case.ingest.references:
            ingest_reference(use_case, name, day, landing, lake, writer)
        ingest_rows(use_case, day, landing, lake, writer)
        ingest_labels(use_case, day, landing, lake, writer)
        validate_and_clean(use_case, day, lake, writer)
        build_partition(use_case, day, lake, writer)
        predict_partition(use_case, day, scored_by[day], lake, house.registry, writer)
    tables = {stage: lake.table(daily.NAME, stage) for stage in COUNTED}
    return {stage: table.partition_versions(days) for stage, table in tables.items()}


def _scored_by(house: ClusterHouse, day: str) -> str:
    """Return the model version that has scored a day; it must be one."""
    (version,) = house.table("predictions").read([day])["model_version"].unique().to_pylist()
    return str(version)


def check_days(house: ClusterHouse, days: list[str], folder: Path) -> None:
    """Nothing is lost, doubled or half published: each day as if nothing had happened."""
    expected = computed_without_faults(house, days, folder)
    for stage, rows in COUNTED.items():
        table = house.table(stage)
        assert table.partition_versions(days) == expected[stage], stage
        history = table.history()
        for day in days:
            found = table.read([day])
            assert found.num_rows == rows, f"{stage} {day}"
            assert len(found["part"].unique()) == rows, f"{stage} {day}: a key is there twice"
            published = [c for c in history if c["partition"] == day and c["changed"]]
            assert len(published) == 1, f"{stage} {day} was published {len(published)} times"


def no_run_failed(house: ClusterHouse, since: str) -> list[dict[str, Any]]:
    """Return the failed runs that began at or after a moment (ISO)."""
    found = house.get("/dags/~/dagRuns", state=["failed"], run_after_gte=since, limit=100)
    return list(found["dag_runs"])


def until_healthy(house: ClusterHouse, within_s: float) -> float:
    """Wait until every part of the cluster is healthy; return the seconds."""
    started = time.monotonic()
    statuses: list[Callable[[], Any]] = [house.stack.services_status, house.stack.wheel_status]
    house.until(lambda: all(s().healthy for s in statuses), "every part is healthy", within_s)
    return time.monotonic() - started
