"""A scheduler in a few lines: it starts what the real Dags' asset expressions would start.

It follows asset -> Dag -> task -> asset with a queue and runs the real operators of the real Dags.
Airflow would join pending runs of one key; here each event is a run of its own, so what is counted
is the most that can happen.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.support.asset_graph import condition_of, is_started_by
from tests.support.tasks import execute

START = datetime(2013, 6, 1, 12, 0, tzinfo=UTC)


@dataclass
class Counts:
    """What happened, by phase (runs, worked, skipped) or by asset (events)."""

    runs: Counter[str] = field(default_factory=Counter)
    worked: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)


@dataclass
class _Ti:
    scheduler: Scheduler
    dag_id: str
    run_id: str
    task_id: str
    start_date: datetime
    xcoms: dict[tuple[str, str], Any]
    try_number: int = 1
    map_index: int = -1

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = value

    def xcom_pull(self, task_ids: Any, key: str = "return_value", **_: Any) -> Any:
        if isinstance(task_ids, str):
            return self.xcoms.get((task_ids, key))
        return [self.xcoms.get((task_id, key)) for task_id in task_ids]

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        assert states == ["queued", "running"]
        return sum(waiting == dag_id for waiting, _ in self.scheduler.queue)


class Scheduler:
    """Runs Dags as events start them.

    Parameters
    ----------
    dags : mapping of str to DAG
        By id, of one use case.
    instead : mapping of str to callable
        By phase: what is done instead of a Dag's tasks; it gets the key, and gives what is emitted
        as (asset, key).
    """

    def __init__(
        self,
        dags: Mapping[str, Any],
        instead: Mapping[str, Callable[[str], list[tuple[str, str]]]],
    ) -> None:
        self.dags, self.instead = dags, instead
        self.queue: deque[tuple[str, str | None]] = deque()
        self.counts = Counts()
        self._number = 0
        self._conditions = {dag_id: condition_of(dag) for dag_id, dag in dags.items()}

    def emit(self, asset: str, key: str | None) -> None:
        """Let an event happen: each Dag that the asset alone starts is queued."""
        self.counts.events[asset.partition(".")[2]] += 1
        for dag_id, condition in self._conditions.items():
            if condition is None or not is_started_by(condition, asset):
                continue
            partitioned = isinstance(self.dags[dag_id].timetable, PartitionedAssetTimetable)
            if partitioned == (key is not None):
                self.queue.append((dag_id, key))

    def run_all(self, most: int = 10_000) -> None:
        """Run until nothing is queued."""
        for _ in range(most):
            if not self.queue:
                return
            self._run(*self.queue.popleft())
        raise AssertionError(f"{most} runs, and {len(self.queue)} wait: {self.counts.runs}")

    def _run(self, dag_id: str, key: str | None) -> None:
        phase = dag_id.partition("__")[2]
        self._number += 1
        self.counts.runs[phase] += 1
        if phase in self.instead:
            for asset, emitted_key in self.instead[phase](str(key)):
                self.emit(asset, emitted_key)
            return
        dag, states, xcoms = self.dags[dag_id], {}, {}
        for task in dag.topological_sort():
            upstream = [states[name] for name in task.upstream_task_ids]
            if "skipped" in upstream and task.trigger_rule != TriggerRule.NONE_FAILED:
                states[task.task_id] = "skipped"
                continue
            states[task.task_id] = self._run_task(dag, task, key, xcoms)
            counted = self.counts.worked if states[task.task_id] == "done" else self.counts.skipped
            counted[phase] += 1

    def _run_task(self, dag: Any, task: Any, key: str | None, xcoms: dict[Any, Any]) -> str:
        run_id = f"asset_triggered__{self._number}"
        start = START + timedelta(hours=self._number)
        params = {name: dag.params[name] for name in dag.params}
        context = {
            "ti": _Ti(self, dag.dag_id, run_id, task.task_id, start, xcoms),
            "run_id": run_id,
            "dag_run": SimpleNamespace(
                run_type="asset_triggered", partition_key=key, conf={}, clear_number=0,
                triggering_user_name=None, dag_id=dag.dag_id, run_id=run_id,
            ),
            "dag": dag,
            "params": params,
            "outlet_events": OutletEventAccessors(),
        }  # fmt: skip
        try:
            xcoms[task.task_id, "return_value"] = execute(task, context)
        except AirflowSkipException:
            return "skipped"
        for outlet in task.outlets:
            event = context["outlet_events"][outlet]
            if isinstance(outlet, Asset):
                for emitted_key in sorted(event.partition_keys) or [None]:
                    self.emit(outlet.name, emitted_key)
            for alias in event.asset_alias_events:
                self.emit(alias.dest_asset_key.name, None)
        return "done"
