"""Open one Delta table, in a folder or an object store, and look through its log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from include.errors import DataContractError
from include.lake.errors import STORE_ERRORS, store_trouble
from include.lake.records import commit_record
from include.settings import StorageOptions, current

_HISTORY_STEPS = (20, 200, None)


@dataclass(frozen=True)
class Log:
    """Where a table is, how it is reached, and what its log says."""

    name: str
    uri: str
    options: StorageOptions

    def open(self, version: int | None = None) -> DeltaTable | None:
        """Read the log, once; None when there is no table yet.

        Raises
        ------
        DataContractError
            When the version is not there, or not any more, or the log is damaged.
        ServiceUnavailable
            When the store fails.
        """
        try:
            return DeltaTable(self.uri, version=version, storage_options=current(self.options))
        except STORE_ERRORS as error:
            if isinstance(error, TableNotFoundError) and version is None:
                return None
            # Only Delta itself says that a version is not kept; OSError is the store's.
            newest = None if version is None or isinstance(error, OSError) else self.open()
            if newest is None and isinstance(error, TableNotFoundError):
                return None
            if newest is None:
                raise store_trouble(self.name, self.uri, "opened", error) from error
            raise DataContractError(
                f"table {self.name}: version {version} must be one that is kept, the newest is "
                f"{newest.version()}. Correct the number; a version older than the log is gone."
            ) from error

    def number(self, table: DeltaTable, app_id: str) -> int | None:
        """Look up the number of a Delta transaction; None when there is none."""
        with self.reading():
            return table.transaction_version(app_id)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Translate the store's errors while the rows or the log of an opened table are read."""
        try:
            yield
        except STORE_ERRORS as error:
            raise store_trouble(self.name, self.uri, "read", error) from error

    def records(self, table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
        """List publishes, newest first."""
        with self.reading():
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
