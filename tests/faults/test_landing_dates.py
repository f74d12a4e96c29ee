"""A flight whose year, month or day contradicts its time does not reach the clean table."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from include.errors import ConfigError
from include.use_cases.expectations import Suite
from include.use_cases.loader import get, load_suite
from include.validate_clean.expectations import check
from include.validate_clean.local_date import date_matches
from scripts.land_flights import _flights

RULE = "expect_local_date_to_match_time(time_hour, year, month, day)"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# New York is 5 hours behind UTC in winter and 4 in summer; by hand.
ROWS = [
    ("2013-06-15T10:00", 2013, 6, 15, True),
    ("2013-06-15T10:00", 1999, 6, 15, False),
    ("2013-06-15T10:00", 2013, 7, 15, False),
    ("2013-06-15T10:00", 2013, 6, 14, False),
    ("2013-06-15T03:59", 2013, 6, 14, True),  # 23:59 of the day before
    ("2013-06-15T03:59", 2013, 6, 15, False),
    ("2013-06-15T04:00", 2013, 6, 15, True),
    ("2014-01-01T04:59", 2013, 12, 31, True),  # the year before, too
    ("2014-01-01T04:59", 2014, 1, 1, False),
    ("2014-01-01T05:00", 2014, 1, 1, True),
    ("2013-03-10T06:59", 2013, 3, 10, True),  # clocks go forward at 7:00 UTC
    ("2013-11-03T04:30", 2013, 11, 3, True),  # the last night of summer time
    ("2013-11-04T04:30", 2013, 11, 3, True),  # the first of winter time
]


def frame() -> pd.DataFrame:
    table = pd.DataFrame(ROWS, columns=["time_hour", "year", "month", "day", "agrees"])
    return table.assign(time_hour=pd.to_datetime([at(text) for text, *_ in ROWS], utc=True))


def suite(**changes: object) -> Suite:
    rule = {
        "expectation": "expect_local_date_to_match_time",
        "column_list": ["time_hour", "year", "month", "day"],
        "time_zone": "America/New_York",
        "on_failure": "quarantine",
    }
    return Suite.model_validate({"expectations": [{**rule, **changes}]})


def test_rows_whose_date_contradicts_their_time_are_named() -> None:
    checked = check(frame(), suite(), "e.yaml")
    assert checked.refusals == []
    assert checked.rows == {row: [RULE] for row, (*_, agrees) in enumerate(ROWS) if not agrees}


def test_a_date_with_a_gap_does_not_match() -> None:
    rows = frame().iloc[:3].astype({"year": float})
    rows.loc[0, "year"] = None
    rows.loc[2, "time_hour"] = pd.NaT
    assert set(check(rows, suite(), "e.yaml").rows) == {0, 1, 2}


@pytest.mark.parametrize(
    "changes", [{"time_zone": "Mars/Olympus"}, {"column_list": ["year", "day"]}]
)
def test_a_rule_that_cannot_be_computed_is_a_mistake_in_the_suite(changes) -> None:
    with pytest.raises(ConfigError, match=r"e.yaml: expectation .* cannot be computed"):
        check(frame(), suite(**changes), "e.yaml")


@pytest.mark.parametrize("name", ["flight_delays", "air_time"])
def test_the_flights_use_it(name: str) -> None:
    """Check real flights of new year's eve, one of them said to be of 1999."""
    flights = _flights()
    rows = flights[flights["time_hour"] >= "2013-12-31T12:00"].head(400)
    numbers = ["year", "month", "day", "distance", "hour", "minute"]
    rows = rows.astype(dict.fromkeys(numbers, "int64")).reset_index(drop=True)
    rows["time_hour"] = pd.to_datetime(rows["time_hour"], utc=True)
    rows.loc[7, "year"] = 1999
    checked = check(rows[list(get(name).ingest.columns)], load_suite(get(name)), name)
    assert [row for row, reasons in checked.rows.items() if RULE in reasons] == [7]


def test_no_real_flight_is_set_aside() -> None:
    flights = _flights()[["time_hour", "year", "month", "day"]]
    flights = flights.astype(dict.fromkeys(["year", "month", "day"], "int64"))
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    assert len(flights) == 336_776
    assert date_matches(flights, "America/New_York").all()
    # The rule looks at the zone: in UTC the evening's flights would be of the next day.
    assert (~date_matches(flights, "UTC")).sum() == 38_444
