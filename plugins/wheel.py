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
    Param,
    PartitionedAssetTimetable,
    StartOfDayMapper,
    StartOfMonthMapper,
)

from include.use_cases.loader import load_all
from include.use_cases.schema import UseCase
from plugins.triggers.landed_files import LandedFilesTrigger

MAPPERS = {
    "month": (StartOfMonthMapper, "%Y-%m"),
    "day": (StartOfDayMapper, "%Y-%m-%d"),
}


@dataclass(frozen=True)
class WheelAssets:
    """The assets of one use case. An event on one says "look": what is to do is read from the
    lake.
    """

    landing: Asset
    raw: Asset
    labels: Asset
    references: Asset
    clean: Asset
    features: Asset
    predictions: Asset
    drift: Asset
    training_request: Asset
    candidate: Asset
    champion: Asset


def assets_of(use_case: UseCase) -> WheelAssets:
    """Make the assets of a use case: `<use case>.<name>`, in the group of the use case."""

    def asset(name: str, **more: Any) -> Asset:
        return Asset(name=f"{use_case.name}.{name}", group=use_case.name, **more)

    names = [name for name in WheelAssets.__dataclass_fields__ if name != "landing"]
    watcher = AssetWatcher(name="landed_files", trigger=LandedFilesTrigger(use_case.name))
    return WheelAssets(
        landing=asset("landing", watchers=[watcher]), **{name: asset(name) for name in names}
    )


def use_cases() -> list[UseCase]:
    """Load the use cases. A broken one shows as an import error of `use_case_errors.py`."""
    return list(load_all().use_cases.values())


def when(use_case: UseCase, assets: Any) -> PartitionedAssetTimetable:
    """One run for each partition key that `assets` emit; a key of a wrong form is refused (400)."""
    mapper, key_format = MAPPERS[use_case.ingest.partition.grain]
    return PartitionedAssetTimetable(
        assets=assets, default_partition_mapper=mapper(input_format=key_format)
    )


def dag_arguments(use_case: UseCase, phase: str, doc: str | None) -> dict[str, Any]:
    """Everything that is alike in all Dags: id, owner, tags, docs, retries.

    `max_active_runs=1`: a run processes all that is unprocessed, so two at a time would do the
    same work twice; runs that wait lose nothing, and find nothing left to do.
    """
    return {
        "dag_id": f"{use_case.name}__{phase}",
        "description": f"{phase.replace('_', ' ')}: {use_case.description}",
        "doc_md": doc,
        "tags": {use_case.name, phase, use_case.task},
        "catchup": False,
        "max_active_runs": 1,
        # Created unpaused: a paused Dag loses the events of partitioned assets.
        "is_paused_upon_creation": False,
        "dagrun_timeout": timedelta(hours=6),
        "default_args": {
            "owner": use_case.owner,
            # Only what a retry can help is retried: operators fail at once on config and data
            # errors.
            "retries": 3,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(hours=2),
        },
    }


def force_param() -> Param:
    """Make the form's switch for doing again what is done."""
    return Param(
        default=False,
        type="boolean",
        title="Process again",
        description=(
            "Off: only what has not been processed in its present version. "
            "On: the partition of this run, or the latest one, is processed again."
        ),
    )
