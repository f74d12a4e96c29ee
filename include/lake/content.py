"""The version of a partition is a digest of its rows: equal rows have equal versions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

# A batch is copied while it is digested: this bounds the memory, whatever the table's size.
_BATCH_ROWS = 100_000


def content_version(data: pa.Table, leave_out: Collection[str] = ()) -> int:
    """Digest rows, column names and types into a whole number below 2**63.

    Tables that read alike have equal versions: a column without any value does not count, because
    rows that were published before the column existed read as nulls too.

    Delta keeps it as a transaction version, which has 63 bits: two contents of one partition are
    confused once in 10**18 publishes.

    Parameters
    ----------
    data : Table
        The order of rows counts, that of columns does not.
    leave_out : collection of str
        Columns that do not count, such as the time of the computation.

    Examples
    --------
    >>> one, two = pa.table({"a": [1, None]}), pa.table({"a": [1, 0]})
    >>> content_version(one) == content_version(pa.table({"a": [1, None]}))
    True
    >>> content_version(one) == content_version(two)
    False
    """
    kept = [
        name
        for name in sorted(data.column_names)
        if name not in leave_out and data[name].null_count < data.num_rows
    ]
    digest = hashlib.blake2b(f"{data.num_rows}\0".encode(), digest_size=8)
    for name in kept:
        digest.update(f"{name}\0{data.schema.field(name).type}\0".encode())
    rows = data.select(kept)
    for start in range(0, rows.num_rows, _BATCH_ROWS):
        for column in rows.slice(start, _BATCH_ROWS).columns:
            for array in _determined(column):
                # In Arrow's file format offsets begin at 0 and padding is zero, unlike in memory.
                digest.update(pa.record_batch([array], names=["c"]).serialize())
    return int.from_bytes(digest.digest(), "big") >> 1


def _determined(column: pa.ChunkedArray) -> list[pa.Array]:
    """Split a column into values and presence: what stands behind a missing value is arbitrary."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    # Both also where no value is missing: the values could be taken for another column's presence.
    nothing = "" if pa.types.is_string(array.type) else 0
    filler = pa.scalar(nothing, pa.int64() if pa.types.is_timestamp(array.type) else None)
    return [array.is_valid(), pc.fill_null(array, filler.cast(array.type))]
