"""Cells that are not written as Flywheel writes them: read by the rules of the use case's `format`.

What a rule does not cover is refused: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from include.use_cases.schema import ColumnType
from include.use_cases.sections.format import CellRules

UTC = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")


class NotRead(ValueError):  # noqa: N818 - it is caught where the message is made
    """A cell that the rules do not cover; `row` counts from 0."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


def without_nulls(column: pa.ChunkedArray, rules: CellRules) -> pa.ChunkedArray:
    """Make the cells missing that `null_values` names; blanks around a cell do not count."""
    if rules.null_values is None:
        return column
    wanted = pa.array(sorted({word.strip() for word in rules.null_values}), pa.string())
    missing = pc.is_in(pc.utf8_trim_whitespace(column), wanted)
    return pc.if_else(missing, pa.scalar(None, pa.string()), column)


def plain_numbers(column: pa.ChunkedArray, rules: CellRules) -> pa.ChunkedArray:
    """Write numbers as `1234.5`; blanks around them do not count.

    `1,23` with thousands `,` is no number, though it would become one without the comma: only
    groups of three digits are taken together.

    Raises
    ------
    NotRead
        For the first cell that is no number by the rules.
    """
    column = pc.utf8_trim_whitespace(column)
    fraction, group = re.escape(rules.decimal or "."), re.escape(rules.thousands or "")
    grouped = rf"[0-9]{{1,3}}({group}[0-9]{{3}})+|" if rules.thousands else ""
    shape = rf"^-?({grouped}[0-9]+)({fraction}[0-9]+)?([eE][+-]?[0-9]+)?$"
    _check(pc.match_substring_regex(column, shape))
    if rules.thousands:
        column = pc.replace_substring(column, rules.thousands, "")
    if rules.decimal == ",":
        column = pc.replace_substring(column, ",", ".")
    return column


def bools(column: pa.ChunkedArray, rules: CellRules) -> pa.ChunkedArray:
    """Read words as bools.

    Raises
    ------
    NotRead
        For the first cell that is none of the words.
    """
    trimmed = pc.utf8_trim_whitespace(column)
    true = pc.is_in(trimmed, pa.array(rules.true_values, pa.string()))
    false = pc.is_in(trimmed, pa.array(rules.false_values, pa.string()))
    known = pc.or_(true, false)
    _check(pc.if_else(pc.is_valid(column), known, pa.scalar(None, pa.bool_())))
    return pc.if_else(known, true, pa.scalar(None, pa.bool_()))


def times(column: pa.ChunkedArray, kind: ColumnType, rules: CellRules) -> pa.ChunkedArray:
    """Read times without a zone, or dates.

    Parameters
    ----------
    column : ChunkedArray
        Text.
    kind : {'timestamp', 'date'}
        A date becomes its midnight, UTC.
    rules : CellRules
        `time_format` and `time_zone`; a time is of UTC where no zone is given.

    Raises
    ------
    NotRead
        For the first cell that is none, or in an hour that the clock leaves out in spring.
    """
    if rules.time_format is not None:
        naive = _by_format(column, rules.time_format)
    else:
        written = pa.date32() if kind == "date" else _NAIVE
        naive = _whole(column, lambda cells: cells.cast(written).cast(_NAIVE))
    if kind == "date":
        return pc.floor_temporal(naive, unit="day").cast(UTC)
    zone = rules.time_zone or "UTC"
    return _whole(naive, lambda times: in_zone(times, zone))


def in_zone(naive: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    """Say which clock wrote times; raises ArrowInvalid for an hour that it leaves out in spring."""
    return pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="raise").cast(UTC)


def _by_format(column: pa.ChunkedArray, written: str) -> pa.ChunkedArray:
    # Not by pyarrow, which takes 31.02.2020 for the second of March.
    import pandas as pd

    series = column.to_pandas().astype("object").str.strip()
    parsed = pd.to_datetime(series, format=written, errors="coerce", exact=True)
    naive = pa.chunked_array([pa.Array.from_pandas(parsed, type=_NAIVE)], type=_NAIVE)
    _check(pc.or_(pc.is_valid(naive), pc.is_null(column)))
    return naive


def _check(fine: pa.ChunkedArray) -> None:
    """Raise for the first cell that is not fine; one that is missing is."""
    if not pc.all(fine, min_count=0).as_py():
        raise NotRead(pc.index(fine, False).as_py())


def _whole(
    column: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> pa.ChunkedArray:
    """Convert a column; where that fails, the first cell that fails is searched by halves."""
    try:
        return convert(column)
    except pa.ArrowInvalid:
        first, end = 0, len(column)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            convert(column[first:middle])
            first = middle
        except pa.ArrowInvalid:
            end = middle
    raise NotRead(first)
