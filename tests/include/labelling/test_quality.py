"""The quality of labels: planted errors and planted leaks are found, others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from include.labelling.quality import class_shares, label_errors, leaks


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def separated(rng: np.random.Generator, rows: int = 1_000) -> tuple[pd.DataFrame, np.ndarray]:
    labels = rng.integers(0, 2, rows)
    a, b = (labels * 3 + rng.normal(size=rows) for _ in range(2))
    return pd.DataFrame({"a": a, "b": b}), labels


def test_planted_errors_are_most_of_what_is_found(rng):
    X, labels = separated(rng)
    wrong = rng.choice(len(labels), 40, replace=False)
    labels[wrong] = 1 - labels[wrong]
    found = label_errors(LogisticRegression(), X, labels, most=100)
    assert found is not None
    rows = [each.row for each in found]
    assert len(set(rows) & set(wrong)) >= 36
    assert len(set(rows) - set(wrong)) <= 12
    assert set(rows[:20]) <= set(wrong), "the likeliest come first"
    assert all(each.given == labels[each.row] != each.likelier for each in found)
    probabilities = [each.probability for each in found]
    assert probabilities == sorted(probabilities)


def test_classes_keep_their_numbers_and_too_few_rows_give_no_answer(rng):
    X, labels = separated(rng, 400)
    named = np.where(labels == 1, 7, 3)
    clear = int((X["a"] + X["b"]).argmax())
    named[clear] = 10 - named[clear]
    found = label_errors(LogisticRegression(), X, named, most=1)
    assert found is not None
    assert (found[0].row, found[0].given, found[0].likelier) == (clear, 3, 7)
    few = np.zeros(400, np.int64)
    few[:9] = 1
    assert label_errors(LogisticRegression(), X, few) is None
    assert label_errors(LogisticRegression(), X, np.zeros(400, np.int64)) is None


def test_a_feature_that_tells_the_label_is_named_and_a_good_one_is_not(rng):
    labels = rng.integers(0, 2, 2_000)
    X = pd.DataFrame({
        "good": labels + rng.normal(size=2_000),
        "reversed": -labels + rng.normal(scale=0.05, size=2_000),
        "missing": np.where(labels == 1, np.nan, rng.normal(size=2_000)),
        "text": np.where(labels == 1, "left", "stayed"),
        "own": [f"text {number}" for number in range(2_000)],
        "empty": np.nan,
    })  # fmt: skip
    assert {leak.feature for leak in leaks(X, labels)} == {"reversed", "missing", "text"}
    assert [leak.auc for leak in leaks(X, labels)] == [1.0, 1.0, 1.0]
    assert leaks(X, np.zeros(2_000, np.int64)) == [], "one class tells nothing"


def test_shares_of_three_classes():
    assert class_shares(np.array([2, 2, 0, 5])) == {0: 0.25, 2: 0.5, 5: 0.25}
