"""Follows the Dag runs: prints finished work, stops at a failure, knows when nothing runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from include.errors import FlywheelError
from scripts.demo.airflow_api import AirflowApi

POLL_S = 1.0
REST_S = 4.0
"""Nothing must have run for this long before all work counts as done: an event starts the next run
within about 2 s."""

WORK = {
    "ingest_references": "references ingested",
    "ingest_rows": "ingested",
    "ingest_labels": "labelled",
    "validate_and_clean": "validated and cleaned",
    "build_features": "features built",
    "predict_partition": "scored",
    "monitor_partition": "monitored",
    "request_training": "asked for a training",
    "run_trial": "trial done",
    "run_trial_2": "trial done",
    "run_trial_3": "trial done",
    "finish_training": "challenger registered",
    "refit_model": "fitted again, holdout too",
    "promote": "promoted to champion",
    "reject": "challenger rejected",
    "confirm_serving": "served",
}


class DemoError(FlywheelError):
    """Something that the demo is to show did not happen."""


class Watch:
    """Follows the runs from now on.

    Parameters
    ----------
    api : AirflowApi
        Where runs are seen.
    say : callable
        Is given each line of progress.
    status : str
        The command that shows how the parts are.
    """

    def __init__(
        self, api: AirflowApi, say: Callable[[str], None], status: str = "make status"
    ) -> None:
        self._api = api
        self._say = say
        self._status = status
        self._since = datetime.now(UTC).isoformat()
        self._started = time.monotonic()
        self._seen: set[str] = set()
        self.seconds: dict[str, float] = defaultdict(float)
        """Seconds of task time by phase."""

    def until(self, reached: Callable[[], bool], what: str, within_s: float = 600) -> float:
        """Wait until `reached()`, telling what happens meanwhile; return the seconds it took.

        Raises
        ------
        DemoError
            A task failed, or it took too long.
        """
        started = time.monotonic()
        while True:
            self.tell()
            if reached():
                self.tell()
                return time.monotonic() - started
            if time.monotonic() - started > within_s:
                raise DemoError(
                    f"After {within_s:.0f} s still waiting for: {what}. "
                    f"Look at `{self._status}`, and at the runs in Airflow's pages."
                )
            time.sleep(POLL_S)

    def until_at_rest(self, reached: Callable[[], bool], what: str, within_s: float = 600) -> float:
        """Wait until `reached()` and no run is left; return the seconds until the rest began."""
        quiet_since: list[float] = []

        def at_rest() -> bool:
            if self._api.active_runs() or not reached():
                quiet_since.clear()
                return False
            quiet_since.append(time.monotonic())
            return quiet_since[-1] - quiet_since[0] >= REST_S

        return self.until(at_rest, what, within_s) - REST_S

    def tell(self) -> None:
        """Print what has finished since the last time."""
        for task in self._api.finished_tasks(self._since):
            key = f"{task['id']} {task['try_number']} {task['state']}"
            if key in self._seen or task["end_date"] is None:
                continue
            self._seen.add(key)
            if task["state"] == "failed":
                where = f"{task['dag_id']}.{task['task_id']} {task['rendered_map_index'] or ''}"
                raise DemoError(f"{where} failed:\n{self._api.log_tail(task)}")
            if task["state"] == "success":
                self._tell(task)

    def _tell(self, task: dict[str, Any]) -> None:
        use_case, _, phase = task["dag_id"].partition("__")
        self.seconds[phase] += task["duration"] or 0.0
        if task["task_id"] in WORK:
            elapsed = time.monotonic() - self._started
            detail = task["rendered_map_index"] or ""
            self._say(
                f"  {elapsed:5.0f} s  {use_case:<15} {phase:<15} {WORK[task['task_id']]:<22} "
                f"{detail:<25} "
                f"{task['duration'] or 0.0:5.1f} s"
            )
