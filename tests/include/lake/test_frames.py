"""Frames and tables: there and back without a change, and every misfit named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_arrow, to_pandas

SCHEMA = arrow_schema({"i": "int64", "f": "float64", "s": "string", "b": "bool", "t": "timestamp"})
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            "f": st.none() | st.floats(allow_nan=False),
            "s": st.none() | st.text(st.characters(codec="utf-8")),
            "b": st.none() | st.booleans(),
            "t": st.none() | MOMENTS,
        }
    ),
    max_size=5,
)


def one(values: object, kind: str) -> pa.Table:
    return to_arrow(pd.DataFrame({"x": values}), arrow_schema({"x": kind}))


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_there_and_back_is_the_same_table(rows: list[dict[str, object]]) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert to_arrow(to_pandas(table), SCHEMA).equals(table)


@pytest.mark.parametrize("rows", [[], [{"i": 1, "f": 1.0, "s": "x", "b": True}]])
def test_dtypes_come_from_the_schema_alone(rows: list[dict[str, object]]) -> None:
    frame = to_pandas(pa.Table.from_pylist(rows, schema=SCHEMA))
    assert [str(dtype) for dtype in frame.dtypes] == [
        "Int64",
        "float64",
        "str",
        "boolean",
        "datetime64[us, UTC]",
    ]


def test_the_schema_orders_the_columns_and_the_index_goes() -> None:
    frame = pd.DataFrame({"b": [True], "i": [1]}, index=[7])
    table = to_arrow(frame, arrow_schema({"i": "int64", "b": "bool"}))
    assert table.to_pydict() == {"i": [1], "b": [True]}
    assert table.schema.names == ["i", "b"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1.0, np.nan, 3.0], "int64", [1, None, 3]),
        (np.array([2, 3], np.uint8), "int64", [2, 3]),
        ([1, 2], "float64", [1.0, 2.0]),
        (np.array([0.5], np.float32), "float64", [0.5]),
        (pd.Series([1.5, None], dtype="Float64"), "float64", [1.5, None]),
        ([np.nan, np.inf], "float64", [None, float("inf")]),
        (pd.Series(["a", None], dtype="category"), "string", ["a", None]),
        (pd.Series([True, None], dtype=object), "bool", [True, None]),
        ([None, None], "string", [None, None]),
        (
            pd.Series(pd.to_datetime(["2013-01-01 00:30"])).dt.tz_localize("Europe/Paris"),
            "timestamp",
            [datetime(2012, 12, 31, 23, 30, tzinfo=UTC)],
        ),
        (
            pd.Series([None, datetime(2013, 1, 1, tzinfo=UTC)], dtype=object),
            "timestamp",
            [None, datetime(2013, 1, 1, tzinfo=UTC)],
        ),
        (pd.Series([pd.NaT, pd.NaT]), "timestamp", [None, None]),
    ],
)
def test_what_fits_is_taken_without_loss(values: object, kind: str, expected: list[object]) -> None:
    assert one(values, kind)["x"].to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1.0, 1.5], "int64", r"'x', row 1: must be int64 .* got 1.5"),
        ([np.inf], "int64", "row 0: must be int64 .* got inf"),
        ([2.0**54], "int64", r"row 0: must be int64 .* got 1.8014398509481984e\+16"),
        (["7"], "int64", "row 0: must be int64 .* got '7'"),
        ([1, True], "int64", "row 1: must be int64 .* got True"),
        (np.array([2**63], np.uint64), "int64", "row 0: must be int64 .* got 9223372036854775808"),
        ([2**53 + 1], "float64", "row 0: must be double .* got 9007199254740993"),
        ([False], "float64", "row 0: must be double .* got False"),
        ([Decimal("1.5")], "float64", "row 0: must be double .* got Decimal"),
        ([1, 0], "bool", "row 0: must be bool .* got 1"),
        (["a", 1], "string", r"row 1: must be string .* got 1 \(int\)"),
        ([b"a"], "string", "row 0: must be string .* got b'a'"),
        ([datetime(2013, 1, 1)], "timestamp", r"row 0: must be timestamp\[us, tz=UTC\]"),
        (["2013-01-01"], "timestamp", "row 0: must be timestamp.* got '2013-01-01'"),
        (
            pd.to_datetime(np.array([0, 1], "datetime64[ns]"), utc=True),
            "timestamp",
            "row 1: must be timestamp",
        ),
        ([5], "timestamp", "row 0: must be timestamp.* got .*5"),
    ],
)
def test_what_does_not_fit_is_named(values: object, kind: str, message: str) -> None:
    with pytest.raises(DataContractError, match=message):
        one(values, kind)


def test_missing_and_unexpected_columns_are_named() -> None:
    with pytest.raises(DataContractError, match=r"missing: \['x'\], not expected: \['y'\]"):
        to_arrow(pd.DataFrame({"y": [1]}), arrow_schema({"x": "int64"}))


def test_a_type_the_lake_does_not_keep_is_refused() -> None:
    with pytest.raises(DataContractError, match=r"type must be one of .* got int32"):
        to_arrow(pd.DataFrame({"x": [1]}), pa.schema([("x", pa.int32())]))
