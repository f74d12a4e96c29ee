"""One Delta table in a folder or an object store: opened, and committed to behind a fence."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from include.errors import DataContractError, ServiceUnavailable
from include.lake.errors import StaleAttempt, make_folder, store_trouble
from include.lake.records import commit_record, unchanged
from include.lake.schemas import PARTITION, check_same

logger = logging.getLogger(__name__)

_TRIES = 30
_HISTORY_STEPS = (20, 200, None)


@dataclass(frozen=True)
class Fence:
    """A number that a writer must exceed: one per `app_id`, kept in the table's log."""

    app_id: str
    token: int


@dataclass(frozen=True)
class Change:
    """What one commit does to one partition.

    Attributes
    ----------
    rows : pyarrow.Table
        With the partition column.
    mode : {'overwrite', 'append'}
        Replace the partition, or add to it.
    metadata : dict
        Goes into the commit.
    transactions : mapping of str to int
        Delta transactions besides the fence's own.
    content : tuple of str and int, optional
        Transaction that holds the digest of the rows that are replaced, and the digest of `rows`.
        Where they are equal only the transactions are committed: no rows are written again.
    within : mapping of str to str
        Column and value of the slice of the partition that is replaced; empty for all of it.
    properties : mapping of str to str
        Table properties, should this commit make the table.
    """

    partition: str
    rows: pa.Table
    mode: str
    metadata: dict[str, Any]
    transactions: Mapping[str, int] = field(default_factory=dict)
    content: tuple[str, int] | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    within: Mapping[str, str] = field(default_factory=dict)

    @property
    def predicate(self) -> str:
        """What is replaced, in Delta's words."""
        equal = {PARTITION: self.partition, **self.within}
        return " AND ".join(f"{column} = '{value}'" for column, value in equal.items())


@dataclass(frozen=True)
class Commit:
    """What came of a change.

    The Delta version that holds it, whether this call wrote it, and whether rows changed.
    """

    version: int
    fresh: bool
    changed: bool


