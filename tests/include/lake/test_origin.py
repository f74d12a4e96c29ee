"""Columns that say where a row came from; rows counted by the log; a store that fails once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from include.errors import DataContractError, ServiceUnavailable
from include.lake import log as log_module
from include.lake.content import content_version
from include.lake.table import LakeTable, Published, Writer

MONTH = "2013-01"


def publish_from(table: LakeTable, token: int, files: list[str], values: list[int]) -> Published:
    data = pa.table({"a": pa.array(values, pa.int64()), "file": files})
    by = Writer(f"run-{token}", 1, token, "abc")
    return table.publish(data, partition=MONTH, schema=data.schema, writer=by, origin=["file"])


def test_rows_of_another_origin_are_written_and_keep_the_version(table: LakeTable) -> None:
    first = publish_from(table, 1, ["x", "x"], [1, 2])
    assert first.partition_version == content_version(pa.table({"a": [1, 2]}))
    moved = publish_from(table, 2, ["x", "y"], [1, 2])
    assert (moved.changed, moved.partition_version) == (False, first.partition_version)
    assert table.read(columns=["file"])["file"].to_pylist() == ["x", "y"]
    assert [one["changed"] for one in table.history()] == [False, True]


def test_equal_rows_of_equal_origin_are_not_written_again(table: LakeTable) -> None:
    publish_from(table, 1, ["x"], [1])
    before = DeltaTable(table._store.uri).file_uris()
    assert not publish_from(table, 2, ["x"], [1]).changed
    assert DeltaTable(table._store.uri).file_uris() == before


def test_other_rows_of_equal_origin_are_changed(table: LakeTable) -> None:
    first = publish_from(table, 1, ["x"], [1])
    second = publish_from(table, 2, ["x"], [2])
    assert (second.changed, second.partition_version == first.partition_version) == (True, False)


def test_after_a_clearing_equal_rows_are_written_again(table: LakeTable) -> None:
    publish_from(table, 1, ["x"], [1])
    table.clear(MONTH, Writer("r", 1, 2, "abc"))
    assert table.row_counts() == {}
    assert publish_from(table, 3, ["x"], [1]).changed
    assert table.row_counts() == {MONTH: 1}


def test_rows_are_counted_by_partition(table: LakeTable, publish: Callable[..., Published]) -> None:
    assert table.row_counts() == {}
    for token, (key, values) in enumerate([("a", [1, 2]), ("b", [3]), ("a", [4, 5, 6])], 1):
        publish(table, key, token, values)
    assert table.row_counts() == {"a": 3, "b": 1}


def test_a_version_that_is_there_and_cannot_be_opened_is_an_outage(
    table: LakeTable, publish: Callable[..., Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as an error of the data it would be remembered, and never be tried again."""
    for token in (1, 2):
        publish(table, MONTH, token, [token])

    def failing(uri: str, version: int | None = None, **more: Any) -> DeltaTable:
        if version is not None:
            raise OSError("request timed out")
        return DeltaTable(uri, version=version, **more)

    monkeypatch.setattr(log_module, "DeltaTable", failing)
    with pytest.raises(ServiceUnavailable, match=r"could not be opened: request timed out"):
        table.read(version=0)
    monkeypatch.undo()
    with pytest.raises(DataContractError, match=r"version 7 must be one that is kept, .* is 1"):
        table.read(version=7)
