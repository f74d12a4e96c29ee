"""Which rule of `format` would accept a cell, as it looks."""

from __future__ import annotations

import json
import re

from include.errors import bounded
from include.use_cases.schema import ColumnType
from include.use_cases.sections.format import CellRules

_MISSING = {
    "",
    "?",
    "-",
    "--",
    ".",
    "n/a",
    "na",
    "nan",
    "none",
    "null",
    "nil",
    "missing",
    "unknown",
}
_WORDS = [("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("1", "0"), ("on", "off")]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SHAPES = (
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%d/%m/%Y"),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4}"), "%d-%m-%Y"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
)
_CLOCKS = (
    (re.compile(""), ""),
    (re.compile(r" \d{1,2}:\d\d"), " %H:%M"),
    (re.compile(r" \d{1,2}:\d\d:\d\d"), " %H:%M:%S"),
)


def wanted(kind: ColumnType, cell: str, rules: CellRules) -> tuple[str, str] | None:
    """Guess what would accept a cell; a person decides.

    Parameters
    ----------
    kind : ColumnType
        What the cell should have been.
    cell : str
        As it was found.
    rules : CellRules
        Those that it was read by.

    Returns
    -------
    tuple of str, or None
        When it would be right, and the line of YAML; or `type ...`, another type of the column.
    """
    text = cell.strip()
    if text.lower() in _MISSING:
        found = bounded(repr(cell), 60)
        listed = _list([*(rules.null_values or []), cell])
        return f"Where {found} means that the value is missing,", f"null_values: {listed}"
    if kind in ("int64", "float64"):
        return _wanted_number(kind, text)
    if kind == "bool":
        return _wanted_words(text)
    return _wanted_time(kind, text) if kind in ("timestamp", "date") else None


def _wanted_words(text: str) -> tuple[str, str] | None:
    for pair in _WORDS:
        if text.lower() in pair:
            same = str.title if text.istitle() else str.upper if text.isupper() else str
            true, false = (_list([same(word)]) for word in pair)
            return "If these are its words,", f"true_values: {true}, false_values: {false}"
    return None


def _wanted_time(kind: ColumnType, text: str) -> tuple[str, str] | None:
    if kind == "timestamp" and _ISO_TIME.fullmatch(text):
        return "If you know which clock wrote it,", "time_zone: Europe/Berlin"
    if kind == "timestamp" and _ISO_DATE.fullmatch(text):
        return "For a day without a time", "type date"
    for shape, day in _SHAPES:
        for clock, time in _CLOCKS:
            if re.fullmatch(shape.pattern + clock.pattern, text):
                return "If this is how times are written,", f"time_format: '{day}{time}'"
    return None


def _wanted_number(kind: ColumnType, text: str) -> tuple[str, str] | None:
    if kind == "int64" and _NUMBER.fullmatch(text):
        return "For numbers with a fraction", "type float64"
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return "If ',' groups the digits,", "thousands: ','"
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+", text):
        return "If ',' begins the fraction,", "decimal: ',', thousands: '.'"
    if re.fullmatch(r"-?\d+,\d+", text):
        return "If ',' begins the fraction,", "decimal: ','"
    return None


def _list(words: list[str]) -> str:
    quoted = (f"'{word}'" if "'" not in word else json.dumps(word) for word in words)
    return f"[{', '.join(quoted)}]"