@dataclass(frozen=True)
class Store:
    """Where a table is, and how it is reached."""

    name: str
    uri: str
    options: Mapping[str, str]

    def open(self, version: int | None = None) -> DeltaTable | None:
        """Read the log, once; None when there is no table yet."""
        try:
            return DeltaTable(self.uri, version=version, storage_options=dict(self.options))
        except TableNotFoundError:
            return None
        except (OSError, DeltaError) as error:
            newest = None if version is None else self.open()
            if newest is None:
                raise store_trouble(self.name, self.uri, "opened", error) from error
            raise DataContractError(
                f"table {self.name}: version {version} must be one that is kept, the newest is "
                f"{newest.version()}. Correct the number; a version older than the log is gone."
            ) from error

    def commit(self, fence: Fence, change: Change) -> Commit:
        """Write a change, exactly once for its fence.

        Returns
        -------
        Commit
            `fresh` is False where a former call with the same token wrote it.

        Raises
        ------
        StaleAttempt
            When the fence has seen a higher token.
        ServiceUnavailable
            When the store fails, or too many writers are in the way.
        """
        tried = False
        for attempt in range(_TRIES):
            # A fresh handle each time: the fence is compared with the very state that the commit is
            # made upon.
            # Delta refuses the commit when that partition has changed since.
            table = self.open()
            if table is not None:
                done = self._fenced(table, fence)
                if done:
                    record = self._record_of(table, fence, change.metadata)
                    return Commit(record["version"], fresh=tried, changed=record["changed"])
                self._check_schema(table, change.rows)
            tried = True
            try:
                if table is not None and _holds(table, change):
                    return self._touch(table, fence, change)
                return Commit(self._write(table, fence, change), fresh=True, changed=True)
            except (CommitFailedError, OSError, DeltaError) as error:
                # Also an error may hide a commit that was applied, when the answer got lost: only
                # the log knows.
                if not self._worth_retrying(table, error) and not self._applied(fence):
                    raise store_trouble(self.name, self.uri, "written", error) from error
                logger.info("%s: commit not confirmed, looking again: %s", self.name, error)
            time.sleep(random.uniform(0, 0.02 * (attempt + 1)))  # noqa: S311 - no secret
        raise ServiceUnavailable(
            f"table {self.name}: other writers were in the way of partition {change.partition!r} "
            f"{_TRIES} times. "
            "Try again when fewer run at once."
        )

    def records(self, table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
        """List publishes, newest first."""
        found = (commit_record(commit) for commit in table.history(limit))
        return [record for record in found if record is not None]

    def find(
        self, table: DeltaTable, up_to: int | None = None, **wanted: object
    ) -> dict[str, Any] | None:
        """Newest publish that carries these values; the recent past is read first.

        With `up_to` no later one than that Delta version.
        """
        for limit in _HISTORY_STEPS:
            for record in self.records(table, limit):
                if up_to is not None and record["version"] > up_to:
                    continue
                if all(record.get(name) == value for name, value in wanted.items()):
                    return record
        return None

    def _fenced(self, table: DeltaTable, fence: Fence) -> bool:
        last = table.transaction_version(fence.app_id)
        if last is not None and last > fence.token:
            raise StaleAttempt(
                f"table {self.name}: {fence.app_id!r} must be written with a token above {last}, "
                f"got {fence.token}: "
                "a later attempt was faster. Nothing was written, and nothing is to be done: its "
                "result stands."
            )
        return last == fence.token

    def _applied(self, fence: Fence) -> bool:
        table = self.open()
        return table is not None and table.transaction_version(fence.app_id) == fence.token

    def _record_of(
        self, table: DeltaTable, fence: Fence, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        record = self.find(table, fence=[fence.app_id, fence.token])
        ours = metadata["flywheel"]
        who = (ours.get("run_id"), ours.get("attempt"))
        if record is None or (record.get("run_id"), record.get("attempt")) != who:
            by = "someone else" if record is None else f"run {record.get('run_id')!r}"
            raise StaleAttempt(
                f"table {self.name}: {fence.app_id!r} was written with token {fence.token} by "
                f"{by}, and "
                f"run {who[0]!r} attempt {who[1]} came with the same. Give each attempt a token "
                "of its own."
            )
        return record

    def _check_schema(self, table: DeltaTable, rows: pa.Table) -> None:
        check_same(
            rows.schema,
            schema_of(table),
            f"table {self.name}: its schema is fixed since it was made",
            f"Undo the change of columns, or move {self.uri} away and run again from the first "
            "partition.",
        )

    def _touch(self, table: DeltaTable, fence: Fence, change: Change) -> Commit:
        """Commit what the rows are made from now; the rows are there already.

        It is a change where another slice of the partition was published last.
        """
        nothing = change.rows.slice(0, 0)
        current = content_of(change.partition)
        digest = change.transactions.get(current)
        changed = digest is not None and digest != table.transaction_version(current)
        noted = change if changed else replace(change, metadata=unchanged(change.metadata))
        commit = _properties(table, fence, noted)
        write_deltalake(table, nothing, mode="append", commit_properties=commit)
        return Commit(table.version(), fresh=True, changed=changed)

    def _write(self, table: DeltaTable | None, fence: Fence, change: Change) -> int:
        commit = _properties(table, fence, change)
        if table is None:
            make_folder(self.uri)
            write_deltalake(
                self.uri,
                change.rows,
                mode="error",
                partition_by=[PARTITION],
                configuration=dict(change.properties),
                storage_options=dict(self.options),
                commit_properties=commit,
            )
            return 0
        if change.mode == "append":
            write_deltalake(table, change.rows, mode="append", commit_properties=commit)
        else:
            write_deltalake(
                table,
                change.rows,
                mode="overwrite",
                predicate=change.predicate,
                commit_properties=commit,
            )
        return table.version()

    @staticmethod
    def _worth_retrying(table: DeltaTable | None, error: Exception) -> bool:
        if isinstance(error, CommitFailedError):
            return True
        return table is None and "already exists" in str(error)


def content_of(partition: str, within: Mapping[str, str] | None = None) -> str:
    """Name the transaction that holds the digest of rows; no partition has a '#' or a '/'.

    Of a partition it is the digest of what was published last, which may be a slice.
    """
    slices = [f"/{column}={value}" for column, value in (within or {}).items()]
    return f"{partition}{''.join(slices)}#"


def _holds(table: DeltaTable, change: Change) -> bool:
    """Whether the rows of the partition, or of the slice, are those of the change."""
    if change.content is None:
        return False
    name, digest = change.content
    if table.transaction_version(name) != digest:
        return False
    # Delta keeps the digest of a slice that was cleared with its partition.
    return (
        not change.within
        or table.to_pyarrow_dataset().count_rows(filter=where(change.partition, change.within)) > 0
    )


def where(partition: str, within: Mapping[str, str]) -> pc.Expression:
    """Say which rows are in a slice of a partition, for pyarrow."""
    chosen = pc.field(PARTITION) == partition
    for column, value in within.items():
        chosen &= pc.field(column) == value
    return chosen


def _properties(table: DeltaTable | None, fence: Fence, change: Change) -> CommitProperties:
    transactions = {fence.app_id: fence.token, **change.transactions}
    if change.content is not None:
        transactions |= dict([change.content])
    return CommitProperties(
        custom_metadata=change.metadata,
        app_transactions=[Transaction(app, number) for app, number in transactions.items()],
        # A lost race for version 0 must not be retried on top of the winner: its metadata would
        # be replaced.
        max_commit_retries=None if table is not None else 0,
    )


def schema_of(table: DeltaTable) -> pa.Schema:
    """Give a table's schema as it stands, with the partition column."""
    schema = pa.schema(table.schema().to_arrow())
    if PARTITION not in schema.names:
        raise DataContractError(
            f"Delta table {table.table_uri}: must have the column {PARTITION!r}, got "
            f"{schema.names}. "
            "It was not made by the lake: give the lake a folder of its own."
        )
    return schema
