"""Parquet: its columns, which have types of their own."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from include.errors import DataContractError, bounded
from include.ingest_label.cells import MALFORMED


def cells_of(content: bytes, path: str, most: int | None) -> tuple[pa.Table, int]:
    """Read columns; of more than `most` rows every n-th.

    Raises
    ------
    DataContractError
        It is not readable.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        rows, kept, seen = file.metadata.num_rows, [], 0
        every = 1 if most is None else -(-max(rows, 1) // most)
        for batch in file.iter_batches():
            first = -seen % every
            kept.append(batch.take(pa.array(range(first, batch.num_rows, every), pa.int64())))
            seen += batch.num_rows
        return pa.Table.from_batches(kept, file.schema_arrow), rows
    except MALFORMED as error:
        raise DataContractError(
            f"{path}: is no readable Parquet file ({bounded(str(error), 200)}). Correct DATA."
        ) from None


def written(cells: pa.Table) -> bytes:
    """Write rows."""
    stream = io.BytesIO()
    pq.write_table(cells, stream)
    return stream.getvalue()
