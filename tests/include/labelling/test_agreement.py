"""Agreement and annotators, against the examples that the methods' authors published."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from include.errors import DataContractError
from include.labelling.agreement import (
    below,
    cohens_kappa,
    fleiss_kappa,
    krippendorffs_alpha,
    on_gold,
)

X = None
KRIPPENDORFF = pd.DataFrame({
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
    "C": [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
})  # fmt: skip
"""Krippendorff (2011), "Computing Krippendorff's alpha-reliability", example C."""

FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Ten items, fourteen annotators, five classes: how many gave which. The worked example that
Wikipedia's article on Fleiss' kappa has, kappa = .210."""


def test_alpha_is_that_of_its_authors_example():
    assert krippendorffs_alpha(KRIPPENDORFF) == pytest.approx(0.743, abs=5e-4)
    names = KRIPPENDORFF.map(lambda one: None if pd.isna(one) else f"class {one:.0f}")
    assert krippendorffs_alpha(names) == krippendorffs_alpha(KRIPPENDORFF)


def test_alpha_of_a_single_class_is_not_defined():
    assert math.isnan(krippendorffs_alpha(pd.DataFrame({"a": [1, 1], "b": [1, 1]})))
    with pytest.raises(DataContractError, match="at least one item with two answers"):
        krippendorffs_alpha(pd.DataFrame({"a": [1, X], "b": [X, 2]}))


def test_fleiss_kappa_is_that_of_the_worked_example():
    rows = [np.repeat(np.arange(5), counts) for counts in FLEISS]
    assert fleiss_kappa(pd.DataFrame(rows)) == pytest.approx(0.210, abs=5e-4)
    with pytest.raises(DataContractError, match="Use krippendorffs_alpha"):
        fleiss_kappa(KRIPPENDORFF)


def test_cohens_kappa_is_that_of_the_formula():
    # 45 yes/yes, 15 yes/no, 25 no/yes, 15 no/no: observed .6, expected .6 * .7 + .4 * .3 = .54.
    pairs = (
        [("yes", "yes")] * 45 + [("yes", "no")] * 15 + [("no", "yes")] * 25 + [("no", "no")] * 15
    )
    answers = pd.DataFrame(pairs, columns=["a", "b"])
    assert cohens_kappa(answers) == pytest.approx((0.6 - 0.54) / (1 - 0.54))
    more = pd.concat([answers, pd.DataFrame({"a": ["yes", None], "b": [None, "no"]})])
    assert cohens_kappa(more) == cohens_kappa(answers), "an item that one answered does not count"
    assert math.isnan(cohens_kappa(pd.DataFrame({"a": ["x", "x"], "b": ["x", "x"]})))
    with pytest.raises(DataContractError, match="is for two annotators"):
        cohens_kappa(KRIPPENDORFF)


def test_gold_items_measure_annotators():
    answers = pd.DataFrame({"a": ["x", "x", "y", X], "b": ["x", "y", X, X]}, index=list("pqrs"))
    measured = on_gold(answers, {"p": "x", "q": "x", "r": "y", "unknown": "x"})
    assert measured["answered"].to_dict() == {"a": 3, "b": 2}
    assert measured["right"].to_dict() == {"a": 1.0, "b": 0.5}
    # Wilson's lower bound of n right out of n is n / (n + z ** 2).
    assert measured["lower"]["a"] == pytest.approx(3 / (3 + 1.959964**2), abs=1e-6)
    assert math.isnan(on_gold(answers, {"s": "x"})["right"]["a"])


def test_before_anybody_has_answered_nobody_is_below_a_limit():
    measured = on_gold(pd.DataFrame(), {"p": "x"})
    assert list(measured.columns) == ["answered", "right", "lower", "upper"]
    assert below(measured, 0.99) == []


def test_annotators_are_below_a_limit_when_it_is_sure():
    gold = dict.fromkeys(range(10), "x")
    answers = pd.DataFrame({
        "always wrong, twice": ["y", "y", *[X] * 8],
        "always wrong, three times": ["y", "y", "y", *[X] * 7],
        "half": ["x", "y"] * 5,
        "right": ["x"] * 10,
        "never asked": [X] * 10,
    })  # fmt: skip
    measured = on_gold(answers, gold)
    # Wilson's upper bound of none of n is z ** 2 / (n + z ** 2): .66 of two, .56 of three.
    assert measured["upper"].iloc[1] == pytest.approx(1.959964**2 / (3 + 1.959964**2), abs=1e-6)
    assert below(measured, 0.6) == ["always wrong, three times"]
    assert below(measured, 0.77) == ["always wrong, three times", "always wrong, twice", "half"]
