"""Cells as other programs write them, read by the rules of `format`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.errors import DataContractError
from include.ingest_label.files import parse
from include.ingest_label.source import Source
from include.use_cases.schema import ColumnType
from include.use_cases.sections.format import Format


def read(cells: list[str], kind: ColumnType, **rules: object) -> list[Any]:
    """Read one column of a CSV file, every cell in quotes."""
    content = "\n".join(['id,"x"', *(f'1,"{cell}"' for cell in cells), ""]).encode()
    written = Format.model_validate({"columns": {"x": rules}})
    return parse(content, Source("a.csv", written), {"x": kind})["x"].to_pylist()


def refusal(cells: list[str], kind: ColumnType, **rules: object) -> str:
    with pytest.raises(DataContractError) as caught:
        read(cells, kind, **rules)
    return str(caught.value)


# --- missing values


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [("float64", "29.85", 29.85), ("int64", "3", 3), ("string", "a", "a"), ("bool", "true", True)],
)
def test_null_values_are_missing_in_each_type(kind: ColumnType, cell: str, value: object) -> None:
    cells = [cell, " ", "NA", " NA ", "", "?"]
    assert read(cells, kind, null_values=[" ", "NA", "?"]) == [value, *[None] * 5]


def test_null_values_of_the_table_hold_for_each_column_without_its_own() -> None:
    written = Format.model_validate(
        {"null_values": ["NA"], "columns": {"b": {"null_values": ["?"]}}}
    )
    content = b"a,b\nNA,NA\n?,?\n"
    table = parse(content, Source("a.csv", written), {"a": "string", "b": "string"})
    assert table.to_pylist() == [{"a": None, "b": "NA"}, {"a": "?", "b": None}]


def test_a_blank_is_shown_as_a_blank_with_the_yaml_that_would_accept_it() -> None:
    message = refusal(["29.85", " "], "float64")
    assert "a.csv: column 'x' must be float64, a number like 4.2, got ' ' in row 3" in message
    assert "Where ' ' means that the value is missing, write `null_values: [' ']`" in message
    assert "under ingest.format.columns.x in use_case.yaml." in message


def test_advice_keeps_the_null_values_that_are_there() -> None:
    assert "`null_values: ['NA', '?']`" in refusal(["?"], "float64", null_values=["NA"])


# --- numbers


@pytest.mark.parametrize(
    ("rules", "cells", "wanted"),
    [
        ({"decimal": ","}, ["1,5", "-2,25", "3", "1,5e3"], [1.5, -2.25, 3.0, 1500.0]),
        ({"thousands": ","}, ["1,234.5", "1,234,567", "12", "1234"], [1234.5, 1234567, 12, 1234]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5", "-1.234"], [1234.5, -1234.0]),
        ({"decimal": ",", "thousands": " "}, ["12 345,6"], [12345.6]),
        ({"decimal": "."}, [" 1.5", "2 ", "\t3"], [1.5, 2.0, 3.0]),
        ({"thousands": "'"}, ["1'000"], [1000.0]),
    ],
)
def test_numbers_as_other_countries_write_them(
    rules: dict[str, str], cells: list[str], wanted: list[float]
) -> None:
    assert read(cells, "float64", **rules) == wanted


@pytest.mark.parametrize(
    ("rules", "cell"),
    [
        ({"thousands": ","}, "1,23"),  # 123 without the comma
        ({"thousands": ","}, "1,2345"),
        ({"thousands": ","}, ",123"),
        ({"decimal": ","}, "1.5"),
        ({"decimal": ",", "thousands": "."}, "1.5"),
        ({"decimal": ",", "thousands": "."}, "1,234.5"),
        ({"decimal": ","}, "1,"),
        ({"decimal": ","}, "1 ,5"),
        ({"decimal": ","}, "nan"),
        ({"decimal": ","}, "0x1"),
    ],
)
def test_a_number_that_the_rules_do_not_cover_is_refused(rules: dict[str, str], cell: str) -> None:
    message = refusal(["1", cell], "float64", **rules)
    assert f"column 'x' must be float64, a number like 4.2, got {cell!r} in row 3" in message


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1), st.sampled_from([",", ".", "'", " "]))
def test_grouped_whole_numbers_are_read_exactly(numbers: list[int], group: str) -> None:
    cells = [f"{number:,}".replace(",", group) for number in numbers]
    decimal = "," if group == "." else "."
    assert read(cells, "int64", thousands=group, decimal=decimal) == numbers


def test_a_grouped_number_is_no_integer_with_a_fraction() -> None:
    assert "must be int64" in refusal(["1,234.5"], "int64", thousands=",")


@pytest.mark.parametrize(
    ("cell", "kind", "advice"),
    [
        ("1,5", "float64", "If ',' begins the fraction, write `decimal: ','`"),
        ("1.234,5", "float64", "write `decimal: ',', thousands: '.'`"),
        ("1,234", "int64", "If ',' groups the digits, write `thousands: ','`"),
        ("1.5", "int64", "For numbers with a fraction give the column the type float64"),
        ("Yes", "bool", "write `true_values: ['Yes'], false_values: ['No']`"),
        ("0", "bool", "write `true_values: ['1'], false_values: ['0']`"),
        ("2013-01-01 10:00", "timestamp", "If you know which clock wrote it, write `time_zone:"),
        ("2013-01-01", "timestamp", "For a day without a time give the column the type date"),
        ("31.01.2013", "date", "If this is how times are written, write `time_format: '%d.%m.%Y'`"),
        ("31/01/2013 8:05", "timestamp", "`time_format: '%d/%m/%Y %H:%M'`"),
        ("seven", "int64", "Correct the file and land it again, or correct the column's type"),
    ],
)
def test_advice_is_what_accepts_the_cell(cell: str, kind: ColumnType, advice: str) -> None:
    assert advice in refusal([cell], kind)


# --- bools


def test_bools_in_words() -> None:
    rules = {"true_values": ["Yes", "y"], "false_values": ["No", "n"]}
    assert read(["Yes", "No", "y", "n", "", " Yes "], "bool", **rules) == [
        True, False, True, False, None, True
    ]  # fmt: skip
    assert "got 'true' in row 2" in refusal(["true"], "bool", **rules)


# --- times


def test_times_of_a_declared_clock_become_utc() -> None:
    cells = ["2013-01-01 10:00", "2013-07-01T10:00:00", ""]
    assert read(cells, "timestamp", time_zone="Europe/Berlin") == [
        datetime(2013, 1, 1, 9, tzinfo=UTC),
        datetime(2013, 7, 1, 8, tzinfo=UTC),
        None,
    ]


def test_of_an_hour_that_is_there_twice_the_first_is_meant() -> None:
    found = read(["2013-11-03 01:30"], "timestamp", time_zone="America/New_York")
    assert found == [datetime(2013, 11, 3, 5, 30, tzinfo=UTC)]


@pytest.mark.parametrize("place", [0, 5, 99])
def test_an_hour_that_is_not_there_is_refused_in_its_row(place: int) -> None:
    cells = ["2013-03-10 01:30"] * 100
    cells[place] = "2013-03-10 02:30"
    message = refusal(cells, "timestamp", time_zone="America/New_York")
    assert f"got '2013-03-10 02:30' in row {place + 2} (the header is row 1)" in message


def test_a_time_with_a_zone_is_refused_where_a_clock_is_declared() -> None:
    assert "got '2013-01-01T10:00:00Z' in row 3" in refusal(
        ["2013-01-01T10:00", "2013-01-01T10:00:00Z"], "timestamp", time_zone="UTC"
    )


def test_times_in_a_format_of_their_own() -> None:
    rules = {"time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"}
    assert read(["31.01.2013 10:00", ""], "timestamp", **rules) == [
        datetime(2013, 1, 31, 9, tzinfo=UTC),
        None,
    ]
    for wrong in ("31.02.2013 10:00", "2013-01-31 10:00", "31.01.2013", "31.01.2013 10:00:00"):
        assert f"got {wrong!r} in row 2" in refusal([wrong], "timestamp", **rules)


@pytest.mark.parametrize(
    ("cell", "rules"), [("2013-01-31", {}), ("31.01.2013", {"time_format": "%d.%m.%Y"})]
)
def test_a_date_is_its_midnight(cell: str, rules: dict[str, str]) -> None:
    assert read([cell, ""], "date", **rules) == [datetime(2013, 1, 31, tzinfo=UTC), None]


@pytest.mark.parametrize("cell", ["2013-02-31", "2013-1-1", "2013-01-01T00:00:00Z", "20130101"])
def test_what_is_no_date_is_refused(cell: str) -> None:
    assert f"got {cell!r} in row 2" in refusal([cell], "date")


# --- the rules themselves


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"thousands": "."}, "thousands and decimal must differ, got '.' for both"),
        ({"decimal": ",", "columns": {"x": {"thousands": ","}}}, "thousands and decimal"),
        ({"true_values": ["1"]}, "true_values and false_values are given together"),
        ({"true_values": ["1"], "false_values": ["1"]}, "must differ, got ['1'] twice"),
        ({"time_zone": "Berlin"}, "must be a time zone of the IANA database"),
        ({"time_zone": "../etc/passwd"}, "must be a time zone of the IANA database"),
        ({"time_format": "%H:%M"}, "must say year, month and day"),
        ({"time_format": "%d.%m.%y %z"}, "must say year, month and day"),
        ({"null_values": []}, "at least 1 item"),
        ({"encoding": "koi8"}, "Input should be 'utf-8'"),
    ],
)
def test_rules_that_contradict_are_refused(rules: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Format.model_validate(rules)
    assert message in str(caught.value)
