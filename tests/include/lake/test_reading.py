"""Reading: the same order each time, and a lost file told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow.fs import SubTreeFileSystem

from include.errors import DataContractError
from include.lake.reading import _dataset
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


def test_no_python_file_is_left_to_the_threads_of_arrow(tmp_path: Path) -> None:
    """A thread that lets go of one while the interpreter ends aborts it: it was 5 times of 15."""
    rows = pa.table({f"c{number}": pa.array(range(50_000), pa.float64()) for number in range(10)})
    table = Lake(str(tmp_path / "a b é")).table("daily", "clean")
    for token, key in enumerate(("2013-01", "2013-02"), 1):
        table.publish(rows, partition=key, schema=rows.schema, writer=Writer("r", 1, token, "c"))
    assert table.read(["2013-02"], list(rows.column_names)).equals(rows)
    opened = DeltaTable(str(tmp_path / "a b é" / "daily" / "clean"))
    assert type(_dataset(opened, None).filesystem) is SubTreeFileSystem
