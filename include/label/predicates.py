"""A condition of `labels.rules`, applied to the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.use_cases.predicates import Compared, Condition

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
    "==": pc.equal,
    "!=": pc.not_equal,
}


def holds(condition: Condition, rows: pa.Table) -> Any:
    """Tell in which rows a condition holds; where a missing value leaves it open it does not.

    Parameters
    ----------
    condition : Condition
        As `include.use_cases.predicates.parse` makes it.
    rows : Table
        With the columns that it names.

    Returns
    -------
    ndarray of bool
        One for each row.
    """
    return pc.fill_null(_holds(condition, rows), False).to_numpy()


def _holds(condition: Condition, rows: pa.Table) -> Any:
    if isinstance(condition, Compared):
        return _compared(condition, rows[condition.column])
    parts = [_holds(part, rows) for part in condition.parts]
    if condition.how == "not":
        return pc.invert(parts[0])
    # Kleene's logic: what is open may still be decided by the other part.
    return reduce(pc.and_kleene if condition.how == "and" else pc.or_kleene, parts)


def _compared(condition: Compared, values: Any) -> Any:
    sign, value = condition.sign, condition.value
    if sign in ("is", "is not"):
        return pc.is_null(values) if sign == "is" else pc.is_valid(values)
    if sign in ("in", "not in"):
        within = reduce(pc.or_kleene, [pc.equal(values, _scalar(each, values)) for each in value])
        return within if sign == "in" else pc.invert(within)
    return _COMPARE[sign](values, _scalar(value, values))


def _scalar(value: Any, values: Any) -> Any:
    if pa.types.is_timestamp(values.type):
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return pa.scalar(aware, values.type)
    return pa.scalar(value)
