from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.lake.corrections import standing

KEY = st.tuples(st.integers(0, 3) | st.none(), st.sampled_from("ab"))
ROWS = st.lists(st.tuples(KEY, st.integers(0, 2) | st.none()), min_size=1)


def by_hand(rows: list[tuple[tuple[int | None, str], int | None]], by_value: bool) -> list[int]:
    """Find what stands by going through the rows one by one."""
    last: dict[object, int] = {}
    for number, (key, value) in enumerate(rows):
        name: object = ("incomplete", number) if None in key else key
        if by_value and name in last:
            present, here = rows[last[name]][1], value
            if (here if here is not None else -1) < (present if present is not None else -1):
                continue
        last[name] = number
    return sorted(last.values())


@pytest.mark.parametrize("by", [None, "value"])
@given(rows=ROWS)
def test_one_row_of_each_key_stands(rows: list, by: str | None) -> None:
    table = pa.table(
        {
            "a": pa.array([key[0] for key, _ in rows], pa.int64()),
            "b": [key[1] for key, _ in rows],
            "value": pa.array([value for _, value in rows], pa.int64()),
        }
    )
    assert standing(table, ["a", "b"], by).to_pylist() == by_hand(rows, by is not None)


def test_of_no_row_none_stands() -> None:
    assert standing(pa.table({"a": pa.array([], pa.int64())}), ["a"]).to_pylist() == []
