"""Columns come, go and change their type, in one commit and under the same table id."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import DataContractError
from include.lake import store as store_module
from include.lake.content import content_version
from include.lake.schemas import arrow_schema
from include.lake.store import write_deltalake
from include.lake.table import Lake, LakeTable, Published, Writer


@dataclass(frozen=True)
class Step:
    """A migration as a use case declares it."""

    column: str
    before: str
    after: str
    misfits: Any = "refuse"


def publish(
    table: LakeTable,
    partition: str,
    token: int,
    columns: Mapping[str, str],
    values: Mapping[str, Sequence[Any]],
    migrations: Sequence[Step] = (),
) -> Published:
    schema = arrow_schema(columns)
    return table.publish(
        pa.table({name: list(values[name]) for name in columns}, schema=schema),
        partition=partition,
        schema=schema,
        writer=Writer(f"run-{token}", 1, token, "c"),
        migrations=migrations,
    )


def delta(table: LakeTable) -> DeltaTable:
    return DeltaTable(table._store.uri)


INT, BOTH = {"a": "int64"}, {"a": "int64", "b": "string"}


def test_a_new_column_is_null_until_a_partition_is_published_again(table: LakeTable) -> None:
    publish(table, "p1", 1, INT, {"a": [1]})
    before, version = delta(table), table.partition_versions()
    done = publish(table, "p2", 1, BOTH, {"a": [2], "b": ["x"]})
    assert done.version == before.version() + 1
    assert delta(table).metadata().id == before.metadata().id
    assert table.read().to_pydict() == {
        "a": [1, 2], "b": [None, "x"], "partition": ["p1", "p2"],
    }  # fmt: skip
    assert table.schema() == arrow_schema(BOTH)
    assert table.partition_versions(["p1"]) == version
    assert table.read(version=before.version()).column_names == ["a", "partition"]
    publish(table, "p1", 2, BOTH, {"a": [1], "b": ["y"]})
    assert table.read(["p1"], ["b"])["b"].to_pylist() == ["y"]


def test_a_dropped_column_is_read_by_name_alone(table: LakeTable) -> None:
    publish(table, "p1", 1, BOTH, {"a": [1], "b": ["x"]})
    before = delta(table)
    done = publish(table, "p2", 1, INT, {"a": [2]})
    assert (done.version, delta(table).metadata().id) == (1, before.metadata().id)
    assert table.schema() == arrow_schema(INT)
    assert table.read().column_names == ["a", "partition"]
    assert table.read(columns=["b", "a"]).to_pydict() == {"b": ["x", None], "a": [1, 2]}
    publish(table, "p2", 2, INT, {"a": [3]})  # and stays dropped
    assert table.schema() == arrow_schema(INT)
    publish(table, "p2", 3, BOTH, {"a": [3], "b": ["z"]})  # and comes back with what there was
    assert table.read(columns=["b"])["b"].to_pylist() == ["x", "z"]
    assert table.schema() == arrow_schema(BOTH)


def test_the_order_of_columns_is_no_news(table: LakeTable) -> None:
    """Delta keeps the order in which they came."""
    first = publish(table, "p1", 1, BOTH, {"a": [1], "b": ["x"]})
    again = publish(table, "p1", 2, {"b": "string", "a": "int64"}, {"a": [1], "b": ["x"]})
    assert (again.changed, again.partition_version) == (False, first.partition_version)
    assert table.read().to_pydict() == {"a": [1], "b": ["x"], "partition": ["p1"]}


def test_a_column_without_a_value_is_no_news(table: LakeTable) -> None:
    first = publish(table, "p1", 1, INT, {"a": [1]})
    again = publish(table, "p1", 2, BOTH, {"a": [1], "b": [None]})
    assert (again.changed, again.partition_version) == (False, first.partition_version)
    assert table.schema() == arrow_schema(BOTH)  # it is there all the same
    assert [one["changed"] for one in table.history()] == [False, True]
    back = publish(table, "p1", 3, INT, {"a": [1]})
    assert (back.changed, table.schema()) == (False, arrow_schema(INT))
    assert publish(table, "p1", 4, BOTH, {"a": [1], "b": ["x"]}).changed


def test_a_type_changes_by_a_declared_migration_alone(table: LakeTable) -> None:
    publish(table, "p1", 1, INT, {"a": [1]})
    with pytest.raises(DataContractError) as told:
        publish(table, "p1", 2, {"a": "float64"}, {"a": [1.5]})
    assert (
        "table flight_delays.raw: column 'a' must stay int64, got float64: a type changes only "
        "by a declared migration. Nothing was written. Add to use_case.yaml "
        "`migrations: [{column: a, before: int64, after: float64}]`, or undo the change."
    ) in str(told.value)
    assert table.version() == 0


def test_a_migration_converts_all_partitions_in_one_commit(table: LakeTable) -> None:
    publish(table, "p1", 1, BOTH, {"a": [1, None], "b": ["x", "y"]})
    publish(table, "p2", 1, BOTH, {"a": [2], "b": ["z"]})
    publish(table, "p3", 1, INT, {"a": [3]})
    before, versions = delta(table), table.partition_versions()
    done = publish(table, "p2", 2, {"a": "string"}, {"a": ["2b"]}, [Step("a", "int64", "string")])
    assert done.version == before.version() + 1
    assert delta(table).metadata().id == before.metadata().id
    assert delta(table).metadata().configuration == before.metadata().configuration
    assert table.read().to_pydict() == {
        "a": ["1", None, "2b", "3"], "partition": ["p1", "p1", "p2", "p3"],
    }  # fmt: skip
    assert table.read(columns=["b"])["b"].to_pylist() == ["x", "y", None, None]
    assert table.read(version=before.version(), columns=["a"])["a"].to_pylist() == [1, None, 2, 3]
    # A conversion is no news: what was made from the others is not due.
    assert table.partition_versions() == {**versions, "p2": done.partition_version}
    assert done.partition_version == content_version(pa.table({"a": ["2b"]}))
    assert table.facts("p1")["version"] == 0
    again = publish(table, "p1", 2, {"a": "string"}, {"a": ["1", None]})
    assert again.changed


def test_migrations_are_followed_in_their_order(table: LakeTable) -> None:
    publish(table, "p1", 1, INT, {"a": [1]})
    chain = [
        Step("a", "int64", "float64"),
        Step("b", "string", "int64"),
        Step("a", "float64", "string"),
    ]
    publish(table, "p2", 1, {"a": "string"}, {"a": ["x"]}, chain)
    assert table.read(columns=["a"])["a"].to_pylist() == ["1", "x"]


def test_a_dropped_column_comes_back_with_another_type_by_a_migration(table: LakeTable) -> None:
    publish(table, "p1", 1, BOTH, {"a": [1], "b": ["7"]})
    publish(table, "p1", 2, INT, {"a": [1]})
    publish(table, "p2", 1, BOTH, {"a": [1], "b": ["8"]})
    publish(table, "p3", 1, INT, {"a": [1]})
    now = {"a": "int64", "b": "int64"}
    with pytest.raises(DataContractError, match="column 'b' must stay string, got int64"):
        publish(table, "p3", 2, now, {"a": [1], "b": [9]})
    publish(table, "p3", 2, now, {"a": [1], "b": [9]}, [Step("b", "string", "int64")])
    assert table.read(columns=["b"])["b"].to_pylist() == [None, 8, 9]


def test_a_value_that_does_not_fit_is_named_and_nothing_is_written(table: LakeTable) -> None:
    publish(table, "p1", 1, {"a": "string"}, {"a": ["1", "one"]})
    with pytest.raises(DataContractError) as told:
        publish(table, "p2", 1, INT, {"a": [2]}, [Step("a", "string", "int64")])
    assert "partition p1: column 'a': every value must fit int64, got 'one'" in str(told.value)
    assert "`misfits: missing`" in str(told.value)
    assert (table.version(), table.partitions()) == (0, ["p1"])
    publish(table, "p2", 1, INT, {"a": [2]}, [Step("a", "string", "int64", "missing")])
    assert table.read(columns=["a"])["a"].to_pylist() == [1, None, 2]


def test_clear_leaves_the_columns_as_they_are(table: LakeTable) -> None:
    publish(table, "p1", 1, BOTH, {"a": [1], "b": ["x"]})
    publish(table, "p2", 1, INT, {"a": [2]})
    table.clear("p2", Writer("c", 1, 2, "c"))
    assert table.schema() == arrow_schema(INT)
    assert table.read(columns=["b"])["b"].to_pylist() == ["x"]


def test_an_append_adds_columns_and_leaves_none_behind(table: LakeTable) -> None:
    def append(sequence: int, columns: Mapping[str, str], row: Sequence[Any]) -> None:
        schema = arrow_schema(columns)
        rows = pa.table([[value] for value in row], schema=schema)
        table.append(rows, partition="p", schema=schema, app_id="r", sequence=sequence)

    append(1, INT, [1])
    append(2, BOTH, [2, "x"])
    append(3, INT, [3])  # a replica that is not restarted yet
    append(4, {"b": "string", "a": "int64"}, ["y", 4])
    rows = sorted(table.read(columns=["a", "b"]).to_pylist(), key=lambda row: row["a"])
    assert [row["b"] for row in rows] == [None, "x", None, "y"]
    assert table.schema() == arrow_schema(BOTH)
    with pytest.raises(DataContractError, match="column 'a' must stay int64, got float64"):
        append(5, {"a": "float64", "b": "string"}, [1.0, "x"])


def test_a_schema_asks_for_what_is_not_there_yet_and_in_other_types(table: LakeTable) -> None:
    publish(table, "p1", 1, BOTH, {"a": [1], "b": ["7"]})
    asked = arrow_schema({"b": "int64", "new": "timestamp", "a": "float64"})
    assert table.read(columns=asked).equals(pa.table([[7], [None], [1.0]], schema=asked))
    rows, read = table.read_input("p1", asked)
    assert (rows.schema, read.version) == (asked, 0)
    publish(table, "p2", 1, BOTH, {"a": [1], "b": ["x"]})
    with pytest.raises(DataContractError, match="column 'b': every value must fit int64, got 'x'"):
        table.read(columns=asked)


@pytest.mark.parametrize("retype", [False, True])
def test_a_writer_between_the_look_and_the_commit_loses_nothing(
    table: LakeTable, monkeypatch: pytest.MonkeyPatch, retype: bool
) -> None:
    publish(table, "p1", 1, INT, {"a": [1]})
    waiting = [
        lambda: publish(table, "p2", 1, {"a": "int64", "c": "bool"}, {"a": [2], "c": [True]})
    ]

    def slow(*arguments: object, **named: object) -> None:
        if waiting:
            waiting.pop()()
        write_deltalake(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(store_module, "write_deltalake", slow)
    kind, value = ("float64", 3.5) if retype else ("int64", 3)
    columns = {"a": kind, "b": "string"}
    publish(table, "p3", 1, columns, {"a": [value], "b": ["x"]}, [Step("a", "int64", "float64")])
    assert table.read(columns=["a", "b", "c"]).to_pydict() == {
        "a": [1, 2, value], "b": [None, None, "x"], "c": [None, True, None],
    }  # fmt: skip
    assert table.schema() == arrow_schema(columns)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**40), 2**40),
    # Beyond 2**53 a float is several whole numbers, and whether it becomes one depends on the rows
    # beside it.
    "float64": st.floats(-(2.0**52), 2.0**52, width=32) | st.sampled_from([math.inf, -math.inf]),
    "string": st.text("ab1", max_size=3),
    "bool": st.booleans(),
    "timestamp": st.datetimes(datetime(1980, 1, 1), datetime(2030, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=UTC)
    ),
}
COLUMNS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(list(VALUES)), min_size=1)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_sequence_of_definitions_reads_as_a_plain_model_says(data: st.DataObject) -> None:
    """The model: partitions of rows, and of each column the type it had last."""
    with TemporaryDirectory() as folder:
        table = Lake(str(Path(folder))).table("u", "raw")
        rows: dict[str, list[dict[str, Any]]] = {}
        kinds: dict[str, str] = {}
        history: list[tuple[int, dict[str, list[dict[str, Any]]], list[str]]] = []
        first_id = None
        for token in range(data.draw(st.integers(2, 6))):
            columns = data.draw(COLUMNS)
            partition = data.draw(st.sampled_from(["p1", "p2", "p3"]))
            batch = [
                {name: data.draw(st.none() | VALUES[kind]) for name, kind in columns.items()}
                for _ in range(data.draw(st.integers(1, 3)))
            ]
            steps = [
                Step(name, kinds[name], kind, "missing")
                for name, kind in columns.items()
                if kinds.get(name, kind) != kind
            ]
            if steps and data.draw(st.booleans()):
                with pytest.raises(DataContractError, match="must stay"):
                    publish(table, partition, token, columns, _columns(batch, columns))
            publish(table, partition, token, columns, _columns(batch, columns), steps)
            kinds |= columns
            for step in steps:
                for others in rows.values():
                    for row in others:
                        if row.get(step.column) is not None:
                            row[step.column] = by_hand(row[step.column], step.after)
            rows[partition] = [dict(row) for row in batch]
            told = [{**row, "partition": key} for key in sorted(rows) for row in rows[key]]
            names = [*kinds, "partition"]
            found = table.read(columns=names).to_pylist()
            assert found == [{name: row.get(name) for name in names} for row in told]
            assert table.read().column_names == [
                *(one for one in kinds if one in columns),
                "partition",
            ]
            assert table.schema() == arrow_schema(
                {one: kinds[one] for one in kinds if one in columns}
            )
            first_id = first_id or delta(table).metadata().id
            assert delta(table).metadata().id == first_id
            history.append((table.version(), found, names))
        for version, found, names in history:
            assert table.read(columns=names, version=version).to_pylist() == found


def _columns(batch: list[dict[str, Any]], columns: Mapping[str, str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in batch] for name in columns}


def by_hand(value: Any, kind: str) -> Any:
    """Oracle: one value in another type, or None, in plain Python."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if kind == "string" else None
    if kind == "timestamp":  # of these letters no text is a time, but one may have been a time
        was_time = isinstance(value, str) and value.endswith("Z")
        return datetime.fromisoformat(value) if was_time else None
    if kind == "string":
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, int) else pa.scalar(value).cast("string").as_py()
    if kind == "bool":
        texts = {"0": False, "1": True, "false": False, "true": True}
        return {0: False, 1: True, **texts}.get(value)
    try:
        number = float(value)
        if kind == "float64":
            return number
        whole = int(value)  # of a text: of digits alone
    except (ValueError, OverflowError):  # a text that is no number, infinity
        return None
    return whole if number == whole else None
