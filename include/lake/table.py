"""The lake's tables: read at any version, written a partition at a time behind a fence.

Every table has a string column `partition`, Delta's own partition column, added on the way in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from include.errors import ConfigError, DataContractError
from include.lake.content import content_version
from include.lake.errors import StaleAttempt, is_remote
from include.lake.reading import batches_of, partitions_of, rows_of
from include.lake.records import (
    Fact,
    Input,
    Published,
    Writer,
    append_metadata,
    check_token,
    commit_metadata,
)
from include.lake.schemas import PARTITION
from include.lake.store import Change, Fence, Store, schema_of
from include.lake.writing import APPENDED, KEPT, check_data, with_partition

__all__ = ["Input", "Lake", "LakeTable", "Published", "StaleAttempt", "Writer"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Lake:
    """All tables, one folder each: `<uri>/<use case>/<stage>`.

    Parameters
    ----------
    uri : str
        A folder, or an address such as `s3://bucket/lake`.
    storage_options : mapping of str to str, optional
        For object stores: `Settings.storage_options()`.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.uri = uri.rstrip("/") if is_remote(uri) else str(Path(uri).expanduser().resolve())
        self.storage_options = dict(storage_options or {})

    def table(self, use_case: str, stage: str) -> LakeTable:
        """Name a table; the store is not touched."""
        for name in (use_case, stage):
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"lake table {use_case}/{stage}: names are lower-case letters, digits and "
                    f"'_', got {name!r}. "
                    "Rename the use case or the reference."
                )
        store = Store(f"{use_case}.{stage}", f"{self.uri}/{use_case}/{stage}", self.storage_options)
        return LakeTable(store)


