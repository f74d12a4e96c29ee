"""Partition keys: the UTC month or day that a batch of rows belongs to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.errors import ConfigError, DataContractError

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
        When it does not look like `2013-06` (month) or `2013-06-30` (day), there is no such date,
        or it is the last one of Python's calendar, whose end has no date.

    Examples
    --------
    >>> check_key("2013-06", "month")
    '2013-06'
    """
    start_of(key, grain)
    return key


def start_of(key: str, grain: Grain) -> datetime:
    """First moment of a partition, in UTC.

    Raises
    ------
    ConfigError
        As `check_key`.

    Examples
    --------
    >>> start_of("2013-06", "month").isoformat()
    '2013-06-01T00:00:00+00:00'
    """
    shape, text, example = _SHAPES[grain]
    # strptime alone would take '2013-6', and two spellings of one month would be two partitions.
    if isinstance(key, str) and shape.fullmatch(key):
        try:
            start = datetime.strptime(key, text).replace(tzinfo=UTC)
            _next_start(start, grain)
        except ValueError:
            pass  # No such date: the same message as for a wrong shape.
        except OverflowError:
            raise ConfigError(
                f"partition key: must be a {grain} before {datetime.max.strftime(text)}, got "
                f"{key!r}, the last {grain} that Python's dates can express: its end has no date. "
                "Correct the key, or the year in the data it was made from."
            ) from None
        else:
            return start
    raise ConfigError(
        f"partition key: must be a {grain} like {example!r}, got {key!r}. "
        "Start the run again with a key of that form."
    )


def end_of(key: str, grain: Grain) -> datetime:
    """First moment after a partition, in UTC.

    Raises
    ------
    ConfigError
        As `check_key`.

    Examples
    --------
    >>> end_of("2013-12", "month").isoformat()
    '2014-01-01T00:00:00+00:00'
    """
    return _next_start(start_of(key, grain), grain)


def _next_start(start: datetime, grain: Grain) -> datetime:
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

    Raises
    ------
    ConfigError
        When the moment has no time zone.
    DataContractError
        When the moment lies outside Python's dates in UTC, or in a partition whose end does.

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
    try:
        day = moment.astimezone(UTC).date().isoformat()
        key = day if grain == "day" else day[: len("2013-06")]
        return check_key(key, grain)
    except (OverflowError, ConfigError):
        raise DataContractError(
            f"partition key: a moment must lie in a {grain} whose start and end are dates of the "
            f"years 1 to 9999 in UTC, got {moment.isoformat()}. Correct the time in the data."
        ) from None
