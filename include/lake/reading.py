"""Rows out of one state of a table, in an order that depends on that state alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from include.errors import DataContractError
from include.lake.evolution import published_schema
from include.lake.retype import retyped
from include.lake.schemas import PARTITION

Columns: TypeAlias = Sequence[str] | pa.Schema | None
"""Names of columns, or a schema: then also the types that they are wanted in. None: all."""


_RETYPED = (
    "The column was given another type since: publish the partition again by the definition of "
    "now, or train a model with the new type."
)


def partitions_of(table: DeltaTable) -> list[str]:
    """Partitions that hold rows, sorted."""
    return sorted(str(values[PARTITION]) for values in table.partitions())


def row_counts_of(table: DeltaTable) -> dict[str, int]:
    """Rows by partition, added up from the files that the log names."""
    files = pa.table(table.get_add_actions(flatten=True))
    counts: dict[str, int] = defaultdict(int)
    for key, rows in zip(
        files[f"partition.{PARTITION}"].to_pylist(), files["num_records"].to_pylist(), strict=True
    ):
        counts[key] += rows
    return dict(counts)


def schema_of(table: DeltaTable) -> pa.Schema:
    """Give a table's schema as it stands, with dropped columns and the partition column."""
    schema = pa.schema(table.schema().to_arrow())
    if PARTITION not in schema.names:
        raise DataContractError(
            f"Delta table {table.table_uri}: must have the column {PARTITION!r}, got "
            f"{schema.names}. "
            "It was not made by the lake: give the lake a folder of its own."
        )
    return schema


def rows_of(
    name: str,
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Columns,
    within: Mapping[str, str] | None = None,
) -> pa.Table:
    """Read partitions and columns of an opened table; see `TableReader.read`.

    With `within`, a column and its value, only that slice of them.
    """
    where = f"table {name}, version {table.version()}"
    _known(where, "partition", partitions or [], partitions_of(table))
    there = schema_of(table)
    if isinstance(columns, pa.Schema):
        held = [column for column in columns.names if column in there.names]
        return _as_asked(where, stored_rows(table, partitions, held, within), columns)
    if columns is None:
        return stored_rows(table, partitions, published_schema(there).names, within)
    _known(where, "column", columns, there.names)
    return stored_rows(table, partitions, columns, within)


def stored_rows(
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Sequence[str],
    within: Mapping[str, str] | None = None,
) -> pa.Table:
    """Read rows as they are stored; a column that a partition was published without is missing."""
    whole = table.to_pyarrow_dataset()
    wanted = (
        None if partitions is None else pc.field(PARTITION).isin(pa.array(partitions, pa.string()))
    )
    for column, value in (within or {}).items():
        chosen = pc.field(column) == value
        wanted = chosen if wanted is None else wanted & chosen
    # The log names files in no fixed order, and a training must see the same rows in the same order
    # each time.
    # A file's name begins with its partition and its number in the write.
    files = sorted(whole.get_fragments(filter=wanted), key=lambda fragment: str(fragment.path))
    ordered = ds.FileSystemDataset(files, whole.schema, whole.format, whole.filesystem)
    rows = ordered.to_table(columns=list(columns), filter=wanted if within else None)
    return rows.replace_schema_metadata(None)


def _as_asked(where: str, rows: pa.Table, asked: pa.Schema) -> pa.Table:
    """Convert to the types that are asked for, exactly; what is not there is null."""
    columns = [
        retyped(rows[one.name], one.type, f"{where}: column {one.name!r}", next_step=_RETYPED)
        if one.name in rows.column_names
        else pa.nulls(rows.num_rows, one.type)
        for one in asked
    ]
    return pa.table(columns, schema=asked)


def _known(where: str, kind: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    unknown = [one for one in wanted if one not in there]
    if unknown:
        raise DataContractError(
            f"{where}: {kind} {unknown} must be one that is there: {list(there)}. "
            f"Correct the name, or run the phase that makes the {kind} first."
        )
