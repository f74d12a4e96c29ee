"""What a task read and wrote, as OpenLineage's datasets: taken from the commits of its run.

Imported only where Airflow's OpenLineage provider asks, so never while a Dag file is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
)

from include.due.stages import ALL, LANDING, REFERENCE, tables_of

if TYPE_CHECKING:
    from include.lake.table import Lake
    from include.settings import Settings
    from include.use_cases.schema import UseCase

_NEWEST = 600
"""Commits that are looked at for those of this run: an ingestion makes at most 500 partitions."""
_STAGES = {
    "references": REFERENCE,
    "drift": "monitoring",
    "training_request": "decisions",
    "champion": "promotions",
}
"""Stage behind an asset, where its name is another."""


@attr.define
class LakePartitionDatasetFacet(DatasetFacet):
    """Which partitions of a table, and the table's id: Delta versions count within one table."""

    partitions: list[str]
    tableId: str  # noqa: N815 - the spec's spelling

    @staticmethod
    def _get_schema() -> str:
        return "https://openlineage.io/spec/1-0-2/OpenLineage.json#/$defs/DatasetFacet"


def tables_behind(outlets: Iterable[Any], use_case: UseCase) -> list[str]:
    """Return the stages of the lake that a task with these outlets may publish."""
    names = [outlet.name.partition(".")[2] for outlet in outlets]
    references = use_case.ingest.references
    stages = [tables_of(_STAGES.get(name, name), references) for name in names]
    return [stage for of_asset in stages for stage in of_asset]


def lineage_of(
    run_id: str, stages: Sequence[str], use_case: UseCase, lake: Lake, settings: Settings
) -> OperatorLineage[Any, Any]:
    """Return what a run has published to these stages, and what it read for that.

    :param run_id: as `PhaseOperator.writer` writes it into each commit
    """
    inputs: dict[str, InputDataset] = {}
    outputs = []
    for stage in stages:
        table = lake.table(use_case.name, stage)
        records = [each for each in table.history(_NEWEST) if each.get("run_id") == run_id]
        if not records:
            continue
        outputs.append(_written(lake, stage, use_case, records, str(table.pin().table_id)))
        for record in records:
            for dataset in _read(lake, stage, use_case, record, settings):
                inputs[repr(dataset)] = dataset
    return OperatorLineage(inputs=list(inputs.values()), outputs=outputs)


def training_lineage(
    use_case: str, version: str, inputs: Sequence[Mapping[str, Any]], lake: Lake, tracking_uri: str
) -> OperatorLineage[Any, Any]:
    """Return the pinned tables that a training read, and the model version that it registered."""
    read = [
        InputDataset(
            *_named(lake, pin["table"]), facets=_facets(pin["version"], [], pin["table_id"])
        )
        for pin in inputs
    ]
    model = OutputDataset(
        tracking_uri,
        f"models/{use_case}",
        facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet(version)},
    )
    return OperatorLineage(inputs=read, outputs=[model])


def _written(
    lake: Lake, stage: str, use_case: UseCase, records: Sequence[Mapping[str, Any]], table_id: str
) -> OutputDataset:
    newest = max(record["version"] for record in records)
    rows = sum(record["rows"] for record in records)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return OutputDataset(
        *_named(lake, f"{use_case.name}.{stage}"),
        facets=_facets(newest, sorted(record["partition"] for record in records), table_id),
        outputFacets={"outputStatistics": statistics},
    )


def _read(
    lake: Lake, stage: str, use_case: UseCase, record: Mapping[str, Any], settings: Settings
) -> list[InputDataset]:
    partition = record["partition"]
    found = [
        InputDataset(
            *_named(lake, read["table"]),
            facets=_facets(
                read["version"],
                [] if read["partition_version"] is None else [partition],
                read.get("table_id") or "",
            ),
        )
        for read in record.get("inputs", [])
    ]
    if (landed := record.get("consumed", {}).get(LANDING)) is not None:
        key = "" if partition == ALL else partition
        pattern = (use_case.landing_of(stage) or "").replace("{partition}", key)
        version = dataset_version_dataset.DatasetVersionDatasetFacet(f"{landed:016x}")
        named = _place(settings.landing_uri, pattern)
        found.append(InputDataset(*named, facets={"version": version}))
    return found


def _facets(version: int, partitions: list[str], table_id: str) -> dict[str, DatasetFacet]:
    return {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version)),
        "lakePartition": LakePartitionDatasetFacet(partitions, table_id),
    }


def _named(lake: Lake, table: str) -> tuple[str, str]:
    return _place(lake.uri, table.replace(".", "/", 1))


def _place(root: str, below: str) -> tuple[str, str]:
    """Name a place as OpenLineage's naming convention does: `file` and a path, or a bucket."""
    parts = urlsplit(root)
    if not parts.scheme:
        return "file", f"{root.rstrip('/')}/{below}"
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path.strip('/')}/{below}".lstrip("/")
