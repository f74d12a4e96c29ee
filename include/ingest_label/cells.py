"""The rules for one cell: which text is a number, and which text may stay a text.

What a cell may hold
--------------------
int64
    Digits, with `-` before them where the number is negative. Leading zeros are allowed. Blanks
    around the number and hexadecimal digits are refused.
float64
    A finite decimal number such as `4.2` or `1e-3`, without blanks around it.
bool
    `true`, `True`, `false` or `False`.
timestamp
    ISO 8601 with a zone, in the years 1 to 9999.
date
    ISO 8601, in the years 1 to 9999; kept as its midnight, UTC.
string
    One line of UTF-8 text. Blanks, tabs and line breaks around it are removed; a text that is
    empty then is missing. Control characters inside (NUL, tabs, line breaks) are refused.

The rules for text are the same in Parquet, which has types of its own for the others. Cells that
are written otherwise are read by the use case's `format` (`written_cells`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError, bounded
from include.ingest_label.source import Source
from include.ingest_label.written_cells import NotRead, bools, plain_numbers, times, without_nulls
from include.use_cases.schema import ColumnType

MAX_CELL_BYTES = 2**20  # a text, not a document: each is repeated in the lake and in reports

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.timestamp("us", tz="UTC"),
}
EXAMPLES: Mapping[ColumnType, str] = {
    "string": "UTF-8 text",
    "int64": "a whole number like 42",
    "float64": "a number like 4.2",
    "bool": "true or false",
    "timestamp": "a time with its zone like 2013-01-01T10:00:00Z",
    "date": "a day like 2013-01-31",
}
# pyarrow strips blanks and tabs around numbers and reads hexadecimal integers. In a file with one
# of these bytes, numbers are read as text and converted here; without them all is exact.
INEXACT = (b" ", b"\t", b"x", b"X")
AS_TEXT: tuple[ColumnType, ...] = ("int64", "float64")
TRUE, FALSE = ("true", "True"), ("false", "False")
_EXACT: Mapping[ColumnType, str] = {"int64": r"^-?[0-9]+$", "float64": r"^[^ \t]+$"}
_UNPARSED = re.compile(r"Failed to parse string: '(.*)' as a scalar of type", re.S)
CONTROL = r"[\x00-\x1f\x7f-\x{9f}]"
# What pyarrow and the codecs below it raise for malformed bytes. Their only input is the file's
# content, so that each of these is an error of the data; a retry would meet it again.
MALFORMED = (pa.ArrowException, ArithmeticError, LookupError, OSError, TypeError, ValueError)
_FIRST_US, _END_US = -62_135_596_800_000_000, 253_402_300_800_000_000  # years 1 to 9999


def check_finite(column: pa.ChunkedArray, name: str, path: str) -> None:
    """Refuse infinities and NaN: a value that is missing is an empty cell."""
    finite = pc.fill_null(pc.is_finite(column), True)
    if not pc.all(finite, min_count=0).as_py():
        row = pc.index(finite, False).as_py()
        raise DataContractError(
            f"{path}: column {name!r} must be finite, got {column[row].as_py()} in data row "
            f"{row + 1}. Leave the cell empty where the value is missing."
        )


def check_years(column: pa.ChunkedArray, name: str, path: str) -> None:
    """Refuse times that Python cannot represent: every later step would fail on them."""
    micros = column.cast(pa.int64())
    ends = pc.min_max(micros).as_py()
    if ends["min"] is not None and not (ends["min"] >= _FIRST_US and ends["max"] < _END_US):
        beyond = pc.or_(pc.less(micros, _FIRST_US), pc.greater_equal(micros, _END_US))
        row = pc.index(beyond, True).as_py()
        raise DataContractError(
            f"{path}: column {name!r} must be in the years 1 to 9999, got "
            f"{micros[row].as_py()} microseconds since 1970 in data row {row + 1}. Correct the "
            "file and land it again."
        )


def cell_message(source: Source, name: str, kind: ColumnType, got: str, row: int | None) -> str:
    """Say that a cell is not of its type, and what would accept it.

    Parameters
    ----------
    source : Source
        The file.
    name, kind : str
        The column and its type.
    got : str
        The cell as it was found.
    row : int or None
        Of the data, from 0; None where it is not known.
    """
    header = " (the header is row 1)" if source.header_rows else ""
    where = f" in row {row + source.header_rows + 1}{header}" if row is not None else ""
    return (
        f"{source.path}: column {name!r} must be {kind}, {EXAMPLES[kind]}, got "
        f"{bounded(repr(got), 200)}{where}. {source.advice(name, kind, got)}"
    )


def from_text(
    column: pa.ChunkedArray, name: str, source: Source, kind: ColumnType
) -> pa.ChunkedArray:
    """Make the declared type of a column of text, by the rules for its cells.

    Raises
    ------
    DataContractError
        A cell is not of the type: which, and what would accept it.
    """
    if column.type == ARROW_TYPES[kind] and kind != "string":
        return column
    rules = source.rules(name)
    text = without_nulls(column, rules)
    try:
        if kind == "bool" and rules.true_values is not None:
            return bools(text, rules)
        if kind == "date" or (kind == "timestamp" and (rules.time_zone or rules.time_format)):
            return times(text, kind, rules)
        if kind in AS_TEXT and (rules.decimal or rules.thousands):
            text = plain_numbers(text, rules)
    except NotRead as error:
        found = column[error.row].as_py()
        raise DataContractError(cell_message(source, name, kind, found, error.row)) from None
    return (
        normalised(text, name, source.path)
        if kind == "string"
        else _exactly(text, name, source, kind)
    )


def _exactly(
    column: pa.ChunkedArray, name: str, source: Source, kind: ColumnType
) -> pa.ChunkedArray:
    # To look for these bytes is a hundred times faster than to match each cell.
    if kind in AS_TEXT and _has_any(column, INEXACT):
        exact = pc.fill_null(pc.match_substring_regex(column, _EXACT[kind]), True)
        if not pc.all(exact, min_count=0).as_py():
            row = pc.index(exact, False).as_py()
            raise DataContractError(cell_message(source, name, kind, column[row].as_py(), row))
    if kind == "bool":  # pyarrow takes 1 and 0 for bools too
        known = pc.is_in(column, pa.array([*TRUE, *FALSE]))
        fine = pc.or_(known, pc.is_null(column))
        if not pc.all(fine, min_count=0).as_py():
            row = pc.index(fine, False).as_py()
            raise DataContractError(cell_message(source, name, kind, column[row].as_py(), row))
    try:
        return column.cast(ARROW_TYPES[kind])
    except MALFORMED as error:
        match = _UNPARSED.search(str(error))
        if match is None:
            raise DataContractError(
                f"{source.path}: column {name!r} must be {kind}, {EXAMPLES[kind]} "
                f"({bounded(str(error), 500)}). Correct the file and land it again."
            ) from None
        row = pc.index(column, match[1]).as_py()
        message = cell_message(source, name, kind, match[1], row if row >= 0 else None)
        raise DataContractError(message) from None


def normalised(column: pa.ChunkedArray, name: str, path: str) -> pa.ChunkedArray:
    """Apply the rules for text: no blanks around, nothing empty, one line, not too long."""
    sizes = pc.binary_length(column)
    if (pc.max(sizes).as_py() or 0) > MAX_CELL_BYTES:
        row = pc.index(pc.greater(sizes, MAX_CELL_BYTES), True).as_py()
        raise DataContractError(
            f"{path}: column {name!r} must have at most {MAX_CELL_BYTES:,} bytes in a cell, got "
            f"{sizes[row].as_py():,} in data row {row + 1}. Shorten it and land the file again."
        )
    if _is_visible_ascii(column) and pc.min(sizes).as_py() != 0:
        return column  # nothing to remove and nothing to refuse
    column = pc.utf8_trim_whitespace(column)
    control = pc.fill_null(pc.match_substring_regex(column, CONTROL), False)
    if pc.any(control, min_count=0).as_py():
        row = pc.index(control, True).as_py()
        raise DataContractError(
            f"{path}: column {name!r} must be one line of text without control characters, got "
            f"{bounded(repr(column[row].as_py()), 200)} in data row {row + 1}. Correct the file "
            "and land it again."
        )
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _buffers(column: pa.ChunkedArray) -> list[pa.Buffer]:
    """Give the text of a column, and of its neighbours where it is part of a larger one."""
    return [buffer for chunk in column.chunks if (buffer := chunk.buffers()[2]) is not None]


def _has_any(column: pa.ChunkedArray, wanted: tuple[bytes, ...]) -> bool:
    texts = (buffer.to_pybytes() for buffer in _buffers(column))
    return any(byte in text for text in texts for byte in wanted)


def _is_visible_ascii(column: pa.ChunkedArray) -> bool:
    held = (np.frombuffer(buffer, np.uint8) for buffer in _buffers(column))
    # Below 0x21 the difference wraps around and is large: one comparison instead of two.
    return not any(bool((each - np.uint8(0x21) > 0x7E - 0x21).any()) for each in held)
