"""Rows out of one state of a table, in an order that depends on that state alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from include.errors import DataContractError
from include.lake.evolution import Migration, published_schema, stepped, steps_between
from include.lake.retype import retyped
from include.lake.schemas import PARTITION

Columns: TypeAlias = Sequence[str] | pa.Schema | None
"""Names of columns, or a schema: then also the types that they are wanted in. None: all."""


_RETYPED = (
    "The column has been given another type since: publish the partition again with the present "
    "definition, or train a model with the new type."
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
    where: pc.Expression | None = None,
    migrations: Sequence[Migration] = (),
) -> pa.Table:
    """Read partitions and columns of an opened table; see `TableReader.read`."""
    held = _columns_held(name, table, partitions, columns)
    rows = stored_rows(table, partitions, held, where)
    if isinstance(columns, pa.Schema):
        return _as_asked(f"table {name}, version {table.version()}", rows, columns, migrations)
    return rows


def batches_of(
    name: str, table: DeltaTable, partitions: Sequence[str] | None, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Read the same rows piece by piece; see `TableReader.batches`."""
    held = _columns_held(name, table, partitions, columns)
    rows = _dataset(table, partitions)
    yield from rows.to_batches(columns=held, batch_readahead=2, fragment_readahead=1)


def _columns_held(
    name: str, table: DeltaTable, partitions: Sequence[str] | None, columns: Columns
) -> list[str]:
    """Name the columns to read; refuse partitions and columns that are not there."""
    subject = f"table {name}, version {table.version()}"
    _known(subject, "partition", partitions or [], partitions_of(table))
    there = schema_of(table)
    if isinstance(columns, pa.Schema):
        return [column for column in columns.names if column in there.names]
    if columns is None:
        return list(published_schema(there).names)
    _known(subject, "column", columns, there.names)
    return list(columns)


def stored_rows(
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Sequence[str],
    where: pc.Expression | None = None,
) -> pa.Table:
    """Read rows as they are stored; a column that a partition was published without is missing."""
    rows = _dataset(table, partitions).to_table(columns=list(columns), filter=where)
    return rows.replace_schema_metadata(None)


def slice_filter(within: Mapping[str, str]) -> pc.Expression:
    """Tell which rows are in a slice: those with the value in each column."""
    return reduce(
        and_, [pc.field(column) == value for column, value in within.items()], pc.scalar(True)
    )


def _dataset(table: DeltaTable, partitions: Sequence[str] | None) -> ds.FileSystemDataset:
    # Each file that is named here costs 0.4 ms: of many partitions only those that are read.
    wanted = None if partitions is None else [(PARTITION, "in", list(partitions))]
    whole = table.to_pyarrow_dataset(filesystem=_local(table), file_pruning_predicate=wanted)
    # The log names files in no fixed order, and a training must see the same rows in the same order
    # each time.
    # A file's name begins with its partition and its number in the write.
    files = sorted(whole.get_fragments(), key=lambda fragment: str(fragment.path))
    return ds.FileSystemDataset(files, whole.schema, whole.format, whole.filesystem)


def _local(table: DeltaTable) -> SubTreeFileSystem | None:
    """Return Arrow's own access to a local table's folder; None for a store, which deltalake opens.

    Deltalake's files are Python objects. An Arrow thread that lets go of one while the interpreter
    ends aborts the process, after all its work (https://github.com/apache/arrow/issues/34314).
    """
    address = urlsplit(table.table_uri)
    if address.scheme != "file":
        return None
    return SubTreeFileSystem(unquote(address.path), LocalFileSystem())


def _as_asked(
    where: str, rows: pa.Table, asked: pa.Schema, migrations: Sequence[Migration]
) -> pa.Table:
    """Convert to the types asked for, by migrations or exactly; what is not there is null."""
    columns = [
        _converted(rows[one.name], one, f"{where}: column {one.name!r}", migrations)
        if one.name in rows.column_names
        else pa.nulls(rows.num_rows, one.type)
        for one in asked
    ]
    return pa.table(columns, schema=asked)


def _converted(
    values: pa.ChunkedArray, asked: pa.Field, where: str, migrations: Sequence[Migration]
) -> pa.ChunkedArray:
    if steps := steps_between(asked.name, values.type, asked.type, migrations):
        return stepped(values, steps, where)
    return retyped(values, asked.type, where, next_step=_RETYPED)


def _known(where: str, kind: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    unknown = [one for one in wanted if one not in there]
    if unknown:
        raise DataContractError(
            f"{where}: {kind} {unknown} must be one that is there: {list(there)}. "
            f"Correct the name, or run the phase that makes the {kind} first."
        )
