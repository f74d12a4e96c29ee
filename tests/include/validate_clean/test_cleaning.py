from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from include.use_cases.schema import Clean
from include.validate_clean.cleaning import clean

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "wind": pa.array([5.0, 1048.36, None, -1.0], pa.float64()),
        "calls": pa.array([1, 2, None, 900], pa.int64()),
        "plan": pa.array(["a", None, "c", "d"], pa.string()),
    }
)


def test_without_rules_nothing_changes() -> None:
    result = clean(ROWS, Clean(), ["id"])
    assert result.rows.equals(ROWS)
    assert (
        result.noise_cells,
        result.cells_filled,
        result.rows_dropped,
        result.duplicates_removed,
    ) == (0, 0, 0, 0)


def test_impossible_values_become_missing_and_possible_ones_stay() -> None:
    result = clean(ROWS, Clean(noise={"wind": (0.0, 200.0), "calls": (0.0, 2.0)}), ["id"])
    assert result.rows["wind"].to_pylist() == [5.0, None, None, None]
    assert result.rows["calls"].to_pylist() == [1, 2, None, None]
    assert result.noise_cells == 3
    assert result.rows.schema == ROWS.schema


def test_missing_is_filled_or_the_row_dropped() -> None:
    rules = Clean(missing={"wind": 0.5, "plan": "drop", "calls": 7.0})
    result = clean(ROWS, rules, ["id"])
    assert result.rows["id"].to_pylist() == [1, 3, 4]
    assert result.rows["wind"].to_pylist() == [5.0, 0.5, -1.0]
    assert result.rows["calls"].to_pylist() == [1, 7, 900]
    assert (result.rows_dropped, result.cells_filled) == (1, 2)
    assert result.rows.schema == ROWS.schema


def test_noise_is_found_before_missing_is_handled() -> None:
    result = clean(ROWS, Clean(noise={"wind": (0.0, 200.0)}, missing={"wind": "drop"}), ["id"])
    assert result.rows["id"].to_pylist() == [1]
    assert (result.noise_cells, result.rows_dropped) == (2, 3)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1))
def test_of_each_key_the_last_row_stays_in_its_place(keys: list[tuple[int, str]]) -> None:
    rows = pa.table(
        {
            "a": [key[0] for key in keys],
            "b": [key[1] for key in keys],
            "number": list(range(len(keys))),
        }
    )
    result = clean(rows, Clean(), ["a", "b"])
    expected = sorted({key: number for number, key in enumerate(keys)}.values())
    assert result.rows["number"].to_pylist() == expected
    assert result.duplicates_removed == len(keys) - len(expected)
    assert pc.sum(result.rows["number"]).as_py() == sum(expected)
