"""Rows out of one state of a table, in an order that depends on that state alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    within: Mapping[str, str] | None = None,
) -> pa.Table:
    """Read partitions and columns of an opened table; see `LakeTable.read`.

    With `within`, a column and its value, only that slice of them.
    """
    where = f"table {store.name}, version {table.version()}"
    _known(where, "partition", partitions or [], partitions_of(table))
    whole = table.to_pyarrow_dataset()
    _known(where, "column", columns or [], whole.schema.names)
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
    try:
        return ordered.to_table(
            columns=None if columns is None else list(columns), filter=wanted if within else None
        )
    except FileNotFoundError as error:
        raise DataContractError(
            f"{where}: its data files must be there, but one is gone: {error}. "
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
