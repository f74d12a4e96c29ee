"""What the Dag files share: ids, assets, schedules, defaults, and the use cases to build Dags for.

Parsed with every Dag file, so it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetWatcher,
    PartitionedAssetTimetable,
    StartOfDayMapper,
    StartOfMonthMapper,
    get_parsing_context,
)

from include.use_cases.loader import load_all
from include.use_cases.schema import UseCase
from plugins.phases import PHASES
from plugins.roles import ANNOTATE, access_control
from plugins.triggers.landed_files import LandedFilesTrigger

MAPPERS = {
    "month": (StartOfMonthMapper, "%Y-%m"),
    "day": (StartOfDayMapper, "%Y-%m-%d"),
}


PARTITION_PATTERN = r"^\d{4}-\d{2}(-\d{2})?$"
"""What a form accepts as a partition key; the operator checks that there is such a partition."""


@dataclass(frozen=True)
class WheelAssets:
    """The assets of one use case. An event with a partition key says that the partition of that
    key has new content; `unscored`, that there is no champion to score it.
    """

    landing: Asset
    raw: Asset
    labels: Asset
    references: Asset
    clean: Asset
    features: Asset
    predictions: Asset
    unscored: Asset
    drift: Asset
    training_request: Asset
    candidate: Asset
    champion: Asset


def assets_of(use_case: UseCase) -> WheelAssets:
    """Make the assets of a use case: `<use case>.<name>`, in the group of the use case.

    Their URIs name no place: the same asset is a folder on one machine and a bucket on another.
    """

    def asset(name: str, **more: Any) -> Asset:
        uri = f"flywheel://{use_case.name}/{name}"
        return Asset(name=f"{use_case.name}.{name}", uri=uri, group=use_case.name, **more)

    names = [name for name in WheelAssets.__dataclass_fields__ if name != "landing"]
    watcher = AssetWatcher(name="landed_files", trigger=LandedFilesTrigger(use_case.name))
    return WheelAssets(
        landing=asset("landing", watchers=[watcher]), **{name: asset(name) for name in names}
    )


def use_cases() -> list[UseCase]:
    """Load the use cases. A broken one shows as an import error of `use_case_errors.py`.

    Each task parses its Dag file before it begins. It needs the Dag of its own use case alone: all
    of a hundred would cost it a second.
    """
    dag_id = get_parsing_context().dag_id
    own = dag_id.partition("__")[0] if dag_id else None
    return list(load_all(only=own).use_cases.values())


def when(use_case: UseCase, assets: Any) -> PartitionedAssetTimetable:
    """Schedule a run per partition key that `assets` emit; the API refuses malformed keys (400)."""
    mapper, key_format = MAPPERS[use_case.ingest.partition.grain]
    return PartitionedAssetTimetable(
        assets=assets, default_partition_mapper=mapper(input_format=key_format)
    )


def dag_arguments(use_case: UseCase, phase: str, doc: str | None) -> dict[str, Any]:
    """Return what all Dags have in common: id, owner, tags, docs, pool, retries, time-outs."""
    limits = PHASES[phase]
    return {
        "dag_id": f"{use_case.name}__{phase}",
        "description": f"{phase.replace('_', ' ')}: {use_case.description}",
        "doc_md": doc,
        "tags": {use_case.name, phase, use_case.task},
        "access_control": access_control(phase),  # only the FAB auth manager of a cluster reads it
        "catchup": False,
        "max_active_runs": limits.active_runs,
        # Created unpaused: a paused Dag loses the events of partitioned assets.
        "is_paused_upon_creation": False,
        "dagrun_timeout": limits.run_timeout + _waits_for_a_person(use_case, phase),
        "default_args": {
            "owner": use_case.owner,
            "pool": phase,
            # Only what a retry can help is retried: operators fail at once on config and data
            # errors.
            "retries": limits.retries,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=5),
            "execution_timeout": limits.task_timeout,
        },
    }


def _waits_for_a_person(use_case: UseCase, phase: str) -> timedelta:
    approval, labels = use_case.deploy.approval, use_case.labels
    if phase == "deploy" and approval is not None:
        return approval.within
    if phase == ANNOTATE and labels is not None and labels.people is not None:
        return labels.people.within
    return timedelta()