class LakeTable:
    """One versioned table. It holds no state: each call reads the table as it is then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.name = store.name

    def __repr__(self) -> str:
        return f"LakeTable({self.name!r} at {self._store.uri!r})"

    def exists(self) -> bool:
        """Whether anything was ever published."""
        return self._store.open() is not None

    def version(self) -> int:
        """Newest Delta version."""
        return self._opened().version()

    def schema(self) -> pa.Schema:
        """Give the schema of what is published, without the partition column."""
        schema = schema_of(self._opened())
        return schema.remove(schema.get_field_index(PARTITION))

    def partitions(self, version: int | None = None) -> list[str]:
        """Partitions that hold rows, sorted; none when there is no table."""
        table = self._store.open(version)
        return [] if table is None else partitions_of(table)

    def partition_version(self, partition: str, version: int | None = None) -> int | None:
        """Digest of the partition's rows, None where nothing was ever published."""
        return self._number(_content(partition), version)

    def consumed(self, partition: str, source: str) -> int | None:
        """Version of `source` that the partition's rows were made from.

        None where it was not, and for a partition without rows: one that was cleared is to be made
        again, also from the very same source.
        """
        return self.made_from({partition: [source]})[partition][source]

    def partition_versions(self, keys: Collection[str] | None = None) -> dict[str, int | None]:
        """`partition_version` of every partition that holds rows, from one look at the table.

        Parameters
        ----------
        keys : collection of str, optional
            Only of these. Each version costs Delta a look at its log, so who needs one names it.
        """
        table = self._store.open()
        if table is None:
            return {}
        held = [key for key in partitions_of(table) if keys is None or key in keys]
        return {key: table.transaction_version(_content(key)) for key in held}

    def consumed_versions(self, source: str, partitions: Sequence[str]) -> dict[str, int | None]:
        """`consumed` of several partitions, from one look at the table."""
        made = self.made_from({key: [source] for key in partitions})
        return {key: made[key][source] for key in partitions}

    def made_from(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, int | None]]:
        """`consumed` of several sources for each partition, from one look at the table."""
        table = self._store.open()
        there = set() if table is None else set(partitions_of(table))
        made: dict[str, dict[str, int | None]] = {}
        for key, sources in wanted.items():
            made[key] = dict.fromkeys(sources)
            if table is not None and key in there:  # Delta keeps the numbers of a cleared one
                made[key] = {one: table.transaction_version(f"{key}<{one}") for one in sources}
        return made

    def last_sequence(self, app_id: str) -> int | None:
        """Last sequence that `append` has written for an `app_id`."""
        return self._number(f"append:{app_id}")

    def read(
        self,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Read rows, in an order that is always the same for a version.

        Parameters
        ----------
        partitions : sequence of str, optional
            Default: all.
        columns : sequence of str, optional
            Default: all, and the column `partition`.
        version : int, optional
            A Delta version; default: the newest.
        where : pyarrow.compute.Expression, optional
            Only rows for which it holds. Files are left out by their statistics: Delta keeps those
            of times in milliseconds, so a lower bound should be a millisecond lower.

        Raises
        ------
        DataContractError
            When there is no such table, version, partition or column.
        """
        return rows_of(self._store, self._opened(version), partitions, columns, where)

    def batches(
        self,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """`read` piece by piece: memory does not grow with the rows."""
        return batches_of(self._store, self._opened(version), partitions, columns)

    def read_input(
        self, partition: str, columns: Sequence[str] | None = None
    ) -> tuple[pa.Table, Input]:
        """Read one partition, and say which version that was: both of one and the same state."""
        table = self._opened()
        rows = rows_of(self._store, table, [partition], columns)
        version = table.transaction_version(_content(partition))
        return rows, Input(self.name, table.version(), version)

    def publish(
        self,
        data: pa.Table,
        *,
        partition: str,
        schema: pa.Schema,
        writer: Writer,
        inputs: Sequence[Input] = (),
        consumed: Mapping[str, int] | None = None,
        facts: Mapping[str, Fact] | None = None,
        volatile: Collection[str] = (),
    ) -> Published:
        """Replace one partition in one commit. The same attempt may call it again: nothing doubles.

        Rows that are there already are not written again, and the partition's version stays: only
        what it was made from is noted.

        Parameters
        ----------
        data : pyarrow.Table
            At least one row, without the partition column.
        partition : str
            The partition's key.
        schema : pyarrow.Schema
            What `data` must be, to the letter.
        writer : Writer
            Who publishes.
        inputs : sequence of Input
            The tables that were read. A partition version counts as consumed.
        consumed : mapping of str to int, optional
            Versions of other sources, such as the fingerprint of landed files; see `consumed()`.
        facts : mapping of str to (str, int, float or bool), optional
            Kept with the commit; see `facts()`.
        volatile : collection of str
            Columns that make no difference between rows, such as the time of the computation.

        Raises
        ------
        DataContractError
            When the data is empty, or of another schema than asked for or than the table's.
        StaleAttempt
            When a later attempt has published this partition already.
        """
        check_data(self.name, data, schema)
        read = {
            one.table: one.partition_version for one in inputs if one.partition_version is not None
        }
        used = {**read, **(consumed or {})}
        metadata = commit_metadata(
            partition, writer, rows=data.num_rows, inputs=inputs, consumed=used, facts=facts
        )
        return self._replace(data, partition, writer, metadata, used, volatile)

    def clear(
        self, partition: str, writer: Writer, facts: Mapping[str, Fact] | None = None
    ) -> Published | None:
        """Take one partition's rows away in one commit, fenced as `publish` is.

        None when there is no table. Where there are no rows it is done all the same: an older
        attempt must not publish them afterwards.
        """
        table = self._store.open()
        if table is None:
            return None
        schema = schema_of(table)
        empty = schema.remove(schema.get_field_index(PARTITION)).empty_table()
        metadata = commit_metadata(partition, writer, rows=0, facts=facts)
        return self._replace(empty, partition, writer, metadata, {})

    def append(
        self,
        data: pa.Table,
        *,
        partition: str,
        schema: pa.Schema,
        app_id: str,
        sequence: int,
        run_id: str | None = None,
        kept: bool = False,
    ) -> int | None:
        """Add rows, exactly once for each sequence of an `app_id`.

        With a `run_id` it is a compare-and-set: of two runs that append the same sequence, one gets
        None. A `kept` table keeps its log for years, others for a month.

        Returns
        -------
        int or None
            The Delta version; None when this sequence, or a later one, was written before.
        """
        check_data(self.name, data, schema)
        check_token(sequence, f"table {self.name}: sequence")
        fence = Fence(f"append:{app_id}", sequence)
        metadata = append_metadata(partition, fence.app_id, sequence, data.num_rows, run_id)
        rows = with_partition(self.name, data, partition)
        try:
            done = self._store.commit(
                fence,
                Change(partition, rows, "append", metadata, properties=KEPT if kept else APPENDED),
            )
        except StaleAttempt:
            return None
        return done.version if done.fresh else None

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
            `run_id`, `attempt`, `token`, `code_version`, `inputs`, `consumed`, `facts`.
        """
        table = self._store.open()
        return [] if table is None else self._store.records(table, limit)

    def facts(self, partition: str) -> dict[str, Any]:
        """Find a partition's last publish in `history()`; its facts are under `facts`."""
        table = self._opened()
        token = table.transaction_version(partition)
        found = None if token is None else self._store.find(table, fence=[partition, token])
        if found is None:
            raise DataContractError(
                f"table {self.name}: partition {partition!r} was never published, there is "
                f"{partitions_of(table)}. "
                "Run the phase that publishes it first."
            )
        return found

    def _number(self, app_id: str, version: int | None = None) -> int | None:
        table = self._store.open(version)
        return None if table is None else table.transaction_version(app_id)

    def _opened(self, version: int | None = None) -> DeltaTable:
        table = self._store.open(version)
        if table is None:
            stage = self.name.partition(".")[2]
            raise DataContractError(
                f"table {self.name} has nothing yet (looked in {self._store.uri}). "
                f"Run the phase that publishes {stage!r} first."
            )
        return table

    def _replace(
        self,
        data: pa.Table,
        partition: str,
        writer: Writer,
        metadata: dict[str, Any],
        used: Mapping[str, int],
        volatile: Collection[str] = (),
    ) -> Published:
        check_token(writer.token, f"table {self.name}: token")
        transactions = {f"{partition}<{source}": number for source, number in used.items()}
        rows = with_partition(self.name, data, partition)
        content = (_content(partition), content_version(data, volatile))
        change = Change(partition, rows, "overwrite", metadata, transactions, content, KEPT)
        done = self._store.commit(Fence(partition, writer.token), change)
        return Published(
            self.name, partition, done.version, content[1], data.num_rows, done.changed
        )


def _content(partition: str) -> str:
    """Name the transaction that holds the digest of a partition's rows; no partition has a '#'."""
    return f"{partition}#"
