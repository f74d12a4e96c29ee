"""Partition keys: the UTC month or day that a batch of rows belongs to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.errors import ConfigError

Grain = Literal["day", "month"]

_SHAPES: dict[Grain, tuple[re.Pattern[str], str, str]] = {
    "month": (re.compile(r"[0-9]{4}-[0-9]{2}"), "%Y-%m", "2013-06"),
    "day": (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "%Y-%m-%d", "2013-06-30"),
}


def check_key(key: str, grain: Grain) -> str:
    """Give the key back when it names a real month or day.

    Parameters
    ----------
    key : str
        What a person or another phase gave.
    grain : {'day', 'month'}
        The grain of the use case.

    Raises
    ------
    ConfigError
        When it does not look like `2013-06` (month) or `2013-06-30` (day), or there is no such
        date.

    Examples
    --------
    >>> check_key("2013-06", "month")
    '2013-06'
    """
    start_of(key, grain)
    return key


def start_of(key: str, grain: Grain) -> datetime:
    """First moment of a partition, in UTC.

    Examples
    --------
    >>> start_of("2013-06", "month").isoformat()
    '2013-06-01T00:00:00+00:00'
    """
    shape, text, example = _SHAPES[grain]
    # strptime alone would take '2013-6', and two spellings of one month would be two partitions.
    if isinstance(key, str) and shape.fullmatch(key):
        try:
            return datetime.strptime(key, text).replace(tzinfo=UTC)
        except ValueError:
            pass  # No such date: the same message as for a wrong shape.
    raise ConfigError(
        f"partition key: must be a {grain} like {example!r}, got {key!r}. "
        "Start the run again with a key of that form."
    )


def end_of(key: str, grain: Grain) -> datetime:
    """First moment after a partition, in UTC.

    Examples
    --------
    >>> end_of("2013-12", "month").isoformat()
    '2014-01-01T00:00:00+00:00'
    """
    start = start_of(key, grain)
    if grain == "day":
        return start + timedelta(days=1)
    # 31 days after the first of a month is always a day of the next one.
    return (start + timedelta(days=31)).replace(day=1)


def key_of(moment: datetime, grain: Grain) -> str:
    """Key of the partition that a moment lies in.

    Parameters
    ----------
    moment : datetime
        With a time zone; a naive one is refused, because its day would depend on the machine.
    grain : {'day', 'month'}
        The grain of the use case.

    Examples
    --------
    >>> key_of(datetime(2013, 6, 30, 23, tzinfo=UTC), "month")
    '2013-06'
    """
    if moment.tzinfo is None:
        raise ConfigError(
            f"partition key: a moment must carry a time zone, got {moment.isoformat()}. "
            "Make it UTC first: `moment.replace(tzinfo=UTC)`."
        )
    day = moment.astimezone(UTC).date().isoformat()
    return day if grain == "day" else day[: len("2013-06")]
