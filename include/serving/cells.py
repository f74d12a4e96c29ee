"""The cells of a request, checked against their column's type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from include.serving.rejected import Rejected
from include.use_cases.schema import ColumnType

# A time outside may overflow in time-zone arithmetic: our error instead of the client's.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
# Every whole number up to here is a float64 of its own; beyond, two of them share one.
_EXACT = 2**53
# Forests compute in float32 (up to 3.4e38) and refuse what overflows there, scaled or not.
_LARGEST = 1e30
_INEXACT = "a number, and as a whole number between -2**53 and 2**53, which float64 holds exactly"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_JSON_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class _InexactError(ValueError):
    """A whole number that a float64 may not hold."""


def of_text(value: str, type_: ColumnType) -> Any:
    """Read a cell of CSV; text that is not of the type stays text, for the check to refuse."""
    if value == "":
        return None
    if type_ == "bool":
        return {"true": True, "false": False}.get(value.lower(), value)
    if type_ in ("int64", "float64") and _WHOLE.fullmatch(value):
        return int(value)
    if type_ in ("int64", "float64") and _NUMBER.fullmatch(value):
        return float(value)
    return value


def checked_column(
    values: list[Any], name: str, type_: ColumnType, *, nullable: bool, blank: bool = True
) -> list[Any]:
    """Check a column's cells and return them as Python values of its type.

    Parameters
    ----------
    values : list
        JSON values, or what `of_text` made of CSV.
    name : str
        The column's name, for messages.
    type_ : ColumnType
        What the values must be.
    nullable : bool
        Whether None is accepted.
    blank : bool
        Whether empty text, or text of white space only, is accepted.

    Raises
    ------
    Rejected
        400 for the first that is wrong: its row, what was expected, what kind of value was there.
    """
    check, expected = _CHECKS[type_]
    checked: list[Any] = []
    for row, value in enumerate(values):
        if value is None:
            if not nullable:
                raise Rejected(400, f"Row {row}, column {name!r}: must not be missing.")
            checked.append(None)
            continue
        try:
            checked.append(check(value))
        except (ValueError, OverflowError) as error:
            wanted = _INEXACT if isinstance(error, _InexactError) else expected
            raise Rejected(
                400, f"Row {row}, column {name!r}: must be {wanted}, got {kind_of(value)}."
            ) from None
    if not blank and type_ == "string":
        _refuse_blank(checked, name, nullable)
    return checked


def _refuse_blank(values: list[str | None], name: str, nullable: bool) -> None:
    for row, value in enumerate(values):
        if value is not None and not value.strip():
            advice = " Send null for a missing value." if nullable else ""
            raise Rejected(
                400, f"Row {row}, column {name!r}: must not be empty or blank text.{advice}"
            )


def kind_of(value: object) -> str:
    """Say what kind of JSON value it is, without the value."""
    return _JSON_KINDS[type(value)]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    if "\0" in value:  # programs in C end a text there: two of them would read two texts
        raise ValueError
    value.encode()  # half a surrogate pair is not text: UnicodeEncodeError is a ValueError
    return value


def _int64(value: object) -> int:
    # pandas writes integers as 5.0 where its column also has missing values.
    exact = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
    whole = int(value) if isinstance(value, float) and exact else value
    if not isinstance(whole, int) or isinstance(whole, bool) or not -(2**63) <= whole < 2**63:
        raise ValueError
    return whole


def _float64(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError
    if isinstance(value, int) and abs(value) > _EXACT:  # it may become another number
        raise _InexactError
    number = float(value)
    if not abs(number) <= _LARGEST:  # 1e400 is JSON, and infinite
        raise ValueError
    return number


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _timestamp(value: object) -> datetime:
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is None:
        raise ValueError
    moment = moment.astimezone(UTC)
    if not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise ValueError
    return moment


def _date(value: object) -> datetime:
    text = _string(value)
    if date.fromisoformat(text).isoformat() != text:  # '20130131' and '2013-W05-4' are read too
        raise ValueError
    return _timestamp(f"{text}T00:00:00Z")


_CHECKS: Mapping[ColumnType, tuple[Callable[[object], Any], str]] = {
    "string": (_string, "valid text"),
    "int64": (_int64, "a whole number of 64 bits"),
    "float64": (_float64, f"a number between -{_LARGEST:g} and {_LARGEST:g}"),
    "bool": (_bool, "true or false"),
    "timestamp": (
        _timestamp,
        f"a time between {_FIRST_YEAR} and {_LAST_YEAR} with its offset, such as"
        " '2013-01-31T05:00:00Z'",
    ),
    "date": (
        _date,
        f"a day between {_FIRST_YEAR} and {_LAST_YEAR}, such as '2013-01-31'",
    ),
}

_YEARS = r"^(19|2[01])\d\d-"  # those of _FIRST_YEAR and _LAST_YEAR
DESCRIBED: Mapping[ColumnType, Mapping[str, Any]] = {
    "string": {"type": "string", "pattern": r"^[^\u0000]*$"},
    "int64": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float64": {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
    "bool": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time", "pattern": _YEARS},
    "date": {"type": "string", "format": "date", "pattern": _YEARS},
}
"""What these checks accept, in the terms of JSON Schema."""
