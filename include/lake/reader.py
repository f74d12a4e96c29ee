"""What a table can be asked: its rows at any version, and the facts of its commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from include.errors import DataContractError
from include.lake.evolution import Migration, published_schema
from include.lake.reading import (
    Columns,
    batches_of,
    partitions_of,
    row_counts_of,
    rows_of,
    schema_of,
    slice_filter,
)
from include.lake.records import Input, content_of
from include.lake.schemas import PARTITION
from include.lake.store import Store


class TableReader:
    """One versioned table. It holds no state: each call reads the table as it is then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.name = store.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r} at {self._store.uri!r})"

    def exists(self) -> bool:
        """Whether anything was ever published."""
        return self._store.open() is not None

    def version(self) -> int:
        """Newest Delta version."""
        return self._opened().version()

    def schema(self, version: int | None = None) -> pa.Schema:
        """Give the schema of what is published now, or was then, without the partition column."""
        schema = published_schema(schema_of(self._opened(version)))
        return schema.remove(schema.get_field_index(PARTITION))

    def holds(self, column: str, version: int | None = None) -> bool:
        """Whether a partition may hold a column, also one that is not published any more."""
        return column in schema_of(self._opened(version)).names

    def partitions(self, version: int | None = None) -> list[str]:
        """Partitions that hold rows, sorted; none when there is no table."""
        table = self._store.open(version)
        return [] if table is None else self._held(table)

    def partition_versions(
        self, keys: Collection[str] | None = None, version: int | None = None
    ) -> dict[str, int | None]:
        """Digest of the rows of each partition that holds any, from one look at the table.

        Parameters
        ----------
        keys : collection of str, optional
            Only of these. Each version costs Delta a look at its log, so who needs one names it.
        version : int, optional
            A Delta version; default: the newest.

        Returns
        -------
        dict of str to (int or None)
            None for rows that were appended: they have no version of their own.
        """
        table = self._store.open(version)
        if table is None:
            return {}
        with self._store.reading():
            held = [key for key in partitions_of(table) if keys is None or key in keys]
            return {key: table.transaction_version(content_of(key)) for key in held}

    def row_counts(self) -> dict[str, int]:
        """Rows of each partition that holds any, as the log says: none is read."""
        table = self._store.open()
        if table is None:
            return {}
        with self._store.reading():
            return row_counts_of(table)

    def made_from(
        self, wanted: Mapping[str, Iterable[str]], version: int | None = None
    ) -> dict[str, dict[str, int | None]]:
        """Version of each source that a partition's rows were made from, from one look.

        Parameters
        ----------
        wanted : mapping of str to iterable of str
            Partition, and the sources that are asked about.
        version : int, optional
            A Delta version; default: the newest.

        Returns
        -------
        dict of str to dict of str to (int or None)
            None for a source that the rows were not made from, and for all sources of a partition
            without rows: one that was cleared is to be made again, also from the very same source.
        """
        table = self._store.open(version)
        made: dict[str, dict[str, int | None]] = {}
        with self._store.reading():
            there = set() if table is None else set(partitions_of(table))
            for key, sources in wanted.items():
                made[key] = dict.fromkeys(sources)
                if table is not None and key in there:  # Delta keeps the numbers of a cleared one
                    made[key] = {one: table.transaction_version(f"{key}<{one}") for one in sources}
        return made

    def last_sequence(self, app_id: str) -> int | None:
        """Last sequence that `append` has written for an `app_id`."""
        table = self._store.open()
        return None if table is None else self._store.number(table, f"append:{app_id}")

    def read(
        self,
        partitions: Sequence[str] | None = None,
        columns: Columns = None,
        version: int | None = None,
        where: pc.Expression | None = None,
        migrations: Sequence[Migration] = (),
    ) -> pa.Table:
        """Read rows, in an order that is always the same for a version.

        Parameters
        ----------
        partitions : sequence of str, optional
            Default: all.
        columns : sequence of str or pyarrow.Schema, optional
            Default: all that are published now, and the column `partition`. A partition that was
            published without a column has nulls there; a dropped column can be named. A schema asks
            for types too: what the table does not have at all is null then, and what has another
            type by now is converted, if every value fits.
        version : int, optional
            A Delta version; default: the newest.
        where : pyarrow.compute.Expression, optional
            Only rows for which it holds. Files are left out by their statistics: Delta keeps those
            of times in milliseconds, so a lower bound should be a millisecond lower.
        migrations : sequence of Migration
            Declared changes of columns' types: what a schema asks for is converted by those that
            lead there.

        Raises
        ------
        DataContractError
            When there is no such table, version, partition or column, or a value does not fit the
            type that is asked for.
        ServiceUnavailable
            When the store fails.
        """
        return self._rows(self._opened(version), partitions, columns, where, migrations)

    def batches(
        self,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """`read` piece by piece: memory does not grow with the rows."""
        table = self._opened(version)
        with self._store.reading():
            yield from batches_of(self.name, table, partitions, columns)

    def read_input(self, partition: str, columns: Columns = None) -> tuple[pa.Table, Input]:
        """Read one partition, and say which version that was: both of one and the same state."""
        table = self._opened()
        rows = self._rows(table, [partition], columns)
        return rows, self._input(table, partition)

    def read_current(
        self, partition: str, by: str, columns: Columns = None
    ) -> tuple[pa.Table, Input]:
        """Read the slice of a partition that was published last, as `read_input` does.

        Parameters
        ----------
        partition : str
            The partition's key.
        by : str
            The column that it is sliced by; see `publish`. A partition that was published as a
            whole is read as a whole.
        columns : sequence of str or pyarrow.Schema, optional
            As for `read`.
        """
        table = self._opened()
        number = self._store.number(table, f"{partition}<{by}")
        where = None if number is None else slice_filter({by: str(number)})
        rows = self._rows(table, [partition], columns, where)
        return rows, self._input(table, partition)

    def pin(self, version: int | None = None) -> Input:
        """Name the table as it is now, or as it was at a Delta version, to be read again later."""
        table = self._opened(version)
        return Input(self.name, table.version(), None, str(table.metadata().id))

    def check_pin(self, pinned: Input) -> None:
        """Refuse a pin of another table than the one that stands here now.

        Raises
        ------
        DataContractError
            When the table was moved away or made anew since, or that version is gone.
        """
        present = str(self._opened().metadata().id)
        if pinned.table_id not in (None, present):
            raise DataContractError(
                f"table {self.name}: version {pinned.version} was pinned in the table with the id "
                f"{pinned.table_id}, but the table in {self._store.uri} has the id {present}: the "
                "former one was moved away or created again, and the versions of this one hold "
                "other rows. Nothing was read. Put the former table back to read that version, or "
                "start a new training."
            )
        self._opened(pinned.version)

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """List publishes, newest first, JSON-safe.

        Parameters
        ----------
        limit : int, optional
            How many commits to look at.

        Returns
        -------
        list of dict
            `version`, `timestamp` (ISO, UTC), `partition`, `rows`, `changed`, and for a publish
            `run_id`, `attempt`, `token`, `code_version`, `columns`, `inputs`, `consumed`, `facts`.
        """
        table = self._store.open()
        return [] if table is None else self._store.records(table, limit)

    def facts(self, partition: str, version: int | None = None) -> dict[str, Any]:
        """Find a partition's last publish in `history()`; its facts are under `facts`.

        With `version`, the last one up to that Delta version.
        """
        table = self._opened()
        token = self._store.number(table, partition)
        if version is not None:
            found = self._store.find(table, up_to=version, partition=partition)
        else:
            found = None if token is None else self._store.find(table, fence=[partition, token])
        if found is None:
            raise DataContractError(
                f"table {self.name}: partition {partition!r} was never published, there is "
                f"{self._held(table)}. "
                "Run the phase that publishes it first."
            )
        return found

    def lacks(self, partition: str, columns: Iterable[str]) -> list[str]:
        """Name the columns that a partition was published without: they read as null there."""
        there = self.facts(partition)["columns"]
        return [name for name in columns if name not in there]

    def _rows(
        self,
        table: DeltaTable,
        partitions: Sequence[str] | None,
        columns: Columns,
        where: pc.Expression | None = None,
        migrations: Sequence[Migration] = (),
    ) -> pa.Table:
        with self._store.reading():
            return rows_of(self.name, table, partitions, columns, where, migrations)

    def _input(self, table: DeltaTable, partition: str) -> Input:
        version = self._store.number(table, content_of(partition))
        return Input(self.name, table.version(), version, str(table.metadata().id))

    def _held(self, table: DeltaTable) -> list[str]:
        with self._store.reading():
            return partitions_of(table)

    def _opened(self, version: int | None = None) -> DeltaTable:
        table = self._store.open(version)
        if table is None:
            stage = self.name.partition(".")[2]
            raise DataContractError(
                f"table {self.name} has nothing yet (looked in {self._store.uri}). "
                f"Run the phase that publishes {stage!r} first."
            )
        return table
