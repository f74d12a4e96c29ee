"""The lake's tables: read at any version, written a partition at a time behind a fence.

Every table has a string column `partition`, Delta's own partition column, added on the way in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.errors import ConfigError
from include.lake.compaction import compact
from include.lake.content import content_version
from include.lake.errors import StaleAttempt, is_remote
from include.lake.evolution import Migration, published_schema
from include.lake.reader import TableReader
from include.lake.reading import schema_of
from include.lake.records import (
    Fact,
    Input,
    Published,
    Writer,
    append_metadata,
    check_token,
    commit_metadata,
    content_of,
)
from include.lake.schemas import PARTITION
from include.lake.store import Change, Fence, Store
from include.lake.writing import APPENDED, KEPT, check_data, slice_numbers, with_partition
from include.settings import StorageOptions

__all__ = ["Input", "Lake", "LakeTable", "Published", "StaleAttempt", "Writer"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Lake:
    """All tables, one folder each: `<uri>/<use case>/<stage>`.

    Parameters
    ----------
    uri : str
        A folder, or an address such as `s3://bucket/lake`.
    storage_options : mapping of str to str, or callable, optional
        For object stores: `Settings.storage_options()`, or a function that gives them. It is asked
        each time that a table is opened.
    """

    def __init__(self, uri: str, storage_options: StorageOptions | None = None) -> None:
        self.uri = uri.rstrip("/") if is_remote(uri) else str(Path(uri).expanduser().resolve())
        self.storage_options = storage_options or {}

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


class LakeTable(TableReader):
    """One versioned table, to read and to write."""

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
        origin: Collection[str] = (),
        migrations: Sequence[Migration] = (),
        within: Mapping[str, str] | None = None,
    ) -> Published:
        """Replace one partition in one commit. The same attempt may call it again: nothing doubles.

        Rows that are there already are not written again, and the partition's version stays: only
        what it was made from is noted.

        The table's columns follow, in the same commit: a new one is null in the other partitions
        until they are published again; one that is left out is null from here on, and what the
        other partitions hold of it can still be read by its name. Another type needs a migration:
        then the rows of all partitions are converted. Their versions stay until they are published
        again: a conversion makes nothing due.

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
        origin : collection of str
            Columns that say where a row came from. Where they alone differ the rows are written,
            but the partition's version stays: what is made from it is not due.
        migrations : sequence of Migration
            Declared changes of columns' types, in their order.
        within : mapping of str to str, optional
            Column and value of a slice, such as ``{"model_version": "7"}``: only these rows of the
            partition are replaced. All of `data` must be in it, and the value must be a whole
            number in text, because it is noted as consumed under the column's name. The version of
            the partition is that of the slice that was published last; see `read_current`.

        Raises
        ------
        DataContractError
            When the data is empty or not of the schema, or a column's type is another than the
            table's without a migration, or a value does not fit the new type.
        StaleAttempt
            When a later attempt has published this partition already.
        """
        check_data(self.name, data, schema)
        read = {
            one.table: one.partition_version for one in inputs if one.partition_version is not None
        }
        slices = slice_numbers(self.name, data, within or {})
        used = {**read, **(consumed or {}), **slices}
        metadata = commit_metadata(
            partition,
            writer,
            rows=data.num_rows,
            columns=schema.names,
            inputs=inputs,
            consumed=used,
            facts=facts,
        )
        return self._replace(
            data,
            partition,
            writer,
            metadata,
            used,
            volatile=volatile,
            origin=origin,
            migrations=migrations,
            within=within,
        )

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
        schema = published_schema(schema_of(table))
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
        migrations: Sequence[Migration] = (),
    ) -> int | None:
        """Add rows, exactly once for each sequence of an `app_id`.

        With a `run_id` it is a compare-and-set: of two runs that append the same sequence, one gets
        None. A `kept` table keeps its log for years, others for two minutes: have these
        compacted. `migrations` are as for `publish`.

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
                Change(
                    partition,
                    rows,
                    "append",
                    metadata,
                    properties=KEPT if kept else APPENDED,
                    migrations=migrations,
                ),
            )
        except StaleAttempt:
            return None
        return done.version if done.fresh else None

    def compact(self) -> tuple[int, int] | None:
        """Put the small files of a table that is appended to together; see `compact`."""
        return compact(self._store)

    def _replace(
        self,
        data: pa.Table,
        partition: str,
        writer: Writer,
        metadata: dict[str, Any],
        used: Mapping[str, int],
        *,
        volatile: Collection[str] = (),
        origin: Collection[str] = (),
        migrations: Sequence[Migration] = (),
        within: Mapping[str, str] | None = None,
    ) -> Published:
        check_token(writer.token, f"table {self.name}: token")
        transactions = {f"{partition}<{source}": number for source, number in used.items()}
        rows = with_partition(self.name, data, partition)
        content = (content_of(partition, within), content_version(data, {*volatile, *origin}))
        transactions[content_of(partition)] = content[1]
        came_from = (f"{partition}#origin", content_version(data.select(list(origin))))
        change = Change(
            partition,
            rows,
            "overwrite",
            metadata,
            transactions,
            content=content,
            origin=came_from if origin else None,
            properties=KEPT,
            migrations=migrations,
            within=within or {},
        )
        done = self._store.commit(Fence(partition, writer.token), change)
        return Published(
            self.name, partition, done.version, content[1], data.num_rows, done.changed
        )
