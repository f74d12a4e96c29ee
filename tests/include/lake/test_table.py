"""Tables: what is published is what is read, at any version, and nothing else gets in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.table import TableOptimizer

from include.errors import ConfigError, DataContractError
from include.lake.table import Input, Lake, LakeTable, Published, StaleAttempt, Writer
from include.lake.writing import APPENDED
from tests.include.lake.conftest import consumed, digest

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
    assert table.partition_versions().get("2013-01") is None
    assert consumed(table, "2013-01", "flight_delays.landing") is None
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
    assert first == Published("flight_delays.raw", "2013-02", 0, digest([2, 3]), 2, changed=True)
    assert second.version == 1
    assert third == Published("flight_delays.raw", "2013-02", 2, digest([9]), 1, changed=True)
    assert table.read().to_pydict() == {"a": [1, 9], "partition": ["2013-01", "2013-02"]}
    assert table.read(version=first.version).to_pydict()["a"] == [2, 3]
    assert table.read(["2013-02"], columns=["a"], version=1).to_pydict() == {"a": [2, 3]}
    assert table.read([], columns=["a"]).num_rows == 0
    assert table.partitions() == ["2013-01", "2013-02"]
    assert table.partitions(version=0) == ["2013-02"]
    assert table.partition_versions() == {"2013-01": digest([1]), "2013-02": digest([9])}
    assert table.partition_versions(version=1)["2013-02"] == digest([2, 3])
    assert table.partition_versions(version=2)["2013-02"] == digest([9])
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


def test_equal_rows_are_not_written_again(
    table: LakeTable, publish: Publish, tmp_path: Path
) -> None:
    first = publish(table, "2013-01", 1, [3, 4], consumed={"landing": 7}, facts={"files": 1})
    before = sorted(tmp_path.rglob("*.parquet"))
    again = publish(table, "2013-01", 2, [3, 4], consumed={"landing": 8}, facts={"files": 2})
    assert again == Published("flight_delays.raw", "2013-01", 1, digest([3, 4]), 2, changed=False)
    assert again.partition_version == first.partition_version
    assert sorted(tmp_path.rglob("*.parquet")) == before
    assert table.read(columns=["a"])["a"].to_pylist() == [3, 4]
    # What they were made from, and by whom, is noted all the same.
    assert consumed(table, "2013-01", "landing") == 8
    noted = table.facts("2013-01")
    assert (noted["run_id"], noted["facts"], noted["changed"]) == ("run-2", {"files": 2}, False)
    assert [record["changed"] for record in table.history()] == [False, True]
    with pytest.raises(StaleAttempt, match="above 2, got 1"):
        publish(table, "2013-01", 1, [5])


def test_the_same_attempt_is_told_the_same_again_of_equal_rows(
    table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [3])
    unchanged = publish(table, "2013-01", 2, [3])
    assert publish(table, "2013-01", 2, [3]) == unchanged
    assert table.version() == 1


def test_rows_that_were_there_once_are_written_when_others_came_between(
    table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1, [3])
    publish(table, "2013-01", 2, [4])
    assert publish(table, "2013-01", 3, [3]).changed
    table.clear("2013-01", Writer("c", 1, 4, "abc"))
    assert publish(table, "2013-01", 5, [3]).changed
    assert table.read(columns=["a"])["a"].to_pylist() == [3]


def test_each_partition_has_its_own_content(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 1, [3])
    other = publish(table, "2013-02", 1, [3])
    assert other.changed
    assert table.partition_versions() == dict.fromkeys(["2013-01", "2013-02"], digest([3]))


def test_a_volatile_column_makes_no_difference(table: LakeTable) -> None:
    schema = pa.schema([("a", pa.int64()), ("at", pa.int64())])

    def publish(token: int, value: int, at: int) -> Published:
        return table.publish(
            pa.table([[value], [at]], schema=schema),
            partition="2013-01",
            schema=schema,
            writer=Writer("r", token, token, "abc"),
            volatile=("at",),
        )

    assert [publish(1, 5, 10).changed, publish(2, 5, 11).changed] == [True, False]
    assert table.partition_versions().get("2013-01") == digest([5])
    assert table.read(columns=["at"])["at"].to_pylist() == [10]  # of the rows that stand
    assert publish(3, 6, 12).changed


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
    inputs = [Input("flight_delays.x", 3, 30), Input("flight_delays.whole", 4, None, "id-1")]
    publish(
        table, "2013-01", 1, inputs=inputs, consumed={"landing": 2**62}, facts={"n": 1, "s": "x"}
    )
    publish(table, "2013-02", 1)
    publish(table, "2013-01", 2, consumed={"landing": 7})
    assert consumed(table, "2013-01", "landing") == 7  # a fingerprint may fall
    assert consumed(table, "2013-01", "flight_delays.x") == 30
    assert consumed(table, "2013-01", "flight_delays.whole") is None
    assert consumed(table, "2013-02", "landing") is None
    newest, _, oldest = table.history()
    assert table.facts("2013-01") == newest
    assert (newest["version"], newest["token"], newest["facts"]) == (2, 2, {})
    assert oldest["facts"] == {"n": 1, "s": "x"}
    assert oldest["consumed"] == {"flight_delays.x": 30, "landing": 2**62}
    assert oldest["inputs"][1] == {
        "table": "flight_delays.whole",
        "version": 4,
        "partition_version": None,
        "table_id": "id-1",
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
    assert table.partition_versions().get("2013-01") == digest([1])
    assert consumed(table, "2013-01", "landing") == 5
    with pytest.raises(StaleAttempt, match="above 77, got 76"):
        publish(table, "2013-01", 76)


def test_the_log_is_kept_for_ten_years(table: LakeTable, publish: Publish, tmp_path: Path) -> None:
    publish(table, "2013-01", 1)
    text = (tmp_path / f"lake/flight_delays/raw/_delta_log/{0:020}.json").read_text()
    assert '"delta.logRetentionDuration":"interval 3650 days"' in text
    assert '"delta.deletedFileRetentionDuration":"interval 3650 days"' in text


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
    assert cleared == Published("flight_delays.raw", "2013-01", 2, digest([]), 0, changed=True)
    assert table.clear("2013-01", writer) == cleared
    assert table.partitions() == ["2013-02"]
    assert table.read(["2013-01"], version=before.version).num_rows == 1
    with pytest.raises(StaleAttempt, match="above 9, got 8"):
        publish(table, "2013-01", 8)
    assert table.clear("2013-05", writer) is not None
    with pytest.raises(StaleAttempt, match="'2013-05' must be"):
        publish(table, "2013-05", 8)
    assert table.partitions() == ["2013-02"]


def test_a_clear_says_why(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 1)
    table.clear("2013-01", Writer("c", 1, 2, "abc"), facts={"retracted": "wrong unit"})
    record = table.facts("2013-01")
    assert (record["rows"], record["facts"]) == (0, {"retracted": "wrong unit"})


def test_a_cleared_partition_is_made_from_nothing(table: LakeTable, publish: Publish) -> None:
    """Else one that was taken back would count as up to date when the same input comes again."""
    publish(table, "2013-01", 1, consumed={"landing": 7})
    publish(table, "2013-02", 1, consumed={"landing": 8})
    table.clear("2013-01", Writer("c", 1, 2, "abc"))
    assert consumed(table, "2013-01", "landing") is None
    assert table.made_from({"2013-01": ["landing"], "2013-02": ["landing"]}) == {
        "2013-01": {"landing": None},
        "2013-02": {"landing": 8},
    }
    publish(table, "2013-01", 3, consumed={"landing": 7})
    assert consumed(table, "2013-01", "landing") == 7


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
    assert table.partition_versions().get("2013-01-01") is None


def test_of_two_runs_with_one_sequence_the_second_gets_none(table: LakeTable) -> None:
    def append(run_id: str, value: int) -> int | None:
        rows = pa.table([[value]], schema=SCHEMA)
        return table.append(
            rows, partition="p", schema=SCHEMA, app_id="ledger", sequence=1, run_id=run_id
        )

    assert [append("one", 10), append("other", 20), append("one", 10)] == [0, None, None]
    assert table.read(columns=["a"])["a"].to_pylist() == [10]
    assert [record["run_id"] for record in table.history()] == ["one"]


@pytest.mark.parametrize(("kept", "how_long"), [(True, "3650 days"), (False, "2 minutes")])
def test_the_log_of_an_appended_table_is_kept_as_long_as_asked(
    table: LakeTable, tmp_path: Path, kept: bool, how_long: str
) -> None:
    table.append(
        pa.table([[1]], schema=SCHEMA),
        partition="p",
        schema=SCHEMA,
        app_id="r",
        sequence=1,
        kept=kept,
    )
    text = (tmp_path / f"lake/flight_delays/raw/_delta_log/{0:020}.json").read_text()
    assert f'"delta.logRetentionDuration":"interval {how_long}"' in text


def test_what_partitions_are_made_from_comes_in_one_look(
    lake: Lake, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = lake.table("u", "clean")
    wanted = {"2013-01": ["u.raw", "definition"], "2013-02": ["u.raw"], "2013-03": []}
    nothing = {"2013-01": {"u.raw": None, "definition": None}, "2013-02": {"u.raw": None}}
    assert table.made_from(wanted) == {**nothing, "2013-03": {}}  # no table yet
    publish(table, "2013-01", 1, inputs=[Input("u.raw", 0, 30)], consumed={"definition": 4})
    publish(table, "2013-03", 1, inputs=[Input("u.raw", 0, 31)])
    looks = []
    monkeypatch.setattr(
        type(table._store), "open", lambda *_: looks.append(1) or DeltaTable(table._store.uri)
    )
    assert table.made_from(wanted) == {
        "2013-01": {"u.raw": 30, "definition": 4},
        "2013-02": {"u.raw": None},
        "2013-03": {},
    }
    assert looks == [1]
    assert table.made_from({}) == {}


def test_read_input_names_the_state_it_read(table: LakeTable, publish: Publish) -> None:
    publish(table, "2013-01", 4, [1, 2])
    publish(table, "2013-02", 9)
    rows, read = table.read_input("2013-01", ["a"])
    assert rows.to_pydict() == {"a": [1, 2]}
    assert read == Input("flight_delays.raw", 1, digest([1, 2]), table.pin().table_id)


def test_compaction_puts_files_together_and_forgets_nothing(
    table: LakeTable, tmp_path: Path
) -> None:
    def append(sequence: int, app: str = "r") -> int | None:
        rows = pa.table([[sequence]], schema=SCHEMA)
        day = f"2013-01-0{1 + sequence % 2}"
        return table.append(rows, partition=day, schema=SCHEMA, app_id=app, sequence=sequence)

    assert table.compact() is None
    for sequence in range(1, 31):
        append(sequence)
    before = table.read().sort_by("a")
    opened = DeltaTable(table._store.uri)
    assert table.compact() == (30, 2)
    assert table.read().sort_by("a").equals(before)
    assert opened.to_pyarrow_table().num_rows == 30  # a reader that had begun
    assert (table.last_sequence("r"), append(30), append(31)) == (30, None, 31)
    assert [one["fence"] for one in table.history(1)] == [["append:r", 31]]


def test_a_table_that_models_are_pinned_to_is_not_compacted(
    table: LakeTable, publish: Publish
) -> None:
    publish(table, "2013-01", 1)
    before = table.version()
    with pytest.raises(DataContractError, match=r"log is kept for .*2 minutes.*3650 days.*pinned"):
        table.compact()
    assert table.version() == before


def test_what_was_replaced_goes_with_a_later_compaction(
    table: LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(APPENDED, "delta.deletedFileRetentionDuration", "interval 0 seconds")
    monkeypatch.setitem(APPENDED, "delta.logRetentionDuration", "interval 0 seconds")
    folder = tmp_path / "lake/flight_delays/raw"

    def append(first: int, last: int) -> None:
        for sequence in range(first, last + 1):
            rows = pa.table([[sequence]], schema=SCHEMA)
            table.append(rows, partition="p", schema=SCHEMA, app_id="r", sequence=sequence)

    append(1, 25)
    table.compact()
    two_hours_ago = time.time() - 7200
    for file in folder.rglob("partition=p/*.parquet"):
        os.utime(file, (two_hours_ago, two_hours_ago))
    append(26, 50)
    table.compact()
    # The second compaction's own, and what it replaced: a commit on its way looks like that.
    assert len(list(folder.rglob("partition=p/*.parquet"))) <= 1 + 26
    assert len(list(folder.glob("_delta_log/*.json"))) < 5
    assert sorted(table.read()["a"].to_pylist()) == list(range(1, 51))
    assert table.last_sequence("r") == 50
    rows = pa.table([[50]], schema=SCHEMA)
    assert table.append(rows, partition="p", schema=SCHEMA, app_id="r", sequence=50) is None


def test_an_append_beside_a_compaction_loses_nothing(
    table: LakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(sequence: int) -> None:
        rows = pa.table([[sequence]], schema=SCHEMA)
        table.append(rows, partition="p", schema=SCHEMA, app_id="r", sequence=sequence)

    append(1)
    append(2)
    real = TableOptimizer.compact

    def slow(self: TableOptimizer) -> object:
        append(3)
        return real(self)

    monkeypatch.setattr(TableOptimizer, "compact", slow)
    table.compact()
    assert sorted(table.read()["a"].to_pylist()) == [1, 2, 3]
