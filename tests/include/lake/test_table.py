"""Tables: what is published is what is read, at any version, and nothing else gets in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import ConfigError, DataContractError
from include.lake.table import Input, Lake, LakeTable, Published, StaleAttempt, Writer, unprocessed

SCHEMA = pa.schema([("a", pa.int64())])
Publish = Callable[..., Published]


def test_naming_a_table_touches_nothing(lake: Lake, tmp_path: Path) -> None:
    assert lake.table("flight_delays", "raw").name == "flight_delays.raw"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["../x", "Raw", "", "a/b"])
def test_a_name_that_is_no_name_is_refused(lake: Lake, stage: str) -> None:
    with pytest.raises(ConfigError, match="names are lower-case letters"):
        lake.table("flight_delays", stage)


def test_before_the_first_publish(table: LakeTable) -> None:
    assert not table.exists()
    assert table.partitions() == []
    assert table.partition_versions() == {}
    assert table.partition_version("2013-01") is None
    assert table.consumed("2013-01", "flight_delays.landing") is None
    assert table.history() == []
    for ask in (table.version, table.schema, table.read, lambda: table.facts("2013-01")):
        with pytest.raises(
            DataContractError, match=r"flight_delays.raw has nothing yet .*'raw' fir"
        ):
            ask()


def test_a_partition_is_replaced_and_the_others_stay(table: LakeTable, publish: Publish) -> None:
    first = publish(table, "2013-02", 1, [2, 3])
    second = publish(table, "2013-01", 1, [1])
    third = publish(table, "2013-02", 2, [9])
    assert first == Published("flight_delays.raw", "2013-02", 0, 1, 2)
    assert second.version == 1
    assert third == Published("flight_delays.raw", "2013-02", 2, 2, 1)
    assert table.read().to_pydict() == {"a": [1, 9], "partition": ["2013-01", "2013-02"]}
    assert table.read(version=first.version).to_pydict()["a"] == [2, 3]
    assert table.read(["2013-02"], columns=["a"], version=1).to_pydict() == {"a": [2, 3]}
    assert table.read([], columns=["a"]).num_rows == 0
    assert table.partitions() == ["2013-01", "2013-02"]
    assert table.partitions(version=0) == ["2013-02"]
    assert table.partition_versions() == {"2013-01": 1, "2013-02": 2}
    assert table.partition_version("2013-02", version=1) == 1
    assert table.version() == 2
    assert table.schema() == SCHEMA


def test_what_is_not_there_is_named(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 1)
    with pytest.raises(DataContractError, match=r"partition \['2013-09'\] must .*\['2013-01'\]"):
        table.read(["2013-01", "2013-09"])
    with pytest.raises(DataContractError, match=r"column \['b'\] must .*\['a', 'partition'\]"):
        table.read(columns=["b"])
    with pytest.raises(DataContractError, match="'2013-09' was never published"):
        table.facts("2013-09")
    with pytest.raises(DataContractError, match=r"version 7 .* the newest is 0"):
        table.read(version=7)


def test_the_same_attempt_publishes_once(table: LakeTable, publish: Publish) -> None:
    first = publish(table, "2013-01", 5)
    publish(table, "2013-02", 5)
    assert publish(table, "2013-01", 5) == first
    assert table.version() == 1


def test_an_overtaken_attempt_is_refused(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 5, [5])
    with pytest.raises(StaleAttempt, match=r"'2013-01' must be .* above 5, got 4: a later attempt"):
        publish(table, "2013-01", 4, [4])
    assert table.read(columns=["a"]).to_pydict() == {"a": [5]}


def test_two_runs_with_one_token_are_told_apart(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 5)
    other = Writer("other", 1, 5, "abc")
    with pytest.raises(StaleAttempt, match="token 5 by run 'run-5', and run 'other' attempt 1"):
        table.publish(
            pa.table([[1]], schema=SCHEMA), partition="2013-01", schema=SCHEMA, writer=other
        )


def test_what_was_read_is_kept(table: LakeTable, publish: Publish) -> None:
    inputs = [Input("flight_delays.x", 3, 30), Input("flight_delays.whole", 4, None)]
    publish(
        table, "2013-01", 1, inputs=inputs, consumed={"landing": 2**62}, facts={"n": 1, "s": "x"}
    )
    publish(table, "2013-02", 1)
    publish(table, "2013-01", 2, consumed={"landing": 7})
    assert table.consumed("2013-01", "landing") == 7  # a fingerprint may fall
    assert table.consumed("2013-01", "flight_delays.x") == 30
    assert table.consumed("2013-01", "flight_delays.whole") is None
    assert table.consumed("2013-02", "landing") is None
    newest, _, oldest = table.history()
    assert table.facts("2013-01") == newest
    assert (newest["version"], newest["token"], newest["facts"]) == (2, 2, {})
    assert oldest["facts"] == {"n": 1, "s": "x"}
    assert oldest["consumed"] == {"flight_delays.x": 30, "landing": 2**62}
    assert oldest["inputs"][1] == {
        "table": "flight_delays.whole",
        "version": 4,
        "partition_version": None,
    }
    assert (oldest["run_id"], oldest["attempt"], oldest["code_version"]) == ("run-1", 1, "abc")
    assert [entry["partition"] for entry in table.history(2)] == ["2013-01", "2013-02"]


def test_the_fence_outlives_checkpoints(table: LakeTable, publish: Publish, tmp_path: Path) -> None:
    publish(table, "2013-01", 77, consumed={"landing": 5})
    for number in range(1, 45):
        publish(table, f"day-{number % 3}", number)
    log = tmp_path / "lake/flight_delays/raw/_delta_log"
    assert len(list(log.glob("*.checkpoint.parquet"))) == 2
    for early in range(40):  # what is left must come out of the checkpoint
        (log / f"{early:020}.json").unlink()
    assert table.partition_version("2013-01") == 77
    assert table.consumed("2013-01", "landing") == 5
    with pytest.raises(StaleAttempt, match="above 77, got 76"):
        publish(table, "2013-01", 76)


def test_the_log_is_kept_for_ten_years(table: LakeTable, publish: Publish, tmp_path: Path) -> None:
    publish(table, "2013-01", 1)
    text = (tmp_path / f"lake/flight_delays/raw/_delta_log/{0:020}.json").read_text()
    assert '"delta.logRetentionDuration":"interval 3650 days"' in text
    assert '"delta.deletedFileRetentionDuration":"interval 3650 days"' in text


def test_the_schema_is_fixed_once_made(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 1)
    other = pa.schema([("a", pa.float64()), ("b", pa.string())])
    with pytest.raises(
        DataContractError, match=r"schema is fixed .*'b' is not exp.*'a' must be int64"
    ):
        table.publish(
            pa.table([[1.5], ["x"]], schema=other),
            partition="2013-02",
            schema=other,
            writer=Writer("r", 1, 1, "c"),
        )
    assert table.partitions() == ["2013-01"]


def test_no_row_no_partition(table: LakeTable, publish: Publish) -> None:
    with pytest.raises(DataContractError, match="at least one row, got none"):
        publish(table, "2013-01", 1, [])
    assert not table.exists()


@pytest.mark.parametrize("partition", ["2013' OR '1'='1", "a/b", "a<b", "", "..", "é"])
def test_a_partition_that_could_escape_is_refused(
    table: LakeTable, publish: Publish, partition: str
) -> None:
    with pytest.raises(ConfigError, match="a partition is named with letters"):
        publish(table, partition, 1)


@pytest.mark.parametrize("token", [-1, 2**63, True, 1.5])
def test_a_token_that_cannot_fence_is_refused(
    table: LakeTable, publish: Publish, token: int
) -> None:
    with pytest.raises(DataContractError, match=r"token: must be a whole number .* got"):
        publish(table, "2013-01", token)


def test_clear_takes_one_partition_away_and_fences_it(table: LakeTable, publish: Publish) -> None:
    writer = Writer("c", 1, 9, "abc")
    assert table.clear("2013-01", writer) is None
    publish(table, "2013-01", 1)
    before = publish(table, "2013-02", 1)
    cleared = table.clear("2013-01", writer)
    assert cleared == Published("flight_delays.raw", "2013-01", 2, 9, 0)
    assert table.clear("2013-01", writer) == cleared
    assert table.partitions() == ["2013-02"]
    assert table.read(["2013-01"], version=before.version).num_rows == 1
    with pytest.raises(StaleAttempt, match="above 9, got 8"):
        publish(table, "2013-01", 8)
    assert table.clear("2013-05", writer) is not None
    with pytest.raises(StaleAttempt, match="'2013-05' must be"):
        publish(table, "2013-05", 8)


def test_append_adds_each_sequence_once(table: LakeTable) -> None:
    def append(app: str, sequence: int, value: int) -> int | None:
        rows = pa.table([[value]], schema=SCHEMA)
        return table.append(
            rows, partition="2013-01-01", schema=SCHEMA, app_id=app, sequence=sequence
        )

    assert [append("r1", 1, 10), append("r1", 1, 10), append("r1", 3, 30)] == [0, None, 1]
    assert [append("r1", 2, 20), append("r2", 1, 11)] == [None, 2]
    assert sorted(table.read()["a"].to_pylist()) == [10, 11, 30]
    assert (table.last_sequence("r1"), table.last_sequence("r3")) == (3, None)
    assert table.partition_version("2013-01-01") is None


def test_unprocessed_compares_versions(lake: Lake, publish: Publish) -> None:
    source, target = lake.table("u", "raw"), lake.table("u", "clean")
    assert unprocessed(source, target) == []
    publish(source, "2013-02", 1)
    publish(source, "2013-01", 1)
    assert unprocessed(source, target) == ["2013-01", "2013-02"]
    for key in ("2013-01", "2013-02"):
        rows, read = source.read_input(key, ["a"])
        publish(target, key, 1, rows["a"].to_pylist(), inputs=[read])
    assert unprocessed(source, target) == []
    publish(source, "2013-02", 2)
    assert unprocessed(source, target) == ["2013-02"]
    source.clear("2013-02", Writer("c", 1, 3, "abc"))
    assert unprocessed(source, target) == []


def test_read_input_names_the_state_it_read(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 4, [1, 2])
    publish(table, "2013-02", 9)
    rows, read = table.read_input("2013-01", ["a"])
    assert rows.to_pydict() == {"a": [1, 2]}
    assert read == Input("flight_delays.raw", 1, 4)
