"""Take a landed partition back, with a record of who wanted it and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.due.stages import RETRACTED
from include.errors import DataContractError
from include.ingest_label.landed import LANDED, read_entries
from include.ingest_label.landing import Landing
from include.labelling.history import LabelHistory
from include.labelling.rounds import pictures_of
from include.lake.files import LakeFiles
from include.lake.frames import arrow_schema
from include.lake.reports import reports_of
from include.lake.table import Lake, LakeTable, Writer
from include.use_cases.schema import UseCase

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
    """What this run took back: files that were moved aside, and tables that were cleared."""

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
    token: Callable[[], int] | None = None,
) -> Retracted:
    """Move a partition's landed files aside, and clear it in every table.

    Earlier versions of the tables still hold the rows: a model that learned from them can be traced
    and trained again. A reference table is left: other partitions may need it. Called again by the
    same run it finishes what is left, and the record keeps what the first call found.

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
    token : callable, optional
        Gives a token above those of all attempts that have begun; by default the writer's. Asked
        for each table anew, after the one that it is made from was cleared: whoever read that
        before has begun before, also if it began after this retraction.

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
    labels = [use_case.labels.landing] if use_case.labels else []
    patterns = dict.fromkeys([use_case.ingest.landing, *labels])  # one, where the files are shared
    grain = use_case.ingest.partition.grain
    files = [file for pattern in patterns for file in landing.files(pattern, partition, grain)]
    tables = {stage: lake.table(use_case.name, stage) for stage in RETRACTED}
    held = [stage for stage, table in tables.items() if partition in table.partitions()]
    record = lake.table(use_case.name, "retractions")
    earlier = _earlier(partition, record)
    for begun in (one for one in earlier if one["run_id"] == writer.run_id):
        files = sorted({*files, *begun["files"].splitlines()})
        held = [stage for stage in RETRACTED if stage in {*held, *begun["cleared"].split(", ")}]
    if not files and not held:
        raise DataContractError(
            f"{use_case.name}: nothing of {partition} has landed or is in the lake: there is "
            f"{tables['raw'].partitions()}. Name one of these."
        )
    # The record first, and the files before the tables: whatever dies in between, the next try
    # finds the rest, and ingestion does not take the partition in again meanwhile.
    retracted = Retracted(partition, files, held)
    at = _later_than_landed(partition, lake, use_case)
    _record(retracted, reason, who, earlier, record, writer, at)
    landing.set_aside(files)
    # Also where there is nothing: a phase that has begun must not publish the rows afterwards.
    now = writer
    for table in tables.values():
        now = writer if token is None else replace(writer, token=max(writer.token, token()))
        table.clear(partition, now, facts={"retracted": reason})
    LakeFiles(lake).remove(pictures_of(use_case, partition))
    LakeFiles(lake).remove(reports_of(use_case.name, partition))  # they show values of rows
    if use_case.labels is not None:
        # Not cleared: the history says until when these labels were known.
        LabelHistory(use_case, lake).withdraw(partition, now)
    return retracted


def _later_than_landed(partition: str, lake: Lake, use_case: UseCase) -> datetime:
    """Return the time of a retraction: not before what it takes back was seen by another clock."""
    table = lake.table(use_case.name, LANDED)
    entries = [entry for stage in ("raw", "labels") for entry in read_entries(table, stage)]
    seen = [entry.first_seen for entry in entries if entry.key == partition]
    return max([datetime.now(UTC), *seen])


def _earlier(partition: str, table: LakeTable) -> list[dict[str, Any]]:
    """Return the retractions of a partition so far, oldest first."""
    if partition not in table.partitions():
        return []
    rows: list[dict[str, Any]] = table.read([partition], list(_COLUMNS)).to_pylist()
    return rows


def _record(
    retracted: Retracted,
    reason: str,
    who: str,
    earlier: list[dict[str, Any]],
    table: LakeTable,
    writer: Writer,
    at: datetime,
) -> None:
    row = {
        "key": retracted.partition,
        "reason": reason,
        "who": who,
        "files": "\n".join(retracted.files),
        "cleared": ", ".join(retracted.cleared),
        "run_id": writer.run_id,
        "retracted_at": at,
    }
    kept = [one for one in earlier if one["run_id"] != writer.run_id]
    data = pa.Table.from_pylist([*kept, row], schema=arrow_schema(_COLUMNS))
    table.publish(data, partition=retracted.partition, schema=data.schema, writer=writer)
