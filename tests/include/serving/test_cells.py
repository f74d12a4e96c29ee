from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.serving.cells import checked_column, of_text
from include.serving.rejected import Rejected


@pytest.mark.parametrize(
    ("type_", "sent", "expected"),
    [
        ("string", "é ", "é "),
        ("int64", 2**63 - 1, 2**63 - 1),
        ("int64", -(2**63), -(2**63)),
        ("int64", 5.0, 5),
        ("int64", 2.0**53, 2**53),
        ("float64", 7, 7.0),
        ("float64", -1e30, -1e30),
        ("float64", 2**53, 2.0**53),
        ("float64", 9.2e18, 9.2e18),
        ("bool", False, False),
        ("date", "2013-01-31", datetime(2013, 1, 31, tzinfo=UTC)),
        ("timestamp", "2013-01-31T05:00:00Z", datetime(2013, 1, 31, 5, tzinfo=UTC)),
        ("timestamp", "2013-01-31 00:00:00-05:00", datetime(2013, 1, 31, 5, tzinfo=UTC)),
        ("timestamp", "2013-01-31T05:00:00.000Z", datetime(2013, 1, 31, 5, tzinfo=UTC)),
        ("int64", None, None),
    ],
)
def test_good_cells(type_: Any, sent: Any, expected: Any) -> None:
    (value,) = checked_column([sent], "c", type_, nullable=True)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("type_", "sent", "kind"),
    [
        ("string", 5, "a number"),
        ("string", "\ud800", "text"),
        ("string", "é\u0000", "text"),
        ("int64", 2.0**53 + 2, "a number"),
        ("float64", 2**53 + 1, "a number"),
        ("float64", -(2**53) - 1, "a number"),
        ("int64", True, "true or false"),
        ("int64", 2**63, "a number"),
        ("int64", 1.5, "a number"),
        ("int64", 1e19, "a number"),
        ("int64", "5", "text"),
        ("float64", True, "true or false"),
        ("float64", float("inf"), "a number"),
        ("float64", 10**400, "a number"),
        ("float64", 1.1e30, "a number"),
        ("bool", 1, "a number"),
        ("date", 20130131, "a number"),
        ("date", "20130131", "text"),
        ("date", "2013-W05-4", "text"),
        ("date", "2013-01-31T00:00:00Z", "text"),
        ("date", "2013-02-31", "text"),
        ("timestamp", 1359590400000, "a number"),
        ("timestamp", "2013-01-31T05:00:00", "text"),
        ("timestamp", "0001-01-01T00:00:00+23:59", "text"),
        ("timestamp", "9999-12-31T23:59:59-23:59", "text"),
        ("timestamp", "2200-01-01T00:00:00Z", "text"),
        ("timestamp", "\ud800", "text"),
        ("string", {}, "an object"),
    ],
)
def test_bad_cells_are_refused_without_being_repeated(type_: Any, sent: Any, kind: str) -> None:
    with pytest.raises(Rejected) as caught:
        checked_column([None, sent], "c", type_, nullable=True)
    assert caught.value.message.startswith("Row 1, column 'c': must be ")
    assert caught.value.message.endswith(f", got {kind}.")


@pytest.mark.parametrize(
    ("nullable", "sent", "said"),
    [
        (True, ["a", " \t"], "Row 1, column 'c': must not be empty or blank text. Send null"),
        (False, ["", "a"], "Row 0, column 'c': must not be empty or blank text."),
    ],
)
def test_blank_text_where_none_may_be(nullable: bool, sent: list[str], said: str) -> None:
    assert checked_column(sent, "c", "string", nullable=nullable) == sent
    with pytest.raises(Rejected) as caught:
        checked_column(sent, "c", "string", nullable=nullable, blank=False)
    assert caught.value.message.startswith(said)
    assert ("null" in caught.value.message) is nullable


def test_missing_where_nothing_may_be_missing() -> None:
    with pytest.raises(Rejected, match=r"^Row 1, column 'c': must not be missing\.$"):
        checked_column([1, None], "c", "int64", nullable=False)


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("", "string", None),
        ("5", "int64", 5),
        ("5.0", "int64", 5.0),
        ("-9223372036854775808", "int64", -(2**63)),
        (".5e1", "float64", 5.0),
        ("True", "bool", True),
        ("false", "bool", False),
        ("5", "float64", 5),
        ("9007199254740993", "float64", 9007199254740993),
        ("5", "string", "5"),
        ("nan", "float64", "nan"),
        ("yes", "bool", "yes"),
    ],
)
def test_csv_cells(text: str, type_: Any, expected: Any) -> None:
    assert of_text(text, type_) == expected
    assert type(of_text(text, type_)) is type(expected)
