"""What is checked and added on the way into a table."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from include.errors import ConfigError, DataContractError
from include.lake.schemas import PARTITION, check_same, check_types

# Stands in Delta's predicate, in folder names and in the fence's names: no quote, no slash, no '<'.
_PARTITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# A champion's training set must stay readable as long as the model may be asked about. Without a
# checkpoint every 20 commits, opening a table would read up to 100 small files.
KEPT = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.checkpointInterval": "20",
}
# Appended every few seconds and never a training set: nothing reads it at an old version. What is
# replaced stands in every checkpoint until it expires, and each append reads the last one: 1,000 of
# them make an append 2.5 times as slow (`benchmarks/requests_append.py`).
# The files themselves stay for an hour (`include/lake/compaction.py`).
APPENDED = {
    "delta.logRetentionDuration": "interval 2 minutes",
    "delta.deletedFileRetentionDuration": "interval 2 minutes",
    "delta.checkpointInterval": "20",
}


def check_data(name: str, data: pa.Table, schema: pa.Schema) -> None:
    """Refuse data that is empty, not of the schema, or of types the lake does not keep."""
    check_types(schema, name)
    check_same(
        data.schema,
        schema,
        f"table {name}: the data is not what it must be",
        "Nothing was written. Convert the data (include.lake.frames.to_arrow), "
        "or correct the schema.",
    )
    if data.num_rows == 0:
        raise DataContractError(
            f"table {name}: a partition must hold at least one row, got none. "
            "Nothing was written. Look why the phase before left nothing."
        )


def slice_numbers(name: str, data: pa.Table, within: Mapping[str, str]) -> dict[str, int]:
    """Give the number of each column of a slice; refuse another value, and rows outside it."""
    for column, value in within.items():
        found = sorted(map(str, data[column].unique().to_pylist()))
        if not (value.isascii() and value.isdigit()) or found != [value]:
            raise DataContractError(
                f"table {name}: a slice must be a whole number in text that all of its rows have "
                f"in the column {column!r}, asked for was {value!r} and the rows have "
                f"{found[:5]}. Nothing was written. Publish each slice by itself."
            )
    return {column: int(value) for column, value in within.items()}


def with_partition(name: str, data: pa.Table, partition: str) -> pa.Table:
    """Add the partition column."""
    if not _PARTITION.fullmatch(partition):
        raise ConfigError(
            f"table {name}: a partition is named with letters, digits, '-', '_' and '.', "
            f"got {partition!r}. Give a key like '2013-06'."
        )
    column = pa.repeat(pa.scalar(partition, pa.string()), data.num_rows)
    # In one chunk: a table of several is not written in its order.
    return data.replace_schema_metadata(None).append_column(PARTITION, column).combine_chunks()
