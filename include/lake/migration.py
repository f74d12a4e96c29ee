"""Convert the rows of a whole table, for a commit that changes the type of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from deltalake import DeltaTable

from include.lake.evolution import Evolution, migrated
from include.lake.reading import partitions_of, schema_of, slice_filter, stored_rows
from include.lake.schemas import PARTITION


@contextmanager
def whole_table(
    name: str,
    table: DeltaTable,
    rows: pa.Table,
    evolution: Evolution,
    within: Mapping[str, str] | None,
) -> Iterator[pa.Table | pa.RecordBatchReader]:
    """Give what a publish writes: its own rows and, where a type changes, all other rows.

    The other rows are converted into a temporary file first: Delta cannot read a table while it
    writes a stream. Memory holds one partition at a time, and a value that does not fit is found
    before anything is written. Of the partition that is published, the rows outside the slice
    `within` stay; None, for an append, keeps all of them.

    Raises
    ------
    DataContractError
        When a value does not fit its new type and the migration refuses it.
    """
    if not evolution.retypes:
        yield rows
        return
    own = rows[PARTITION].unique().to_pylist()
    columns = schema_of(table).names
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "converted.arrow")
        with pa.ipc.new_file(path, evolution.schema) as file:
            for partition in partitions_of(table):
                if partition not in own or within != {}:
                    stored = stored_rows(table, [partition], columns)
                    if partition in own and within is not None:
                        stored = stored.filter(~slice_filter(within))
                    where = f"table {name}, partition {partition}"
                    # In one batch: several are not written in their order.
                    file.write(migrated(stored, evolution, where).combine_chunks())
        with pa.memory_map(path) as mapped:
            held = pa.ipc.open_file(mapped)
            batches = (held.get_batch(number) for number in range(held.num_record_batches))
            yield pa.RecordBatchReader.from_batches(
                evolution.schema, chain(rows.to_batches(), batches)
            )
