"""Put together the rows of one partition: of files that are there, and kept rows of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError, bounded
from include.ingest_label.files import parse
from include.ingest_label.intake import Intake
from include.ingest_label.inventory import Inventory
from include.ingest_label.landed import Content, fingerprint
from include.ingest_label.landing import Landing
from include.ingest_label.source import Source
from include.lake.schemas import FILE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gathered:
    """Rows of one partition.

    Attributes
    ----------
    rows : Table
        With the column `FILE`; files in the order of landing, the rows of a file in its order.
    fingerprint : int
        Of exactly the contents that `rows` came from.
    files : int
        How many contents those are.
    gone : list of str
        Paths of the files that are gone, and whose rows were kept.
    """

    rows: pa.Table
    fingerprint: int
    files: int
    gone: list[str]


def gather(
    intake: Intake,
    inventory: Inventory,
    landing: Landing,
    kept: Callable[[], pa.Table] | None = None,
) -> Gathered:
    """Read the files that are there; take the rows of those that are gone from the table.

    Only a retraction removes rows: a file that a lifecycle rule deletes, or that somebody clears
    away after it was ingested, leaves what it brought. Rows of an earlier Flywheel, which did not
    note their file, are kept where no file brings their key.

    Parameters
    ----------
    intake : Intake
        Which partition of which table, and what is made of a file.
    inventory, landing : Inventory, Landing
        What has landed, and where.
    kept : callable, optional
        Gives what landed before, where that is not what stands in the table.

    Raises
    ------
    DataContractError
        Nothing landed, or a file is not as declared: which file, row and column.
    FileUnavailable
        A file cannot be read, or changed since it was looked at.
    """
    table, partition = intake.table, intake.partition
    contents = inventory.of(intake.landed, f"{table.name} from {landing.uri}")
    held = _held(intake, contents, kept)
    pieces = [
        _read(content, landing, intake)
        if content.file is not None
        else held.filter(pc.fill_null(pc.equal(held[FILE], content.file_id), False))
        for content in contents
    ]
    pieces.insert(0, _of_unknown_files(held, pa.concat_tables(pieces), intake))
    gone = [path for content in contents if content.file is None for path in content.paths]
    if gone:
        log.warning(
            "%s, partition %s: %d landed files are gone, and their rows are kept: %s. To remove "
            "them, retract the partition.", table.name, partition, len(gone),
            bounded(", ".join(gone), 1000),
        )  # fmt: skip
    # In one piece: Delta writes the pieces of a table in any order, and "the last stands" needs
    # this one.
    rows = pa.concat_tables(pieces).combine_chunks()
    return Gathered(rows, fingerprint(contents), len(contents), gone)


def _read(content: Content, landing: Landing, intake: Intake) -> pa.Table:
    if content.file is None:
        raise AssertionError("only what is there is read")
    path = content.file.path
    source = Source(path, intake.format, intake.format_key)
    content_read = landing.read(content.file, content.sha256)
    parsed = parse(content_read, source, intake.columns, intake.elsewhere)
    rows = intake.make(parsed, path)
    files = pa.repeat(pa.scalar(content.file_id, pa.string()), rows.num_rows)
    return rows.append_column(FILE, files).cast(intake.schema)


def _held(
    intake: Intake, contents: Sequence[Content], kept: Callable[[], pa.Table] | None
) -> pa.Table:
    """Rows of the table whose file is gone or unknown, in the schema of today."""
    table, partition, schema = intake.table, intake.partition, intake.schema
    if partition not in table.partitions():
        return schema.empty_table()
    gone = pa.array([one.file_id for one in contents if one.file is None], pa.string())
    if kept is None and FILE in table.schema().names:
        files = table.read([partition], [FILE])[FILE]
        if not files.null_count and not pc.any(pc.is_in(files, gone), min_count=0).as_py():
            return schema.empty_table()
    try:
        if kept is not None:
            return kept()
        # What was dropped from the table, and is declared again, is what the rows hold of it.
        return table.read([partition], schema, migrations=intake.use_case.migrations)
    except DataContractError as error:
        raise DataContractError(
            f"{table.name}, partition {partition}: rows of files that are gone must fit the "
            f"columns as they are declared now, but do not ({error}). Restore the files, or "
            "retract the partition."
        ) from error


def _of_unknown_files(held: pa.Table, landed: pa.Table, intake: Intake) -> pa.Table:
    """Rows that an earlier Flywheel ingested and that no file brings again, in their order."""
    key = list(intake.key)
    unknown = held.filter(pc.is_null(held[FILE]))
    for column in key:
        unknown = unknown.filter(pc.is_valid(unknown[column]))
    if unknown.num_rows == 0:
        return unknown
    numbered = unknown.select(key).append_column("_row", pa.array(np.arange(unknown.num_rows)))
    alone = numbered.join(landed.select(key), key, join_type="left anti")
    if alone.num_rows:
        log.warning(
            "%s, partition %s: %d rows are in no landed file, and are kept.",
            intake.table.name, intake.partition, alone.num_rows,
        )  # fmt: skip
    return unknown.take(alone["_row"].combine_chunks().sort())
