"""The graph of each Dag, and the graph of assets that joins them, held against what was agreed.

After a wanted change: `python -m tests.dags.test_structure` writes structure.json anew; read the
diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

SNAPSHOT = Path(__file__).with_name("structure.json")


def assets_in(schedule: Any) -> set[str]:
    """Names of the assets in a schedule, or in a condition of assets (`a | b`)."""
    if isinstance(schedule, Asset):
        return {schedule.name}
    inner = getattr(schedule, "asset_condition", None)
    parts = getattr(schedule, "objects", [inner] if inner is not None else [])
    return {name for part in parts for name in assets_in(part)}


def structure_of(dag: Any) -> dict[str, Any]:
    return {
        "schedule": sorted(assets_in(dag.timetable)),
        "tasks": {
            task.task_id: {
                "operator": task.task_type,
                "mapped": bool(getattr(task, "is_mapped", False)),
                "downstream": sorted(task.downstream_task_ids),
                "outlets": sorted(
                    outlet.name for outlet in task.outlets if isinstance(outlet, Asset)
                ),
            }
            for task in dag.tasks
        },
    }


def test_structure_is_as_agreed(dag_bag):
    found = {dag_id: structure_of(dag) for dag_id, dag in sorted(dag_bag.dags.items())}
    assert found == json.loads(SNAPSHOT.read_text()), (
        "after a wanted change write structure.json anew"
    )


def test_the_wheel_is_connected_and_closed(dag_bag):
    """Events lead from landing to every Dag, and from the champion back to a request."""
    for use_case in ("flight_delays", "air_time", "weather_regimes"):
        dags = {
            i: structure_of(d) for i, d in dag_bag.dags.items() if i.startswith(f"{use_case}__")
        }

        def reached_from(name: str, dags: dict[str, Any] = dags) -> tuple[set[str], set[str]]:
            assets, seen = {name}, set()
            while new := {
                i for i, d in dags.items() if i not in seen and assets & set(d["schedule"])
            }:
                seen |= new
                assets |= {
                    o for i in new for task in dags[i]["tasks"].values() for o in task["outlets"]
                }
            return assets, seen

        assets, seen = reached_from(f"{use_case}.landing")
        assert seen == set(dags)
        assert f"{use_case}.training_request" in assets
        assert f"{use_case}.training_request" in reached_from(f"{use_case}.champion")[0]


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(Path(__file__).resolve().parents[2] / "dags"))
    found = {dag_id: structure_of(dag) for dag_id, dag in sorted(bag.dags.items())}
    SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
