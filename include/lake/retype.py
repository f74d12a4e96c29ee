"""Convert values to another type exactly; a value that the new type cannot hold is a misfit."""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.lake.schemas import TYPE_NAMES

Misfits = Literal["refuse", "missing"]
DECLARE_MISFITS = (
    "Nothing was written. Correct that value at its source, or declare `misfits: missing` in the "
    "use case's migration: such values then become missing."
)
_ISO = "%Y-%m-%dT%H:%M:%SZ"


def convertible(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether any value of one type is a value of the other: a time is no number.

    Examples
    --------
    >>> convertible(pa.int64(), pa.string())
    True
    >>> convertible(pa.timestamp("us", tz="UTC"), pa.int64())
    False
    """
    if pa.types.is_timestamp(before) or pa.types.is_timestamp(after):
        return before == after or pa.string() in (before, after)
    return True


def retyped(
    column: pa.ChunkedArray,
    after: pa.DataType,
    where: str,
    misfits: Misfits = "refuse",
    next_step: str = DECLARE_MISFITS,
) -> pa.ChunkedArray:
    """Convert a column; missing values stay missing, and NaN is one of them.

    Whole numbers become floats up to 2**53, floats become whole numbers where they are whole, 0 and
    1 truth values; texts are read as numbers, `true` or `false`, and ISO 8601 times.

    Parameters
    ----------
    column : ChunkedArray
        Of one of the lake's types.
    after : DataType
        Another of them.
    where : str
        Table and column, for the error.
    misfits : {'refuse', 'missing'}
        What happens to a value that the other type cannot hold.
    next_step : str
        Ends the error.

    Raises
    ------
    DataContractError
        When a value does not fit and misfits are refused.

    Examples
    --------
    >>> retyped(pa.chunked_array([[1, None]]), pa.string(), "t.a").to_pylist()
    ['1', None]
    """
    before = column.type
    if before == after:
        return column
    if pa.types.is_floating(before):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, before), column)
    if convertible(before, after):
        try:
            return _exactly(column, after)
        except pa.ArrowInvalid:
            pass  # some value does not fit: look which
    chunks = [_one_by_one(chunk, after, where, misfits, next_step) for chunk in column.chunks]
    return pa.chunked_array(chunks, type=after)


def _one_by_one(
    chunk: pa.Array, after: pa.DataType, where: str, misfits: Misfits, next_step: str
) -> pa.Array:
    """Convert each distinct value on its own."""
    encoded = chunk.dictionary_encode()
    values = encoded.dictionary
    converted: list[Any] = []
    for row in range(len(values)):
        try:
            if not convertible(values.type, after):
                raise pa.ArrowInvalid
            converted.append(_exactly(pa.chunked_array([values.slice(row, 1)]), after)[0])
        except pa.ArrowInvalid as error:
            if misfits == "refuse":
                kind = TYPE_NAMES.get(values.type, values.type)
                raise DataContractError(
                    f"{where}: every value must fit {TYPE_NAMES.get(after, after)}, got "
                    f"{values[row].as_py()!r} ({kind}). {next_step}"
                ) from error
            converted.append(None)
    return pa.array(converted, after).take(encoded.indices)


def _exactly(column: pa.ChunkedArray, after: pa.DataType) -> pa.ChunkedArray:
    """Cast; raises ArrowInvalid where a value would change."""
    if pa.types.is_string(after) and pa.types.is_timestamp(column.type):
        return pc.strftime(column, format=_ISO)
    if pa.types.is_boolean(after) and not pa.types.is_string(column.type):
        neither = pc.and_(pc.not_equal(column, 0), pc.not_equal(column, 1))
        if pc.any(neither).as_py():
            raise pa.ArrowInvalid("neither 0 nor 1")
    return column.cast(after)
