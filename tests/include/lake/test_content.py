"""The version of a partition: equal rows have equal versions, and any difference shows."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.lake import content
from include.lake.content import content_version
from include.lake.frames import arrow_schema

REPO = Path(__file__).parents[3]
SCHEMA = arrow_schema(
    {"i": "int64", "f": "float64", "s": "string", "b": "bool", "c": "bool", "t": "timestamp"}
)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
# Few values each, so that equal and nearly equal tables are common.
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "i": st.none() | st.integers(-1, 1) | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | st.sampled_from([0.0, 1.0]) | st.floats(allow_nan=False),
    "s": st.none() | st.sampled_from(["", "a", "0"]) | st.text(st.characters(codec="utf-8")),
    "b": st.none() | st.booleans(),
    "c": st.none() | st.booleans(),
    "t": st.none() | st.just(datetime(1970, 1, 1, tzinfo=UTC)) | MOMENTS,
}
Rows = list[dict[str, Any]]
ROWS: st.SearchStrategy[Rows] = st.lists(st.fixed_dictionaries(CELLS), max_size=12)
NOTHING = {"i": 0, "f": 0.0, "s": "", "b": False, "c": False, "t": datetime(1970, 1, 1, tzinfo=UTC)}


def table_of(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def told(rows: Rows) -> list[tuple[str, ...]]:
    """Rows as text: unlike `==` it tells 0.0 from -0.0 as Arrow and Parquet do."""
    return [tuple(repr(row[name]) for name in SCHEMA.names) for row in rows]


def in_chunks(table: pa.Table, cuts: list[int]) -> pa.Table:
    """Return the same rows, cut here, in arrays that begin somewhere within a buffer."""
    edges = [0, *sorted(min(cut, table.num_rows) for cut in cuts), table.num_rows]
    padded = pa.concat_tables([table, table, table]).combine_chunks()
    pieces = [padded.slice(table.num_rows + first, end - first) for first, end in pairwise(edges)]
    return pa.concat_tables(pieces)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.integers(0, 12), max_size=4))
def test_equal_rows_have_one_version_whatever_the_chunks(rows: Rows, cuts: list[int]) -> None:
    table = table_of(rows)
    cut = in_chunks(table, cuts)
    assert cut.to_pylist() == rows
    assert content_version(cut) == content_version(table)


@settings(max_examples=300, deadline=None)
@given(ROWS, ROWS)
def test_versions_are_equal_only_where_rows_are(one: Rows, other: Rows) -> None:
    equal = content_version(table_of(one)) == content_version(table_of(other))
    assert equal == (told(one) == told(other))


@settings(max_examples=200, deadline=None)
@given(ROWS.filter(bool), st.data())
def test_one_changed_cell_changes_the_version(rows: Rows, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(SCHEMA.names))
    changed = [dict(row) for row in rows]
    changed[number][name] = data.draw(CELLS[name])
    assume(told(changed) != told(rows))
    assert content_version(table_of(changed)) != content_version(table_of(rows))


@pytest.mark.parametrize("name", SCHEMA.names)
@pytest.mark.parametrize("beside", [[], ["something"]])
def test_a_missing_value_is_not_the_nothing_of_its_type(name: str, beside: list[str]) -> None:
    column = SCHEMA.field(name)
    kept = [CASES[name] for _ in beside]
    versions = {
        content_version(pa.table([[value, *kept]], schema=pa.schema([column])))
        for value in (None, NOTHING[name], CASES[name])
    }
    assert len(versions) == 3


CASES = {"i": 1, "f": 0.5, "s": "x", "b": True, "c": True, "t": datetime(2013, 1, 1, tzinfo=UTC)}


def test_what_stands_behind_a_missing_value_does_not_count() -> None:
    """Arrow keeps any bits there; a filter, a join and a file leave different ones."""
    present = pa.array([True, False]).buffers()[1]
    made = [
        pa.Array.from_buffers(pa.int64(), 2, [present, pa.array(values, pa.int64()).buffers()[1]])
        for values in ([7, 0], [7, 99])
    ]
    assert made[0].to_pylist() == made[1].to_pylist() == [7, None]
    one, other = (content_version(pa.table({"i": values})) for values in made)
    assert one == other == content_version(pa.table({"i": pa.array([7, None], pa.int64())}))


def test_a_missing_value_is_missing_in_its_own_column() -> None:
    """Values of one column and presence of the next have the same form where both are bools."""
    here = pa.table({"b": [None, True], "c": [False, True]})
    there = pa.table({"b": [False, True], "c": [None, True]})
    assert content_version(here) != content_version(there)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_counts(rows: Rows, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    equal = content_version(table_of(shuffled)) == content_version(table_of(rows))
    assert equal == (told(shuffled) == told(rows))


def test_names_and_types_of_columns_count() -> None:
    plain = pa.table({"a": pa.array([1, 0], pa.int64()), "b": pa.array([1, 0], pa.int64())})
    moment = pa.timestamp("us", tz="UTC")
    others = [
        plain.rename_columns(["a", "c"]),
        plain.rename_columns(["ab", ""]),
        plain.select(["a"]),
        plain.set_column(1, "b", plain["b"].cast(pa.float64())),
        plain.set_column(1, "b", plain["b"].cast(pa.bool_())),
        plain.set_column(1, "b", plain["b"].cast(pa.string())),
        plain.set_column(1, "b", plain["b"].cast(moment)),
    ]
    versions = [content_version(table) for table in [plain, *others]]
    assert len(set(versions)) == len(versions)
    # No rows: there is nothing else to tell.
    assert len({content_version(table.slice(0, 0)) for table in [plain, *others]}) == 1


def test_the_order_of_columns_and_one_without_a_value_do_not_count() -> None:
    plain = pa.table({"a": [1, 2], "b": ["x", None]})
    for same in (
        plain.select(["b", "a"]),
        plain.append_column("c", pa.nulls(2, pa.float64())),
        plain.add_column(0, "c", pa.nulls(2, pa.string())),
    ):
        assert content_version(same) == content_version(plain)
    assert content_version(plain.set_column(1, "b", pa.array([None, "x"]))) != content_version(
        plain
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sets(st.sampled_from(SCHEMA.names)))
def test_what_is_left_out_makes_no_difference(rows: Rows, left_out: set[str]) -> None:
    kept = [name for name in SCHEMA.names if name not in left_out]
    table = table_of(rows)
    assert content_version(table, left_out) == content_version(table.select(kept))
    blank = [{**row, **dict.fromkeys(left_out)} for row in rows]
    assert content_version(table_of(blank), left_out) == content_version(table, left_out)


def test_leaving_out_what_is_not_there_changes_nothing() -> None:
    table = pa.table({"a": [1]})
    assert content_version(table, ("computed_at",)) == content_version(table)


def test_metadata_of_the_schema_does_not_count() -> None:
    table = pa.table({"a": [1]})
    noted = table.replace_schema_metadata({"pandas": "{}"})
    assert content_version(noted) == content_version(table)


def test_rows_are_told_apart_beyond_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_BATCH_ROWS", 8)
    # Neither 8 nor 20 is a whole number of bytes of bits, nor of Arrow's 64 bytes of values.
    rows = [{"i": n, "f": n / 3, "s": "x" * n, "b": n % 3 == 0} for n in range(20)]
    whole = pa.Table.from_pylist(rows)
    for number in (0, 7, 8, 16, 19):
        changed = [dict(row) for row in rows]
        changed[number]["b"] = not changed[number]["b"]
        assert content_version(pa.Table.from_pylist(changed)) != content_version(whole)
    for length in range(20):
        alone = pa.Table.from_pylist(rows[:length], schema=whole.schema)
        assert content_version(whole.slice(0, length)) == content_version(alone)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_a_version_fits_delta_and_is_never_negative(rows: Rows) -> None:
    assert 0 <= content_version(table_of(rows)) < 2**63


def test_another_process_gives_the_same_version() -> None:
    """Python's own hash differs from process to process; what is kept in the lake must not."""
    code = (
        "import pyarrow as pa; from include.lake.content import content_version as v;"
        "print(v(pa.table({'a': [1, None], 's': ['x', '']})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == content_version(pa.table({"a": [1, None], "s": ["x", ""]}))
