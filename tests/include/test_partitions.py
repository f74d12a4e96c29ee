"""Partition keys against the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, DataContractError
from include.partitions import Grain, check_key, end_of, key_of, start_of

GRAINS = st.sampled_from(["day", "month"])
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))


@given(MOMENTS, GRAINS)
def test_a_moment_lies_in_the_partition_named_after_it(moment: datetime, grain: Grain) -> None:
    key = key_of(moment, grain)
    assert check_key(key, grain) == key
    assert start_of(key, grain) <= moment < end_of(key, grain)


@given(MOMENTS, GRAINS)
def test_partitions_follow_each_other_without_a_gap(moment: datetime, grain: Grain) -> None:
    following = key_of(end_of(key_of(moment, grain), grain), grain)
    assert start_of(following, grain) == end_of(key_of(moment, grain), grain)
    assert key_of(moment, grain) < following


@pytest.mark.parametrize(
    ("key", "grain", "end"),
    [
        ("2012-02", "month", datetime(2012, 3, 1, tzinfo=UTC)),
        ("2013-12", "month", datetime(2014, 1, 1, tzinfo=UTC)),
        ("2012-02-29", "day", datetime(2012, 3, 1, tzinfo=UTC)),
    ],
)
def test_ends_by_the_calendar(key: str, grain: Grain, end: datetime) -> None:
    assert end_of(key, grain) == end


@pytest.mark.parametrize(
    "key",
    [
        "2013-6",
        "2013-13",
        "2013",
        "2013-06-01",
        "",
        " 2013-06",
        "2013-06\n",
        "٢٠١٣-06",
        "0000-01",
        None,
    ],
)
def test_other_months_are_refused_with_an_example(key: str) -> None:
    with pytest.raises(ConfigError, match=r"must be a month like '2013-06', got .*Start the run"):
        check_key(key, "month")


def test_a_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be a day like '2013-06-30', got '2013-02-29'"):
        check_key("2013-02-29", "day")


@pytest.mark.parametrize(("key", "grain"), [("9999-12", "month"), ("9999-12-31", "day")])
def test_the_last_partition_of_the_calendar_is_refused(key: str, grain: Grain) -> None:
    """Its end would be in the year 10000, which Python's dates cannot express."""
    for function in (check_key, start_of, end_of):
        with pytest.raises(ConfigError, match=f"before {key}, got '{key}'.*its end has no date"):
            function(key, grain)


@pytest.mark.parametrize(
    ("key", "grain", "end"),
    [
        ("9999-11", "month", datetime(9999, 12, 1, tzinfo=UTC)),
        ("9999-12-30", "day", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_the_partition_before_the_last_is_accepted(key: str, grain: Grain, end: datetime) -> None:
    assert end_of(key, grain) == end


@pytest.mark.parametrize(
    ("moment", "grain"),
    [
        (datetime(9999, 12, 5, tzinfo=UTC), "month"),
        (datetime(9999, 12, 31, tzinfo=UTC), "day"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), "day"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "month"),
    ],
)
def test_a_moment_without_a_whole_partition_is_an_error_of_the_data(
    moment: datetime, grain: Grain
) -> None:
    with pytest.raises(DataContractError, match=r"years 1 to 9999 in UTC, got .*Correct the time"):
        key_of(moment, grain)


def test_a_moment_elsewhere_counts_in_utc() -> None:
    new_york = timezone(timedelta(hours=-5))
    assert key_of(datetime(2013, 1, 31, 20, tzinfo=new_york), "month") == "2013-02"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="must carry a time zone, got 2013-01-01T00:00:00"):
        key_of(datetime(2013, 1, 1), "day")
