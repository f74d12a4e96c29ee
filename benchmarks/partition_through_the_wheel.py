"""How long a landed partition takes to its drift report: under Airflow, and as warm functions.

Both begin when the files have landed, on equal copies of the lake, and end with the commit of the
partition's monitoring. The alternative is the strongest one: the same functions, one after the
other in one process that has paid its imports with an earlier partition. Airflow was up before.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, spread
from benchmarks.house import USE_CASE, House
from include.lake.table import Lake
from include.tracking_server.users import PIPELINE
from scripts.demo.airflow_api import AirflowApi
from scripts.land_flights import land_rows
from scripts.stack.environment import mlflow_login
from scripts.stack.settings import REPO

LIMIT_S = 7.0
LIMIT = 4.0
"""The wheel's 7 s over 1.8 s, the fastest measured for the warm functions (November 2026)."""
FIRST, MONTHS = "2013-04", ["2013-05", "2013-06", "2013-07"]
WITHIN_S = 300
STEPS = ("event to run", "run to task", "task start", "work", "end to event")
TASKS = {
    "ingest_label": "ingest_rows",
    "validate_clean": "validate_and_clean",
    "feature": "build_features",
    "batch_predict": "predict_partition",
    "drift_monitor": "monitor_partition",
}


def measure(house: House) -> list[Figure]:
    """Send months through the wheel, and the same months through the warm functions."""
    copy = _copied(house)
    _wheel(house, FIRST)  # Airflow's own first times: Dags are read, connections are opened
    wheel: list[float] = []
    settled: list[float] = []
    steps: dict[str, list[float]] = defaultdict(list)
    for month in MONTHS:
        landed, ended = _wheel(house, month)
        spans, began = _where_the_seconds_go(house.api, month, ended)
        wheel.append(ended - landed)
        settled.append(ended - began)
        for step, seconds in spans.items():
            steps[step].append(seconds)
        shown = ", ".join(f"{step} {seconds:.1f}" for step, seconds in spans.items())
        house.say(f"  {month}: {wheel[-1]:.1f} s from landing, {settled[-1]:.1f} settled; {shown}")
    plain = _plain(house, copy)
    where = ", ".join(f"{step} {median(steps[step]):.2f}" for step in STEPS)
    against = (
        f"the same functions warm in one process {spread(plain)}; the wheel {spread(settled)} from "
        f"settled landing, {spread(wheel)} from landing"
    )
    ratio = median(settled) / median(plain)
    return [
        Figure("partition_settled_to_report", median(settled), "s", f"of these: {where}", LIMIT_S),
        Figure("partition_through_the_wheel", ratio, "ratio", against, LIMIT),
    ]


def _copied(house: House) -> Path:
    copy = house.folder / "copy"
    for part in ("lake", "models", "landing", "keys"):
        shutil.copytree(house.settings.home / part, copy / part)
    return copy


def _wheel(house: House, month: str) -> tuple[float, float]:
    """Land a month and wait for its report; when it landed and when it was reported."""
    lake, watch = house.lake, house.watch()
    land_rows(house.landing, month)
    landed = time.time()
    table = lake.table(USE_CASE, "monitoring")
    watch.until(lambda: month in table.partitions(), f"{month} monitored", WITHIN_S)
    watch.until_at_rest(
        lambda: month in lake.table(USE_CASE, "decisions").partitions(), f"{month} decided"
    )
    return landed, _monitored_at(lake, month)


def _where_the_seconds_go(
    api: AirflowApi, month: str, ended: float
) -> tuple[dict[str, float], float]:
    """Add up, over the five phases, what passes between an event and the end of its work.

    Returns the seconds by step, and when the landing had settled.
    """
    seconds = dict.fromkeys(STEPS, 0.0)
    event = began = _landing_event(api)
    for phase, task_id in TASKS.items():
        run = _run_of(api, phase, None if phase == "ingest_label" else month)
        task = _task_of(api, run, task_id)
        seconds["event to run"] += _at(run["queued_at"]) - event
        seconds["run to task"] += _at(task["queued_when"]) - _at(run["queued_at"])
        seconds["task start"] += _at(task["start_date"]) - _at(task["queued_when"])
        if phase == "drift_monitor":
            seconds["work"] += ended - _at(task["start_date"])
            break
        seconds["work"] += _at(task["end_date"]) - _at(task["start_date"])
        event = _event_of(api, run["dag_id"], run["dag_run_id"], task_id, month)
        seconds["end to event"] += event - _at(task["end_date"])
    return seconds, began


def _landing_event(api: AirflowApi) -> float:
    found = api.get("/assets/events", order_by="-timestamp", name_pattern=f"{USE_CASE}.landing")
    events = [one for one in found["asset_events"] if one["name"] == f"{USE_CASE}.landing"]
    return _at(events[0]["timestamp"])


def _run_of(api: AirflowApi, phase: str, key: str | None) -> dict[str, str]:
    """Return the first run of a key; of ingestion the newest that took something in."""
    order = "run_after" if key else "-run_after"
    runs = api.get(f"/dags/{USE_CASE}__{phase}/dagRuns", order_by=order, limit=100)["dag_runs"]
    if key:
        return next(run for run in runs if run["partition_key"] == key)
    return next(run for run in runs if _task_of(api, run, TASKS[phase])["state"] == "success")


def _task_of(api: AirflowApi, run: dict[str, str], task_id: str) -> dict[str, str]:
    path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}"
    found: dict[str, str] = api.get(path)
    return found


def _event_of(api: AirflowApi, dag_id: str, run_id: str, task_id: str, key: str) -> float:
    found = api.get("/assets/events", source_dag_id=dag_id, source_run_id=run_id, limit=100)
    events = [
        one
        for one in found["asset_events"]
        if one["source_task_id"] == task_id and one["partition_key"] == key
    ]
    return _at(events[0]["timestamp"])


def _at(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _plain(house: House, copy: Path) -> list[float]:
    """Give the seconds of each month after the first, in one warm process."""
    for month in (FIRST, *MONTHS):
        land_rows(copy / "landing", month)
    # Its own home; MLflow is the stack's.
    login = mlflow_login(house.stack.settings, PIPELINE)
    environment = {**house.stack.environment(), **login, "FLYWHEEL_HOME": str(copy)}
    command = [sys.executable, "-m", "benchmarks.plain_partition", USE_CASE, FIRST, *MONTHS]
    done = subprocess.run(
        command, cwd=REPO, env=environment, check=True, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [line["ended"] - line["started"] for line in lines[1:]]


def _monitored_at(lake: Lake, month: str) -> float:
    """When the monitoring of `month` was committed, in seconds since the epoch."""
    published = lake.table(USE_CASE, "monitoring").facts(month)
    return datetime.fromisoformat(published["timestamp"]).timestamp()
