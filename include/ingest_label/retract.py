"""Take a landed partition back, with a record of who wanted it and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from include.errors import DataContractError
from include.ingest_label.landing import Landing
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

_STAGES = ("raw", "labels", "quarantine", "clean", "features", "predictions", "monitoring")
_COLUMNS = {
    "key": "string",
    "reason": "string",
    "who": "string",
    "files": "string",
    "cleared": "string",
    "run_id": "string",
    "retracted_at": "timestamp",
}


@dataclass(frozen=True)
class Retracted:
    """What was taken back: files that were moved aside, and tables that were cleared."""

    partition: str
    files: list[str]
    cleared: list[str]


def retract(
    use_case: UseCase,
    partition: str,
    *,
    reason: str,
    who: str,
    landing: Landing,
    lake: Lake,
    writer: Writer,
) -> Retracted:
    """Move a partition's landed files aside, and clear it in every table.

    Earlier versions of the tables still hold the rows: a model that learned from them can be traced
    and trained again. A reference table is left: other partitions may need it.

    Parameters
    ----------
    use_case : UseCase
        Whose partition.
    partition : str
        Its key.
    reason, who : str
        For the record, the table `retractions`.
    landing, lake : Landing, Lake
        Where it is.
    writer : Writer
        Goes into the commits.

    Raises
    ------
    DataContractError
        There is no such partition, or no reason is given.
    """
    if not reason.strip():
        raise DataContractError(
            f"{use_case.name}: a retraction of {partition} needs a reason, which is recorded. "
            "Give one."
        )
    patterns = [use_case.ingest.landing]
    patterns += [use_case.labels.landing] if use_case.labels else []
    grain = use_case.ingest.partition.grain
    files = [file for pattern in patterns for file in landing.files(pattern, partition, grain)]
    tables = {stage: lake.table(use_case.name, stage) for stage in _STAGES}
    held = [stage for stage, table in tables.items() if partition in table.partitions()]
    if not files and not held:
        raise DataContractError(
            f"{use_case.name}: nothing of {partition} has landed or is in the lake: there is "
            f"{tables['raw'].partitions()}. Name one of these."
        )
    # The record first, and the files before the tables: whatever dies in between, the next try
    # finds the rest, and ingestion does not take the partition in again meanwhile.
    _record(use_case, partition, reason, who, files, held, lake, writer)
    landing.set_aside(files)
    for stage in held:
        tables[stage].clear(partition, writer, facts={"retracted": reason})
    return Retracted(partition, files, held)


def _record(
    use_case: UseCase,
    partition: str,
    reason: str,
    who: str,
    files: list[str],
    held: list[str],
    lake: Lake,
    writer: Writer,
) -> None:
    row = {
        "key": partition,
        "reason": reason,
        "who": who,
        "files": "\n".join(files),
        "cleared": ", ".join(held),
        "run_id": writer.run_id,
        "retracted_at": datetime.now(UTC),
    }
    table = lake.table(use_case.name, "retractions")
    known = table.partition_version(partition) is not None
    earlier = table.read([partition], list(_COLUMNS)).to_pylist() if known else []
    kept = [one for one in earlier if one["run_id"] != writer.run_id]
    data = pa.Table.from_pylist([*kept, row], schema=arrow_schema(_COLUMNS))
    table.publish(data, partition=partition, schema=data.schema, writer=writer)
