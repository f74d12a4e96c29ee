"""What is learned from training rows, and how it is combined with what is declared."""

import numpy as np
import pandas as pd
import pytest

from include.errors import DataContractError
from include.registry.request_rules import Rule, Seen, from_json, rules_of, seen_in, to_json
from tests.support.packages import TINY, make_package, tiny_rows, tiny_use_case

TYPES = {"n": "int64", "x": "float64", "b": "bool", "s": "string", "t": "timestamp"}
INGEST = {**TINY["ingest"], "columns": {"id": "int64", "at": "timestamp", **TYPES}}
USE_CASE = tiny_use_case(ingest=INGEST, features={"inputs": list(TYPES), "numeric": ["x"]})


def rows(n, x, b, s, t):
    return pd.DataFrame(
        {
            "n": pd.array(n, "Int64"),
            "x": pd.array(x, "float64"),
            "b": pd.array(b, "boolean"),
            "s": pd.Series(s, dtype="str"),
            "t": pd.to_datetime(t, utc=True),
        }
    )


def test_each_type_is_learned():
    given = rows(
        [7, None, -3], [0.5, np.nan, np.inf], [True, False, None], ["a", None, " \t"],
        ["2024-01-01", None, "2024-01-03"],
    )  # fmt: skip
    assert seen_in(given, USE_CASE) == {
        "n": Seen(null=True, blank=False, range=(-3, 7)),
        "x": Seen(null=True, blank=False, range=(0.5, 0.5)),
        "b": Seen(null=True, blank=False, range=None),
        "s": Seen(null=True, blank=True, range=None),
        "t": Seen(null=True, blank=False, range=None),
    }


def test_complete_rows_and_rows_without_any_value():
    complete = rows([2**62], [1.0], [True], ["a"], ["2024-01-01"])
    assert {seen.null for seen in seen_in(complete, USE_CASE).values()} == {False}
    assert seen_in(complete, USE_CASE)["n"].range == (2**62, 2**62)
    empty = seen_in(rows([None], [np.nan], [None], [None], [None]), USE_CASE)
    assert set(empty.values()) == {Seen(null=True, blank=False, range=None)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (tiny_rows().drop(columns="z"), r"got 400 rows that lack \['z'\]"),
        (tiny_rows()[:0], r"got 0 rows that lack \[\]"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(given, said):
    with pytest.raises(DataContractError, match=f"tiny: request_rows must be .* {said}"):
        seen_in(given, tiny_use_case())


def test_what_was_learned_travels_in_the_package(tmp_path):
    given = tiny_rows().assign(x=np.linspace(-2, 2, 400), z=np.nan)
    model = make_package(tmp_path, request_rows=given).load()
    assert model.request_seen == {
        "x": Seen(null=False, blank=False, range=(-2.0, 2.0)),
        "z": Seen(null=True, blank=False, range=None),
        "colour": Seen(null=False, blank=False, range=None),
    }
    assert model.request_rules == rules_of(
        model.use_case, model.request_columns, model.request_seen
    )
    assert from_json(to_json(model.request_seen)) == model.request_seen


def test_a_package_without_training_rows_says_nothing_was_learned(package):
    assert not (package.folder / "flywheel/request_seen.json").exists()
    assert package.load().request_seen == {}


NULLS, NO_NULLS = Seen(True, True, (0, 1)), Seen(False, False, (0, 1))


@pytest.mark.parametrize(
    ("name", "clean", "seen", "expected"),
    [
        ("x", {}, None, Rule()),
        ("x", {}, NULLS, Rule(usual=(0, 1))),
        ("x", {}, NO_NULLS, Rule(nullable=False, blank=False, usual=(0, 1))),
        ("x", {"missing": {"x": 5.0}}, NO_NULLS, Rule(blank=False, usual=(0, 1))),
        ("x", {"missing": {"x": "drop"}}, NULLS, Rule(nullable=False, usual=(0, 1))),
        ("x", {"noise": {"x": [-9, 9]}}, None, Rule(possible=(-9, 9))),
        ("id", {}, None, Rule(nullable=False, blank=False)),
        ("id", {"missing": {"id": 0.0}}, NULLS, Rule(nullable=False)),
        ("at", {}, NULLS, Rule(nullable=False)),
    ],
)
def test_declared_comes_before_learned(name, clean, seen, expected):
    columns = {"x": "float64", "at": "timestamp"}
    use_case = tiny_use_case(clean=clean)
    rules = rules_of(use_case, columns, {} if seen is None else {name: seen})
    assert list(rules) == ["x", "at", "id"]
    assert rules[name] == expected


def test_the_use_case_says_whether_the_impossible_is_refused():
    rules = rules_of(tiny_use_case(serve={"out_of_range": "flag"}), {"x": "float64"}, {})
    assert {rule.refuse for rule in rules.values()} == {False}
