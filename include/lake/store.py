"""Commits to a Delta table, behind a fence."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from include.errors import ServiceUnavailable
from include.lake.attempts import check_not_set_back
from include.lake.errors import STORE_ERRORS, StaleAttempt, make_folder, store_trouble
from include.lake.evolution import Evolution, Migration, evolve, fitted
from include.lake.log import Log
from include.lake.migration import whole_table
from include.lake.reading import schema_of, slice_filter, stored_rows
from include.lake.records import content_of, unchanged
from include.lake.schemas import PARTITION
from include.settings import current

logger = logging.getLogger(__name__)

_TRIES = 30


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
    origin : tuple of str and int, optional
        The same for the columns that say where rows came from: where it differs the rows are
        written, but do not count as changed.
    within : mapping of str to str
        Column and value of the slice of the partition that is replaced; empty for all of it.
    properties : mapping of str to str
        Table properties, should this commit make the table.
    migrations : sequence of Migration
        Declared changes of columns' types.
    """

    partition: str
    rows: pa.Table
    mode: str
    metadata: dict[str, Any]
    transactions: Mapping[str, int] = field(default_factory=dict)
    content: tuple[str, int] | None = None
    origin: tuple[str, int] | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    migrations: Sequence[Migration] = ()
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
class Store(Log):
    """One table, to look at and to commit to."""

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
            evolution, same, there = Evolution(change.rows.schema), False, False
            if table is not None:
                if self._fenced(table, fence):
                    record = self._record_of(table, fence, change.metadata)
                    return Commit(record["version"], fresh=tried, changed=record["changed"])
                evolution = self._evolution(table, change)
                same = self._holds(table, change)
                there = same and (change.origin is None or self._has(table, change.origin))
            tried = True
            changed = not same or (table is not None and self._follows_another(table, change))
            noted = change if changed else replace(change, metadata=unchanged(change.metadata))
            try:
                if table is not None and there and not evolution.changed:
                    return Commit(self._touch(table, fence, noted), fresh=True, changed=changed)
                version = self._write(table, fence, noted, evolution)
                return Commit(version, fresh=True, changed=changed)
            except STORE_ERRORS as error:
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

    def _fenced(self, table: DeltaTable, fence: Fence) -> bool:
        last = self.number(table, fence.app_id)
        if last is not None and last > fence.token:
            check_not_set_back(self, last)
            raise StaleAttempt(
                f"table {self.name}: {fence.app_id!r} must be written with a token above {last}, "
                f"got {fence.token}: "
                "a later attempt was faster. Nothing was written, and nothing is to be done: its "
                "result stands."
            )
        return last == fence.token

    def _applied(self, fence: Fence) -> bool:
        table = self.open()
        return table is not None and self.number(table, fence.app_id) == fence.token

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

    def _evolution(self, table: DeltaTable, change: Change) -> Evolution:
        return evolve(
            self.name,
            schema_of(table),
            change.rows.schema,
            change.migrations,
            replaces=change.mode == "overwrite",
        )

    def _holds(self, table: DeltaTable, change: Change) -> bool:
        """Whether the rows of the partition, or of the slice, are those of the change."""
        if change.content is None or not self._has(table, change.content):
            return False
        # Delta keeps the digest of a slice that was cleared with its partition.
        return not change.within or self._holds_rows(table, change)

    def _holds_rows(self, table: DeltaTable, change: Change) -> bool:
        with self.reading():
            where = slice_filter(change.within)
            rows = stored_rows(table, [change.partition], [PARTITION], where)
        return bool(rows.num_rows)

    def _has(self, table: DeltaTable, content: tuple[str, int]) -> bool:
        return self.number(table, content[0]) == content[1]

    def _follows_another(self, table: DeltaTable, change: Change) -> bool:
        """Whether another slice of the partition was published last."""
        name = content_of(change.partition)
        return bool(change.within) and self.number(table, name) != change.transactions[name]

    def _touch(self, table: DeltaTable, fence: Fence, change: Change) -> int:
        """Commit what the rows are made from now; the rows are there already."""
        nothing = fitted(change.rows.slice(0, 0), schema_of(table))
        commit = _properties(table, fence, change)
        write_deltalake(table, nothing, mode="append", commit_properties=commit)
        return table.version()

    def _write(
        self, table: DeltaTable | None, fence: Fence, change: Change, evolution: Evolution
    ) -> int:
        commit = _properties(table, fence, change, evolution)
        if table is None:
            make_folder(self.uri)
            write_deltalake(
                self.uri,
                change.rows,
                mode="error",
                partition_by=[PARTITION],
                configuration=dict(change.properties),
                storage_options=current(self.options),
                commit_properties=commit,
            )
            return 0
        rows = fitted(change.rows, evolution.schema)
        if change.mode == "append" and not evolution.retypes:
            merge: Literal["merge"] | None = "merge" if evolution.changed else None
            write_deltalake(table, rows, mode="append", schema_mode=merge, commit_properties=commit)
        else:
            kept = change.within if change.mode == "overwrite" else None
            with whole_table(self.name, table, rows, evolution, kept) as written:
                write_deltalake(
                    table,
                    written,
                    mode="overwrite",
                    predicate=None if evolution.retypes else change.predicate,
                    schema_mode="overwrite" if evolution.changed else None,
                    commit_properties=commit,
                )
        return table.version()

    @staticmethod
    def _worth_retrying(table: DeltaTable | None, error: Exception) -> bool:
        if isinstance(error, CommitFailedError):
            return True
        return table is None and "already exists" in str(error)


def _properties(
    table: DeltaTable | None, fence: Fence, change: Change, evolution: Evolution | None = None
) -> CommitProperties:
    transactions = {fence.app_id: fence.token, **change.transactions}
    transactions |= dict(one for one in (change.content, change.origin) if one is not None)
    return CommitProperties(
        custom_metadata=change.metadata,
        app_transactions=[Transaction(app, number) for app, number in transactions.items()],
        # Delta must not retry by itself what brings a schema: on top of a faster writer's commit it
        # would replace that one's columns, or leave its rows in their former types.
        max_commit_retries=0 if table is None or (evolution and evolution.changed) else None,
    )
