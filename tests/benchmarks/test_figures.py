"""The pure parts of the benchmarks: limits, the table, the file."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.figures import Figure, as_json, over_limit, spread, table, write

FAST = Figure("parse", 1.25, "s", "an import of 2 s", 2.0)
SLOW = Figure("wheel", 3.0, "ratio", "plain Python", 2.0)
UNKNOWN = Figure("memory", math.nan, "GiB", "8 GiB", 2.5)


@pytest.mark.parametrize(
    ("value", "within"), [(1.9, True), (2.0, True), (2.0001, False), (math.nan, False)]
)
def test_a_limit_is_kept_up_to_and_with_itself(value, within):
    assert Figure("x", value, "s", "", 2.0).within is within


def test_only_what_is_over_its_limit_is_named_with_value_and_limit():
    assert over_limit([FAST, SLOW, UNKNOWN]) == [
        "wheel: 3 ratio, limit 2",
        "memory: nan GiB, limit 2.5",
    ]


def test_the_table_has_a_line_for_each_figure_and_marks_those_over():
    heading, rule, fast, slow = table([FAST, SLOW]).splitlines()
    assert heading.split() == ["figure", "value", "unit", "limit", "against"]
    assert set(rule) == {"-", " "}
    assert fast.split(maxsplit=5) == ["parse", "1.25", "s", "2", "ok", "an import of 2 s"]
    assert slow.split(maxsplit=5) == ["wheel", "3", "ratio", "2", "OVER", "plain Python"]
    assert fast.index("an import") == slow.index("plain") == heading.index("against")


def test_the_json_is_a_list_of_objects_of_exactly_five_keys(tmp_path):
    write(tmp_path / "deep" / "bench.json", as_json([FAST, UNKNOWN]))
    found = json.loads((tmp_path / "deep" / "bench.json").read_text())
    assert found == [
        {"name": "parse", "value": 1.25, "unit": "s", "against": "an import of 2 s", "limit": 2.0},
        {"name": "memory", "value": None, "unit": "GiB", "against": "8 GiB", "limit": 2.5},
    ]
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["bench.json"]


def test_a_spread_shows_median_range_and_count():
    assert spread([0.4, 0.1, 0.2, 0.3]) == "0.25 s (0.10 to 0.40, n=4)"
