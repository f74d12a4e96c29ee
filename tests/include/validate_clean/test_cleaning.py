from __future__ import annotations

import pyarrow as pa

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
    result = clean(ROWS, Clean())
    assert result.rows.equals(ROWS)
    assert (
        result.noise_cells,
        result.cells_filled,
        result.rows_dropped,
    ) == (0, 0, 0)


def test_impossible_values_become_missing_and_possible_ones_stay() -> None:
    result = clean(ROWS, Clean(noise={"wind": (0.0, 200.0), "calls": (0.0, 2.0)}))
    assert result.rows["wind"].to_pylist() == [5.0, None, None, None]
    assert result.rows["calls"].to_pylist() == [1, 2, None, None]
    assert result.noise_cells == 3
    assert result.rows.schema == ROWS.schema


def test_missing_is_filled_or_the_row_dropped() -> None:
    rules = Clean(missing={"wind": 0.5, "plan": "drop", "calls": 7.0})
    result = clean(ROWS, rules)
    assert result.rows["id"].to_pylist() == [1, 3, 4]
    assert result.rows["wind"].to_pylist() == [5.0, 0.5, -1.0]
    assert result.rows["calls"].to_pylist() == [1, 7, 900]
    assert (result.rows_dropped, result.cells_filled) == (1, 2)
    assert result.rows.schema == ROWS.schema


def test_noise_is_found_before_missing_is_handled() -> None:
    result = clean(ROWS, Clean(noise={"wind": (0.0, 200.0)}, missing={"wind": "drop"}))
    assert result.rows["id"].to_pylist() == [1]
    assert (result.noise_cells, result.rows_dropped) == (2, 3)
