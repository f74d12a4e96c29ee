from __future__ import annotations

import os

import pytest

from include.ingest_label.patterns import Pattern, Verdict, shown

TAKEN = Verdict(True)


@pytest.mark.parametrize(
    ("pattern", "depth", "name", "verdict"),
    [
        ("planes/*.csv", 0, "planes", TAKEN),
        ("planes/*.csv", 0, "flights", Verdict(False)),  # a neighbour: nobody needs to be told
        ("planes/*.csv", 1, "p.csv", TAKEN),
        ("planes/*.csv", 1, ".csv", Verdict(False)),
        ("planes/*.csv", 1, "_p.csv", Verdict(False)),
        ("f/dt={partition}/*.csv", 1, "dt=2013-01", Verdict(True, "2013-01")),
        ("f/{partition}/*.csv", 1, "_delta_log", Verdict(False)),
        ("f/*/{partition}-*.csv", 2, "2013-01-late.csv", Verdict(True, "2013-01")),
        ("f/{partition}_{partition}.csv", 1, "2013-01_2013-01.csv", Verdict(True, "2013-01")),
    ],
)
def test_names_that_need_no_word(pattern: str, depth: int, name: str, verdict: Verdict) -> None:
    assert Pattern(pattern, "month").judge(depth, name, "") == verdict


@pytest.mark.parametrize(
    ("pattern", "depth", "name", "why"),
    [
        ("planes/*.csv", 1, "P.CSV", "the name does not fit '*.csv'"),
        ("planes/*.csv", 1, "p.csv\n", "the name must be UTF-8 without control characters"),
        ("f/{partition}/*.csv", 1, "2013-7", "'2013-7' is not a month like '2013-06'"),
        ("f/{partition}/*.csv", 1, "2013-13", "'2013-13' is not a month like '2013-06'"),
        ("f/{partition}_{partition}.csv", 1, "2013-01_2013-02.csv", "the name does not fit"),
    ],
)
def test_names_that_are_told(pattern: str, depth: int, name: str, why: str) -> None:
    verdict = Pattern(pattern, "month").judge(depth, name, "")
    assert not verdict.taken
    assert verdict.why.startswith(why)


def test_a_key_that_stands_in_the_path_twice_is_one() -> None:
    pattern = Pattern("f/{partition}/{partition}.csv", "month")
    assert pattern.judge(2, "2013-01.csv", "2013-01") == Verdict(True, "2013-01")
    told = pattern.judge(2, "2013-02.csv", "2013-01")
    assert told == Verdict(
        False, why="it lies in partition '2013-01', but names '2013-02'. Move it"
    )


def test_days_and_months_differ() -> None:
    assert Pattern("f/{partition}/*.csv", "day").judge(1, "2013-06-30", "").key == "2013-06-30"
    assert (
        "is not a day like '2013-06-30'"
        in Pattern("f/{partition}/*", "day").judge(1, "2013-06", "").why
    )


def test_one_partition_has_a_pattern_of_its_own() -> None:
    pattern = Pattern("f/{partition}/{partition}-*.csv", "month")
    assert pattern.of("2013-01") == Pattern("f/2013-01/2013-01-*.csv", "month")
    assert [pattern.of(key) for key in ("", "*", "2013-1", "..")] == [None] * 4
    whole = Pattern("planes/*.csv", "month")
    assert whole.of("") == whole
    assert whole.of("2013-01") is None


def test_what_messages_show_is_printable() -> None:
    assert shown("f/Zürich.csv") == "f/Zürich.csv"
    assert shown("f/" + os.fsdecode(b"\xff\xc3") + "\x1b[31m\n") == r"f/\xff\xc3\x1b[31m\x0a"
    assert len(shown("x" * 5000)) <= 300
