"""Runs of real Dags in this process: `dag.test()`, with what it lacks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from airflow.listeners import hookimpl


@dataclass(frozen=True)
class Ran:
    """What became of one run of a Dag.

    Attributes
    ----------
    state : str
        Of the run.
    states : dict of str to list of str
        Of each task, by map index; one that was never mapped counts once.
    tries : dict of str to list of int
        How often each was tried.
    returned : dict of str to list
        What each task returned; mapped ones in the order of their index.
    events : list of (str, str, dict)
        Asset, partition key and extra of each event, by asset and key.
    errors : list of str
        Messages of the errors that ended an attempt, in order.
    """

    state: str
    states: dict[str, list[str]]
    tries: dict[str, list[int]]
    returned: dict[str, list[Any]]
    events: list[tuple[str, str, dict[str, Any]]]
    errors: list[str]


@dataclass(eq=False)  # pluggy finds a listener again by equality
class Failures:
    """A listener that keeps the errors of failed attempts: `dag.test()` only logs them."""

    messages: list[str] = field(default_factory=list)

    @hookimpl
    def on_task_instance_failed(self, error: object) -> None:
        """Keep the message."""
        self.messages.append(str(error))


class DagRuns:
    """Calls `dag.test()` for a Dag of the bag, with a partition key or as an asset event would."""

    def __init__(self, bag: Any, failures: Failures) -> None:
        self._bag = bag
        self._failures = failures
        self._key: str | None = None
        self._run_type: str | None = None

    def __call__(
        self, dag_id: str, *, key: str | None = None, run_type: str = "manual", **params: Any
    ) -> Ran:
        """Run a Dag to its end.

        Parameters
        ----------
        dag_id : str
            Which.
        key : str, optional
            The run's partition key.
        run_type : str
            'asset_triggered' for a run that an event starts.
        params :
            What the form would give.
        """
        self._key, self._run_type = key, run_type
        self._failures.messages.clear()
        dag = copy.deepcopy(self._bag.dags[dag_id])
        for task in dag.tasks:
            if not task.is_mapped:
                # Airflow copies operators without their params, and a run in this process leaves
                # in them what the form gave: the next run would be given it too.
                task.params = copy.deepcopy(task.params)
        run = dag.test(run_conf=params or None)
        return _told(run, list(self._failures.messages))

    def with_key(self, create: Any) -> Any:
        """Wrap Airflow's `get_or_create_dagrun`: `dag.test()` takes neither key nor type."""

        def created(**arguments: Any) -> Any:
            run = create(**arguments)
            run.partition_key, run.run_type = self._key, self._run_type
            arguments["session"].commit()
            return run

        return created


@contextmanager
def dag_runs(bag: Any) -> Iterator[DagRuns]:
    """Prepare this process for running the Dags of a bag."""
    from airflow.dag_processing import dagbag
    from airflow.models import dagrun
    from airflow.sdk.listener import get_listener_manager  # tasks have a manager of their own

    failures = Failures()
    runs = DagRuns(bag, failures)
    # Another bag may be prepared around this one, and has synced only its own Dags.
    parse, sync = (
        getattr(each, "replaced", each) for each in (dagbag.BundleDagBag, dagbag.sync_bag_to_db)
    )
    synced: list[Any] = []

    # `dag.test()` parses every Dag file and writes all Dags to the database each time: a second
    # each. The files do not change here, so once is enough.
    def parsed_once(**where: Any) -> Any:
        return None if synced else parse(**where)

    def synced_once(found: Any, *more: Any) -> None:
        if not synced:
            sync(found, *more)
            synced.append(found)

    parsed_once.replaced, synced_once.replaced = parse, sync  # type: ignore[attr-defined]
    with (
        patch.object(dagrun, "get_or_create_dagrun", runs.with_key(dagrun.get_or_create_dagrun)),
        patch.object(dagbag, "BundleDagBag", parsed_once),
        patch.object(dagbag, "sync_bag_to_db", synced_once),
    ):
        manager = get_listener_manager()
        manager.add_listener(failures)
        try:
            yield runs
        finally:
            manager.pm.unregister(failures)


def _told(run: Any, errors: list[str]) -> Ran:
    from airflow import settings
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    states: dict[str, list[str]] = {}
    tries: dict[str, list[int]] = {}
    returned: dict[str, list[Any]] = {}
    with settings.Session() as session:
        for ti in sorted(run.get_task_instances(session=session), key=lambda ti: ti.map_index):
            states.setdefault(ti.task_id, []).append(str(getattr(ti.state, "value", ti.state)))
            tries.setdefault(ti.task_id, []).append(ti.try_number)
        found = session.scalars(
            select(XComModel)
            .where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id)
            .where(XComModel.key == "return_value")
            .order_by(XComModel.task_id, XComModel.map_index)
        )
        for xcom in found:
            returned.setdefault(xcom.task_id, []).append(XComModel.deserialize_value(xcom))
        events = session.execute(
            select(AssetModel.name, AssetEvent.partition_key, AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == run.dag_id, AssetEvent.source_run_id == run.run_id)
            .order_by(AssetModel.name, AssetEvent.partition_key)
        ).all()
    told = [(name, key, dict(extra)) for name, key, extra in events]
    return Ran(str(run.state), states, tries, returned, told, errors)
