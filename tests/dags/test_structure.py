"""The graph of each Dag, and the graph of assets that joins them, held against what was agreed.

After a wanted change: `python -m tests.dags.test_structure` writes structure.json anew; read the
diff.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, PartitionedAssetTimetable, TriggerRule

from tests.support.asset_graph import assets_in, condition_of, expression_of

SNAPSHOT = Path(__file__).with_name("structure.json")


def schedule_of(dag: Any) -> dict[str, Any]:
    """Everything that decides when runs start, and with which key."""
    timetable = dag.timetable
    mapper = getattr(timetable, "default_partition_mapper", None)
    timed = getattr(timetable, "timetable", timetable)
    return {
        "timetable": type(timetable).__name__,
        "assets": condition_of(dag),
        "mapper": mapper and [type(mapper).__name__, mapper.input_format],
        "cron": getattr(timed, "expression", None),
    }


def task_of(task: Any) -> dict[str, Any]:
    """Everything of a task that was agreed upon, but its arguments."""
    return {
        "operator": task.task_type,
        "mapped": bool(getattr(task, "is_mapped", False)),
        "teardown": task.is_teardown,
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "retries": task.retries,
        "pool": task.pool,
        "queue": task.queue,
        "execution_timeout_s": task.execution_timeout.total_seconds(),
        "downstream": sorted(task.downstream_task_ids),
        "inlets": sorted(asset.name for asset in task.inlets),
        "outlets": sorted(json.dumps(expression_of(asset)) for asset in task.outlets),
    }


def structure_of(dag: Any) -> dict[str, Any]:
    params = {name: dag.params.get_param(name) for name in dag.params}
    return {
        "schedule": schedule_of(dag),
        "max_active_runs": dag.max_active_runs,
        "run_timeout_s": dag.dagrun_timeout.total_seconds(),
        "params": {
            name: {
                "default": param.value if param.has_value else "none: it must be given",
                **{key: param.schema[key] for key in sorted(param.schema) if key != "description"},
            }
            for name, param in params.items()
        },
        "tasks": {task.task_id: task_of(task) for task in dag.tasks},
    }


def outlets_of(dag: dict[str, Any]) -> set[str]:
    """Names of the assets that a Dag emits."""
    found = [json.loads(one) for task in dag["tasks"].values() for one in task["outlets"]]
    return {name for name in found if isinstance(name, str)}


def test_structure_is_as_agreed(dag_bag):
    found = {dag_id: structure_of(dag) for dag_id, dag in sorted(dag_bag.dags.items())}
    agreed = json.loads(SNAPSHOT.read_text())
    assert sorted(found) == sorted(agreed)
    for dag_id, structure in found.items():
        assert structure == agreed[dag_id], (
            f"{dag_id}: after a wanted change `python -m tests.dags.test_structure` writes "
            "structure.json anew; read the diff"
        )


# What the snapshot sees


def _task(name: str, value: Any) -> Callable[[Any], None]:
    return lambda dag: setattr(dag.task_dict["report_unscored"], name, value)


def _and(dag: Any) -> None:
    first, second = dag.timetable.asset_condition.objects
    dag.timetable = PartitionedAssetTimetable(
        assets=first & second,
        default_partition_mapper=dag.timetable.default_partition_mapper,
    )


def _daily(dag: Any) -> None:
    from airflow.sdk import StartOfDayMapper

    dag.timetable = PartitionedAssetTimetable(
        assets=dag.timetable.asset_condition,
        default_partition_mapper=StartOfDayMapper(input_format="%Y-%m-%d"),
    )


def _plain(dag: Any) -> None:
    from airflow.sdk import CronTriggerTimetable

    dag.timetable = CronTriggerTimetable("0 6 * * *", timezone="UTC")


def _form(dag: Any) -> None:
    from airflow.sdk import Param

    dag.params["force"] = Param(default=False, type="boolean")


CHANGES = {
    "a & b instead of a | b": _and,
    "another key": _daily,
    "another timetable": _plain,
    "a field of the form": _form,
    "active runs": lambda dag: setattr(dag, "max_active_runs", 16),
    "the run's time-out": lambda dag: setattr(dag, "dagrun_timeout", timedelta(days=9)),
    "a trigger rule": _task("trigger_rule", TriggerRule.ALL_DONE),
    "retries": _task("retries", 9),
    "a pool": _task("pool", "default_pool"),
    "a queue": _task("queue", "gpu"),
    "a time-out": _task("execution_timeout", timedelta(days=9)),
    "an inlet": _task("inlets", [Asset(name="other")]),
    "an outlet": _task("outlets", []),
    "a teardown": _task("is_teardown", True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_snapshot_sees(dag_bag, change):
    dag = copy.deepcopy(dag_bag.dags["air_time__batch_predict"])
    before = structure_of(dag)
    CHANGES[change](dag)
    assert structure_of(dag) != before


# The wheel


def dags_of(dag_bag: Any, use_case: str) -> dict[str, Any]:
    found = {i: structure_of(d) for i, d in dag_bag.dags.items() if i.startswith(f"{use_case}__")}
    assert found
    return found


def reached_from(name: str, dags: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Follow events from an asset: the assets that are emitted, and the Dags that run."""
    assets, seen = {name}, set()
    while new := {
        i for i, d in dags.items() if i not in seen and assets & assets_in(d["schedule"]["assets"])
    }:
        seen |= new
        assets |= {o for i in new for o in outlets_of(dags[i])}
    return assets, seen


@pytest.mark.parametrize("use_case", ["flight_delays", "air_time", "weather_regimes"])
def test_the_wheel_is_connected_and_closed(dag_bag, use_case):
    """Events lead from landing to every phase, and from the champion back to a request."""
    dags = dags_of(dag_bag, use_case)
    assets, seen = reached_from(f"{use_case}.landing", dags)
    by_hand = {
        f"{use_case}__{phase}" for phase in ("rebuild", "retract", "reproduce", "housekeeping")
    }
    assert seen == set(dags) - by_hand
    assert f"{use_case}.training_request" in assets
    assert f"{use_case}.training_request" in reached_from(f"{use_case}.champion", dags)[0]


@pytest.mark.parametrize("use_case", ["flight_delays", "air_time", "weather_regimes"])
def test_any_asset_of_a_schedule_starts_a_run(dag_bag, use_case):
    """`a & b` would wait for both, and keys that only one of them emits would never run."""
    for dag_id, dag in dags_of(dag_bag, use_case).items():
        assert "all" not in json.dumps(dag["schedule"]["assets"]) or (
            dag["schedule"]["assets"] == {"all": [f"{use_case}.landing"]}
        ), f"{dag_id}: join assets with `|`"


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(Path(__file__).resolve().parents[2] / "dags"))
    found = {dag_id: structure_of(dag) for dag_id, dag in sorted(bag.dags.items())}
    SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
