"""A class without rows: in what is learned, in a fold, in the holdout, with every estimator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.errors import DataContractError
from include.modelling.estimators import defaults
from include.modelling.fit import fit
from include.modelling.folds import group_folds, random_folds
from include.modelling.metrics import evaluate
from include.modelling.scoring import (
    check_classes,
    monitored,
    predictions,
    score_rows,
    scores_in,
)
from include.use_cases.schema import UseCase
from include.use_cases.spaces import ESTIMATORS
from tests.support.packages import tiny_use_case
from tests.support.three_classes import NAMES, three_class_rows, three_classes

EVERY = list(ESTIMATORS["classification"])


def of(name: str) -> UseCase:
    space: dict[str, Any] = {"estimator": name}
    if name == "random_forest":
        space["n_estimators"] = 20
    return three_classes(candidates=[space])


def fitted(use_case: UseCase, rows: pd.DataFrame) -> Any:
    space = use_case.train.candidates[0]
    X = rows[use_case.features.columns]
    return fit(use_case, space.estimator, defaults(space), X, rows["outcome"])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_that_was_not_learned_has_probability_zero(name: str, absent: int) -> None:
    use_case, rows = of(name), three_class_rows(300)
    model = fitted(use_case, rows[rows["outcome"] != absent])
    score = score_rows(model, rows, use_case)
    assert score.shape == (300, 3)
    assert (score[:, absent] == 0.0).all()
    np.testing.assert_allclose(score.sum(axis=1), 1.0)
    found = predictions(score, use_case, rows.index)
    assert NAMES[absent] not in set(found["predicted_class"])
    values = evaluate(use_case, model, rows, rows["outcome"])  # it stands among what is judged
    assert all(math.isfinite(value) for value in values.values())
    assert values["log_loss"] > 4


@pytest.mark.parametrize("name", EVERY)
def test_all_classes_are_told_apart(name: str) -> None:
    use_case, rows = of(name), three_class_rows(300)
    again = three_class_rows(300, seed=9)
    score = score_rows(fitted(use_case, rows), again, use_case)
    assert (score.argmax(axis=1) == again["outcome"]).mean() > 0.6, "chance is about one half"


def test_a_holdout_of_one_class_has_no_area_and_says_so() -> None:
    use_case, rows = of("logistic_regression"), three_class_rows(300)
    model = fitted(use_case, rows)
    one = rows[rows["outcome"] == 1]
    with pytest.raises(DataContractError, match=r"\['roc_auc'\] need at least two classes among"):
        evaluate(use_case, model, one, one["outcome"])


def test_ties_go_to_the_first_class_and_names_are_whole() -> None:
    score = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    found = predictions(score, three_classes(), pd.Index([5, 9]))
    assert found["prediction"].tolist() == [0, 2]
    assert found["predicted_class"].tolist() == [NAMES[0], NAMES[2]]
    assert found.columns.tolist()[2:] == [f"probability_{name}" for name in NAMES]
    assert found.index.tolist() == [5, 9]
    assert list(monitored(score, three_classes())) == [NAMES[0], NAMES[2]]
    assert monitored(np.array([0.3]), tiny_use_case()).tolist() == [0.3]


def test_classes_are_matched_by_name() -> None:
    score = np.array([[0.5, 0.3, 0.2]])
    own, now = three_classes(), three_classes(classes=[NAMES[2], "new", NAMES[0]])
    assert scores_in(now, score, own).tolist() == [[0.2, 0.0, 0.5]]
    assert scores_in(own, score, own) is score
    two = np.array([0.5])
    assert scores_in(tiny_use_case(), two, tiny_use_case()) is two


@pytest.mark.parametrize(
    ("now", "model", "told"),
    [
        (three_classes(), tiny_use_case(), r"names, \['low', .*\], but tells apart two classes"),
        (tiny_use_case(), three_classes(), r"names, two classes, but tells apart \['low', "),
    ],
)
def test_two_classes_and_more_are_not_compared(now: UseCase, model: UseCase, told: str) -> None:
    with pytest.raises(DataContractError, match=told):
        check_classes(now, model)


def test_a_rare_class_stands_in_some_folds() -> None:
    classes = pd.Series([0] * 30 + [1] * 30 + [2])
    folds = random_folds(61, classes, 3, 0)
    without = [2 not in set(classes.iloc[learn]) for learn, _ in folds]
    assert without.count(True) == 1, "the fold that is judged by it has not learned it"
    assert sorted(np.concatenate([judge for _, judge in folds])) == list(range(61))
    grouped = group_folds(np.arange(61) // 2, classes, 3, 0)
    assert len(grouped) == 3


def test_fewer_rows_of_all_classes_but_one_than_folds_are_refused() -> None:
    classes = pd.Series([0] * 30 + [1] * 2 + [2] * 2)
    with pytest.raises(DataContractError, match="need at least 3 rows of a second class, got 2"):
        random_folds(34, classes, 3, 0)
    with pytest.raises(DataContractError, match="need at least 3 rows of the rarest class, got 2"):
        random_folds(32, classes[:32], 3, 0)
