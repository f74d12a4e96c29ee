"""A slice of a partition is published by itself: others stay, and the last one is current."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import DataContractError
from include.lake.content import content_version
from include.lake.table import Lake, LakeTable, Published, StaleAttempt, Writer

SCHEMA = pa.schema([("a", pa.int64()), ("model_version", pa.string())])
P = "2024-03"


def rows_of(version: str, values: Sequence[int]) -> pa.Table:
    return pa.table({"a": list(values), "model_version": [version] * len(values)}, schema=SCHEMA)


def publish(
    table: LakeTable, version: str, values: Sequence[int], token: int, partition: str = P
) -> Published:
    return table.publish(
        rows_of(version, values),
        partition=partition,
        schema=SCHEMA,
        writer=Writer(f"run-{token}", 1, token, "abc"),
        within={"model_version": version},
    )


def slices(table: LakeTable, partition: str = P) -> dict[str, list[int]]:
    """Return the values by model version, also of those that are not current."""
    found: dict[str, list[int]] = {}
    for row in table.read([partition]).to_pylist():
        found.setdefault(row["model_version"], []).append(row["a"])
    return found


def current(table: LakeTable, partition: str = P) -> list[int]:
    rows, read = table.read_current(partition, "model_version", ["a", "model_version"])
    assert read.partition_version == content_version(rows), "the version is that of these rows"
    values: list[int] = rows["a"].to_pylist()
    return values


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    return lake.table("flight_delays", "predictions")


def test_another_slice_is_added_and_the_first_is_kept(table: LakeTable, tmp_path: Path) -> None:
    publish(table, "1", [1, 2], 1)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    publish(table, "2", [3], 2)
    assert slices(table) == {"1": [1, 2], "2": [3]}
    assert current(table) == [3]
    assert {path: path.read_bytes() for path in files} == files, "not even written again"
    publish(table, "1", [4, 5, 6], 3)
    assert slices(table) == {"1": [4, 5, 6], "2": [3]}
    assert current(table) == [4, 5, 6]


def test_back_to_an_earlier_slice_writes_no_rows_and_is_a_change(table: LakeTable) -> None:
    done = [publish(table, version, [7, 8], token) for token, version in enumerate("1212", 1)]
    assert [one.changed for one in done] == [True] * 4
    assert done[0].partition_version == done[2].partition_version != done[1].partition_version
    added = [commit["operationMetrics"]["num_added_rows"] for commit in _commits(table)]
    assert added == [2, 2, 0, 0], "rows are written twice only"
    assert table.partition_versions()[P] == done[1].partition_version
    assert publish(table, "2", [7, 8], 5).changed is False
    assert [record["changed"] for record in table.history()] == [False, True, True, True, True]


def _commits(table: LakeTable) -> list[dict[str, dict[str, int]]]:
    opened = table._store.open()
    assert opened is not None
    return opened.history()[::-1]


def test_which_slice_is_current_is_noted_as_consumed(table: LakeTable) -> None:
    publish(table, "7", [1], 1)
    publish(table, "12", [1], 2)
    assert table.made_from({P: ["model_version"]})[P]["model_version"] == 12


def test_a_later_attempt_fences_every_slice(table: LakeTable) -> None:
    publish(table, "2", [1], 5)
    with pytest.raises(StaleAttempt, match="a later attempt was faster"):
        publish(table, "1", [9], 4)
    assert slices(table) == {"2": [1]}
    again = publish(table, "2", [1], 5)  # the same attempt once more
    assert (again.version, again.changed) == (0, True)


def test_after_a_clear_a_slice_is_written_again(table: LakeTable) -> None:
    """Delta keeps the digest of a slice that is gone."""
    publish(table, "1", [1, 2], 1)
    publish(table, "2", [3], 2)
    table.clear(P, Writer("retract", 1, 3, "abc"))
    publish(table, "2", [3], 4)
    assert publish(table, "1", [1, 2], 5).changed is True
    assert slices(table) == {"1": [1, 2], "2": [3]}


@dataclass(frozen=True)
class ToFloat:
    """A migration as a use case declares it."""

    column: str = "a"
    before: str = "int64"
    after: str = "float64"
    misfits: Any = "refuse"


def test_a_slice_that_brings_another_type_replaces_itself_alone(table: LakeTable) -> None:
    publish(table, "7", [1, 2], 1)
    publish(table, "8", [3], 2)
    publish(table, "7", [4], 3, partition="2024-04")
    schema = pa.schema([("a", pa.float64()), ("model_version", pa.string())])
    rows = pa.table({"a": [1.5], "model_version": ["7"]}, schema=schema)
    table.publish(
        rows,
        partition=P,
        schema=schema,
        writer=Writer("run-4", 1, 4, "abc"),
        within={"model_version": "7"},
        migrations=[ToFloat()],
    )
    assert slices(table) == {"7": [1.5], "8": [3.0]}
    assert slices(table, "2024-04") == {"7": [4.0]}
    assert current(table) == [1.5]


def test_a_partition_that_was_published_as_a_whole_is_read_as_a_whole(table: LakeTable) -> None:
    table.publish(
        rows_of("3", [1, 2]), partition=P, schema=SCHEMA, writer=Writer("old", 1, 1, "abc")
    )
    assert current(table) == [1, 2]
    publish(table, "4", [5], 2)
    assert slices(table) == {"3": [1, 2], "4": [5]}
    assert current(table) == [5]
    publish(table, "3", [1, 2], 3)
    assert slices(table) == {"3": [1, 2], "4": [5]}, "replaced, not doubled"


@pytest.mark.parametrize(
    ("data", "value", "found"),
    [
        pytest.param(rows_of("1", [1]), "2", r"\['1'\]", id="other rows"),
        pytest.param(
            pa.concat_tables([rows_of("1", [1]), rows_of("2", [1])]), "1", r"\['1', '2'\]",
            id="rows of two",
        ),
        pytest.param(rows_of("one", [1]), "one", r"\['one'\]", id="no number"),
    ],
)  # fmt: skip
def test_rows_outside_the_slice_are_refused(
    table: LakeTable, data: pa.Table, value: str, found: str
) -> None:
    with pytest.raises(DataContractError, match=rf"asked for was '{value}' and the rows .*{found}"):
        table.publish(
            data,
            partition=P,
            schema=SCHEMA,
            writer=Writer("run", 1, 1, "abc"),
            within={"model_version": value},
        )
    assert not table.exists()


def test_two_models_at_once_end_well(table: LakeTable) -> None:
    """Each is kept, or was overtaken by the later attempt, which is current."""
    publish(table, "1", [0], 1)
    barrier, outcomes = threading.Barrier(4), {}

    def run(version: str, token: int) -> None:
        barrier.wait()
        try:
            outcomes[version] = publish(table, version, [token], token).changed
        except StaleAttempt:
            outcomes[version] = None

    threads = [threading.Thread(target=run, args=(str(token), token)) for token in (2, 3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {version: [int(version)] for version, changed in outcomes.items() if changed}
    assert slices(table) == {"1": [0], **kept}
    assert outcomes["5"] is True
    assert current(table) == [5]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "clear"]),
            st.lists(st.integers(0, 1), min_size=1, max_size=2),
        ),
        max_size=6,
    )
)
def test_any_sequence_is_what_a_dictionary_says(steps: list[tuple[str, list[int]]]) -> None:
    expected: dict[str, list[int]] = {}
    last: tuple[str, list[int]] | None = None
    tokens = count(1)
    with TemporaryDirectory() as folder:
        table = Lake(folder).table("u", "predictions")
        for version, values in steps:
            if version == "clear":
                table.clear(P, Writer("retract", 1, next(tokens), "abc"))
                expected, last = {}, None
                continue
            done = publish(table, version, values, next(tokens))
            assert done.changed == (last != (version, values))
            expected[version], last = values, (version, values)
        assert table.partitions() == ([P] if expected else [])
        if last is not None:
            assert slices(table) == expected
            assert current(table) == last[1]
