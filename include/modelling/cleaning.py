"""The cleaning rules that hold for every row, of a landed batch or of a request."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from include.use_cases.schema import Clean


def without_noise(rows: pa.Table, rules: Clean) -> tuple[pa.Table, int]:
    """Make physically impossible values missing.

    Parameters
    ----------
    rows : Table
        Rows; columns that the rules name and the table lacks are passed over.
    rules : Clean
        Its `noise` gives the lowest and highest possible value of a column.

    Returns
    -------
    rows : Table
        Same columns and types.
    count : int
        How many values became missing.
    """
    count = 0
    for name, (low, high) in rules.noise.items():
        if name not in rows.column_names:
            continue
        column = rows[name]
        # Unsafe: of whole numbers beyond 2**53 a float is near enough to be compared.
        number = column.cast(pa.float64(), safe=False)
        impossible = pc.fill_null(pc.or_(pc.less(number, low), pc.greater(number, high)), False)
        count += int(pc.sum(impossible, min_count=0).as_py())
        rows = _with(rows, name, pc.if_else(impossible, pa.scalar(None, column.type), column))
    return rows, count


def filled(rows: pa.Table, rules: Clean) -> tuple[pa.Table, int]:
    """Fill missing values in, where the rules give a value for the column.

    Parameters
    ----------
    rows : Table
        Rows; columns that the rules name and the table lacks are passed over.
    rules : Clean
        Its `missing`; 'drop' is not dealt with here.

    Returns
    -------
    rows : Table
        Same columns and types.
    count : int
        How many values were filled in.
    """
    count = 0
    for name, rule in rules.missing.items():
        if rule == "drop" or name not in rows.column_names:
            continue
        column = rows[name]
        count += column.null_count
        rows = _with(rows, name, pc.fill_null(column, pa.scalar(rule).cast(column.type)))
    return rows, count


def _with(rows: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    position = rows.schema.get_field_index(name)
    return rows.set_column(position, rows.schema.field(position), column)
