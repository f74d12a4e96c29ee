"""Rows out of one state of a table, in an order that depends on that state alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from include.errors import DataContractError
from include.lake.errors import store_trouble
from include.lake.schemas import PARTITION
from include.lake.store import Store


def partitions_of(table: DeltaTable) -> list[str]:
    """Partitions that hold rows, sorted."""
    return sorted(str(values[PARTITION]) for values in table.partitions())


def rows_of(
    store: Store,
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Sequence[str] | None,
    where: pc.Expression | None = None,
) -> pa.Table:
    """Read partitions and columns of an opened table; see `LakeTable.read`."""
    with _readable(store, table):
        selected = None if columns is None else list(columns)
        return _dataset(store, table, partitions, columns).to_table(selected, filter=where)


def batches_of(
    store: Store,
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> Iterator[pa.RecordBatch]:
    """Read the same rows piece by piece; see `LakeTable.batches`."""
    with _readable(store, table):
        selected = None if columns is None else list(columns)
        whole = _dataset(store, table, partitions, columns)
        yield from whole.to_batches(columns=selected, batch_readahead=2, fragment_readahead=1)


def _dataset(
    store: Store,
    table: DeltaTable,
    partitions: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> ds.FileSystemDataset:
    where = f"table {store.name}, version {table.version()}"
    _known(where, "partition", partitions or [], partitions_of(table))
    whole = table.to_pyarrow_dataset()
    _known(where, "column", columns or [], whole.schema.names)
    wanted = (
        None if partitions is None else pc.field(PARTITION).isin(pa.array(partitions, pa.string()))
    )
    # The log names files in no fixed order, and a training must see the same rows in the same order
    # each time.
    # A file's name begins with its partition and its number in the write.
    files = sorted(whole.get_fragments(filter=wanted), key=lambda fragment: str(fragment.path))
    return ds.FileSystemDataset(files, whole.schema, whole.format, whole.filesystem)


@contextmanager
def _readable(store: Store, table: DeltaTable) -> Iterator[None]:
    """Say what it means when a data file cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataContractError(
            f"table {store.name}, version {table.version()}: its data files must be there, but "
            f"one is gone: {error}. "
            "Someone vacuumed the table: read a newer version, or restore the file from a backup."
        ) from error
    except OSError as error:
        raise store_trouble(store.name, store.uri, "read", error) from error


def _known(where: str, kind: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    unknown = [one for one in wanted if one not in there]
    if unknown:
        raise DataContractError(
            f"{where}: {kind} {unknown} must be one that is there: {list(there)}. "
            f"Correct the name, or run the phase that makes the {kind} first."
        )
