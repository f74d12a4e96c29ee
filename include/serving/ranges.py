"""Request values outside the ranges that are declared as possible, or were seen at training."""

from __future__ import annotations

from collections.abc import Mapping

from include.registry.request_rules import Range, Rule
from include.serving.protocol import Table
from include.serving.rejected import RefusedValue


class OutOfRange(RefusedValue):
    """A request with a value that is physically impossible.

    Parameters
    ----------
    row : int
        Where the value is.
    column : str
        Where the value is.
    value : int or float
        It is finite, so it can be written as JSON.
    possible : (low, high)
        What is declared.
    """

    def __init__(self, row: int, column: str, value: float, possible: Range) -> None:
        low, high = (f"{bound:.15g}" for bound in possible)
        super().__init__(
            f"Row {row}, column {column!r}: must be between {low} and {high}, the physically"
            f" possible range, got {value!r}.",
            "out_of_range",
            column,
        )


def out_of_range(columns: Table, rules: Mapping[str, Rule]) -> dict[str, list[int]]:
    """Find values outside their column's ranges.

    Parameters
    ----------
    columns : dict of str to list
        Checked values, as in `include.serving.protocol.Rows`.
    rules : mapping of str to Rule
        The ranges.

    Returns
    -------
    dict of str to list of int
        By column, the rows to flag; columns without any are left out.

    Raises
    ------
    OutOfRange
        If a value is outside the possible range, and the use case refuses such values, or the value
        would count as missing where none may be missing.
    """
    flagged: dict[str, list[int]] = {}
    for name, rule in rules.items():
        if (rule.possible is None and rule.usual is None) or name not in columns:
            continue
        values = columns[name]
        if rule.possible is not None and (outside := _outside(values, rule.possible)):
            if rule.refuse or not rule.nullable:
                raise OutOfRange(outside[0], name, values[outside[0]], rule.possible)
            flagged[name] = outside
        if rule.usual is not None and (outside := _outside(values, rule.usual)):
            flagged[name] = sorted({*flagged.get(name, []), *outside})
    return flagged


def _outside(values: list[float | None], span: Range) -> list[int]:
    low, high = span
    return [
        row for row, value in enumerate(values) if value is not None and not low <= value <= high
    ]
