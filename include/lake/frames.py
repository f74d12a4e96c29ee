"""Between Arrow tables and pandas frames, exactly: what does not fit is an error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.errors import DataContractError
from include.lake.schemas import TYPES, arrow_schema

__all__ = ["arrow_schema", "to_arrow", "to_pandas"]

# Every whole number up to here is a float64 of its own; beyond, two of them share one.
_EXACT = 2**53
_INT64 = (-(2**63), 2**63 - 1)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Frame of a table, with dtypes that depend on the schema and never on the values.

    int64 becomes `Int64`, bool `boolean`, string pandas' `str`, float64 stays (a missing one is
    NaN) and a timestamp becomes `datetime64[us, UTC]`.
    """
    dtypes = {
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(na_value=np.nan),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=dtypes.get)
    return frame


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Table of a frame, in exactly the schema; the index is left out.

    A whole number that came as a float (pandas makes floats of integers with gaps) fits int64; a
    fraction, a text or a truth value does not. NaN, NaT and None are missing values.

    Raises
    ------
    DataContractError
        Naming the column and the first value that does not fit.
    """
    expected, got = list(schema.names), [str(name) for name in frame.columns]
    if sorted(expected) != sorted(got):
        missing = [name for name in expected if name not in got]
        extra = [name for name in got if name not in expected]
        raise DataContractError(
            f"frame: columns must be {expected}; missing: {missing}, not expected: {extra or got}. "
            "Select and name the columns first."
        )
    return pa.table([_column(frame[field.name], field) for field in schema], schema=schema)


def _column(series: pd.Series[Any], field: pa.Field) -> pa.Array:
    if field.type not in TYPES.values():
        raise DataContractError(
            f"column {field.name!r}: type must be one of "
            f"{[str(kind) for kind in TYPES.values()]}, got {field.type}. "
            "Correct the schema."
        )
    if pa.types.is_timestamp(field.type):
        return _timestamps(series, field)
    exact = _same_dtype(series.dtype, field.type)
    if not exact:
        _check_values(series, field)
    return pa.Array.from_pandas(series if exact else series.astype(object), type=field.type)


def _same_dtype(dtype: Any, kind: pa.DataType) -> bool:
    """Whether the dtype alone says that every value fits: nothing is looked at one by one then."""
    if pa.types.is_string(kind):
        return isinstance(dtype, pd.StringDtype)
    allowed = {
        pa.int64(): ("int64", "Int64"),
        pa.float64(): ("float64",),
        pa.bool_(): ("bool", "boolean"),
    }
    return str(dtype) in allowed[kind]


def _check_values(series: pd.Series[Any], field: pa.Field) -> None:
    fits = _FITS[field.type]
    for row, value in enumerate(series.tolist()):
        if not _missing(value) and not fits(value):
            raise _misfit(field, row, value)


def _timestamps(series: pd.Series[Any], field: pa.Field) -> pa.Array:
    if series.dtype == object:
        for row, value in enumerate(series.tolist()):
            aware = isinstance(value, datetime) and value.tzinfo is not None
            if not _missing(value) and not aware:
                raise _misfit(field, row, value)
        series = pd.to_datetime(series, utc=True)
    present = series.notna()
    if not isinstance(series.dtype, pd.DatetimeTZDtype):
        # Without a zone a moment could be any of 24; only a column of nothing says nothing wrong.
        if present.any():
            row = int(np.argmax(present.to_numpy()))
            raise _misfit(field, row, series.iloc[row])
        return pa.nulls(len(series), field.type)
    cut = series.dt.as_unit("us")
    lost = (present & (cut != series)).to_numpy()
    if lost.any():
        row = int(np.argmax(lost))
        raise _misfit(field, row, series.iloc[row])
    return pa.Array.from_pandas(cut.dt.tz_convert("UTC"), type=field.type)


def _missing(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float) and value != value)
    )


def _is_int(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    if isinstance(value, int | np.integer):
        return _INT64[0] <= int(value) <= _INT64[1]
    if not isinstance(value, float | np.floating):
        return False
    return float(value).is_integer() and abs(float(value)) <= _EXACT


def _is_float(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    if isinstance(value, int | np.integer):
        return abs(int(value)) <= _EXACT
    return isinstance(value, float | np.floating)


_FITS: dict[pa.DataType, Callable[[object], bool]] = {
    pa.string(): lambda value: isinstance(value, str),
    pa.int64(): _is_int,
    pa.float64(): _is_float,
    pa.bool_(): lambda value: isinstance(value, bool | np.bool_),
}


def _misfit(field: pa.Field, row: int, value: object) -> DataContractError:
    return DataContractError(
        f"column {field.name!r}, row {row}: must be {field.type} (or missing), got {value!r} "
        f"({type(value).__name__}). Correct the value or convert it on purpose; nothing is coerced."
    )
