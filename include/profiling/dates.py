"""How days and times are written."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

ISO_DAY, ISO_TIME = "ISO 8601 day", "ISO 8601 time"
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")
_ISO_ZONED = re.compile(_ISO_LOCAL.pattern + r"(Z|[+-]\d\d:?\d\d)")
_DAYS = (
    ("%d.%m.%Y", r"\d{1,2}\.\d{1,2}\.\d{4}"),
    ("%d.%m.%y", r"\d{1,2}\.\d{1,2}\.\d\d"),
    ("%m/%d/%Y", r"\d{1,2}/\d{1,2}/\d{4}"),
    ("%d/%m/%Y", r"\d{1,2}/\d{1,2}/\d{4}"),
    ("%m/%d/%y", r"\d{1,2}/\d{1,2}/\d\d"),
    ("%d/%m/%y", r"\d{1,2}/\d{1,2}/\d\d"),
    ("%d-%m-%Y", r"\d{1,2}-\d{1,2}-\d{4}"),
    ("%Y/%m/%d", r"\d{4}/\d{1,2}/\d{1,2}"),
    ("%Y.%m.%d", r"\d{4}\.\d{1,2}\.\d{1,2}"),
    ("%Y%m%d", r"(19|20)\d{6}"),
    ("%b %d %Y", r"[A-Za-z]{3} \d{1,2} \d{4}"),
    ("%d %b %Y", r"\d{1,2} [A-Za-z]{3} \d{4}"),
    ("%d-%b-%Y", r"\d{1,2}-[A-Za-z]{3}-\d{4}"),
    ("%B %d, %Y", r"[A-Za-z]+ \d{1,2}, \d{4}"),
)
_CLOCKS = (("", ""), (" %H:%M", r" \d{1,2}:\d\d"), (" %H:%M:%S", r" \d{1,2}:\d\d:\d\d"))


@dataclass(frozen=True)
class Times:
    """How a column writes days or times.

    Attributes
    ----------
    kind : {'date', 'timestamp'}
        Its type.
    time_format : str or None
        None: ISO 8601.
    local : bool
        Times without a zone.
    ambiguous : bool
        Day and month could be the other way round: no day is above 12.
    """

    kind: str
    time_format: str | None = None
    local: bool = False
    ambiguous: bool = False


def times_of(texts: pd.Series, *, day_first: bool) -> Times | None:
    """Tell how all of the texts are written; None where no one way fits all.

    Parameters
    ----------
    texts : Series of str
        Different values, without missing ones.
    day_first : bool
        What `03/04/2024` means where nothing else tells: the third of April.
    """
    if (iso := _iso(texts)) is not None:
        return iso
    fitting = [each for each in _ways(texts) if _reads(texts, each)]
    if not fitting:
        return None
    wanted = [each for each in fitting if each.startswith("%d") == day_first] or fitting
    found = wanted[0]
    kind = "timestamp" if "%H" in found else "date"
    return Times(kind, found, local="%H" in found, ambiguous=len(fitting) > 1)


def several_formats(texts: pd.Series) -> list[str]:
    """Name the formats of texts that are all dates, but written in different ways; or none."""
    found, left = [], texts
    for name, pattern in [("%Y-%m-%d", _ISO_DAY.pattern), *_patterns()]:
        fits = left.str.fullmatch(pattern)
        if fits.any() and _reads(left[fits], name):
            found.append(name)
            left = left[~fits]
    return found if len(found) > 1 and left.empty else []


def _iso(texts: pd.Series) -> Times | None:
    zoned = texts.str.fullmatch(_ISO_ZONED.pattern).all()
    for pattern, found in (
        (_ISO_DAY, Times("date")),
        (_ISO_LOCAL, Times("timestamp", local=True)),
        (_ISO_ZONED, Times("timestamp")),
    ):
        if texts.str.fullmatch(pattern.pattern).all():
            parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=bool(zoned))
            return found if parsed.notna().all() else None
    return None


def _patterns() -> list[tuple[str, str]]:
    return [(day + clock, shape + tick) for day, shape in _DAYS for clock, tick in _CLOCKS]


def _ways(texts: pd.Series) -> list[str]:
    first = texts.iloc[0]
    ways = [way for way in _patterns() if re.fullmatch(way[1], first)]
    return [name for name, pattern in ways if texts.str.fullmatch(pattern).all()]


def _reads(texts: pd.Series, written: str) -> bool:
    return bool(pd.to_datetime(texts, format=written, errors="coerce", exact=True).notna().all())
