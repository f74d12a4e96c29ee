"""How long a task that uses MLflow, Great Expectations and Evidently takes to start, warm and cold.

From the task instance's start, as Airflow records it, to the line of `execute` after the imports:
so the task's own look at its Dag file counts as well. Cold is the same task of the same stack with
`FLYWHEEL_WARM_TASKS=0`.
"""

from __future__ import annotations

import time
from datetime import datetime
from statistics import median
from uuid import uuid4

import httpx

from benchmarks.figures import Figure, spread
from benchmarks.house import USE_CASE, House, variables

LIMIT_S = 0.5
LIMIT_OF_COLD = 0.25
WARM_RUNS, COLD_RUNS = 7, 3
DAG_ID = f"{USE_CASE}__benchmark_task_start"
WITHIN_S = 180


def measure(house: House) -> list[Figure]:
    """Start the task warm, then restart the stack and start it cold; the stack is left cold."""
    warm = [_start_once(house) for _ in range(WARM_RUNS)]
    house.say(f"  warm: {spread(warm)}; restarting the stack cold")
    house.stack.down()
    with variables({"FLYWHEEL_WARM_TASKS": "0"}):
        house.stack.up()
    cold = [_start_once(house) for _ in range(COLD_RUNS)]
    beside = f"the same task cold (FLYWHEEL_WARM_TASKS=0): {spread(cold)}"
    share = median(warm) / median(cold)
    return [
        Figure("task_start_warm", median(warm), "s", f"{beside}; warm: {spread(warm)}", LIMIT_S),
        Figure("task_start_warm_to_cold", share, "ratio", beside, LIMIT_OF_COLD),
    ]


def _start_once(house: House) -> float:
    run = _trigger(house)
    path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/import_heavy"
    end = time.monotonic() + WITHIN_S
    api = house.api
    while (task := api.get(path))["state"] not in ("success", "failed"):
        if time.monotonic() > end:
            raise TimeoutError(f"{DAG_ID} {run} is still {task['state']} after {WITHIN_S} s.")
        time.sleep(0.5)
    if task["state"] == "failed":
        raise RuntimeError(f"{DAG_ID} {run} failed:\n{api.log_tail(task)}")
    returned = api.get(f"{path}/xcomEntries/return_value", deserialize=True)["value"]
    started = datetime.fromisoformat(task["start_date"]).timestamp()
    house.say(
        f"  execute began after {returned['began'] - started:.2f} s, "
        f"imports done after {returned['imported'] - started:.2f} s"
    )
    return float(returned["imported"] - started)


def _trigger(house: House) -> str:
    """Start a run; the Dag may need a while to be seen after the stack came up."""
    run = f"bench-{uuid4().hex[:8]}"
    end = time.monotonic() + WITHIN_S
    while True:
        answer = httpx.post(
            f"{house.stack.settings.airflow_url}/api/v2/dags/{DAG_ID}/dagRuns",
            json={"dag_run_id": run, "logical_date": None},
            headers={"Authorization": f"Bearer {house.stack.token()}"},
            timeout=30,
            trust_env=False,
        )
        if answer.is_success:
            return run
        if answer.status_code != httpx.codes.NOT_FOUND or time.monotonic() > end:
            answer.raise_for_status()
        time.sleep(1)
