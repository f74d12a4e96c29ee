"""Reading: the same order each time, and a lost file told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.lake.table import Lake, LakeTable, Published, Writer


def test_rows_keep_their_order_over_many_batches(lake: Lake) -> None:
    schema = pa.schema([("a", pa.int64())])
    values = pa.array(range(100_000), pa.int64())
    table = lake.table("u", "raw")
    for token in (1, 2):
        table.publish(
            pa.table({"a": values}).combine_chunks(),
            partition="2013-01",
            schema=schema,
            writer=Writer("r", token, token, "c"),
        )
    assert table.read(columns=["a"])["a"].combine_chunks().equals(values)


def test_partitions_come_sorted_however_they_were_published(
    table: LakeTable, publish: Callable[..., Published]
) -> None:
    for number, key in enumerate(["2013-03", "2013-01", "2013-10", "2013-02"]):
        publish(table, key, number, [number])
    assert table.read()["partition"].to_pylist() == ["2013-01", "2013-02", "2013-03", "2013-10"]
    assert table.read(["2013-10", "2013-01"])["a"].to_pylist() == [1, 2]


def test_a_lost_data_file_is_told(
    table: LakeTable, publish: Callable[..., Published], tmp_path: Path
) -> None:
    publish(table, "2013-01", 1)
    (file,) = tmp_path.rglob("*.parquet")
    file.unlink()
    with pytest.raises(
        DataContractError, match=r"flight_delays.raw at .*: its data files .* one is gone"
    ):
        table.read()
