"""Own estimators and metrics with three classes and with weights: what the sample finds."""

from __future__ import annotations

from typing import Any

import pytest

from include.registry.own_code import problems_of_own_code
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase
from tests.support.three_classes import three_classes

MODELS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Shares(ClassifierMixin, BaseEstimator):
    def fit(self, X, y{weights}):
        self.classes_ = np.unique(y)
        high = np.asarray(X)[:, 0] > 0
        self.shares_ = np.stack(
            [[np.mean(np.asarray(y)[part] == k) for k in self.classes_] for part in (high, ~high)]
        )
        return self

    def predict_proba(self, X):
        return self.shares_[np.where(np.asarray(X)[:, 0] > 0, 0, 1)]
"""
METRICS = """
import numpy as np


def hits(truth, score{weight}):
    return float(np.average(score.argmax(axis=1) == truth{by}))
"""


def own(weights: bool = False, weight: bool = False, **train: Any) -> UseCase:
    files = {
        "models.py": MODELS.replace("{weights}", ", sample_weight=None" if weights else ""),
        "metrics.py": METRICS.replace("{weight}", ", weight" if weight else "").replace(
            "{by}", ", weights=weight" if weight else ""
        ),
    }
    use_case = three_classes(
        metric="own:metrics.hits",
        greater_is_better=True,
        candidates=[{"estimator": "own:models.Shares", "takes_weights": weights}],
        **train,
    )
    return use_case.with_python(OwnPython("tiny", tuple(sorted(files.items()))))


def test_what_tells_three_classes_apart_passes() -> None:
    assert problems_of_own_code(own()) == []
    assert problems_of_own_code(own(weights=True, weight=True, sample_weight="heft")) == []
    assert problems_of_own_code(own(weights=True, class_weight="balanced")) == []


@pytest.mark.parametrize("train", [{"sample_weight": "heft"}, {"class_weight": "balanced"}])
def test_an_estimator_without_weights_is_told(train: dict[str, str]) -> None:
    told = f"{next(iter(train))} cannot be used: 'own:models.Shares' takes no weights"
    with pytest.raises(ValueError, match=told):
        own(weight=True, **train)


def test_a_metric_without_weights_is_told() -> None:
    ((key, words),) = problems_of_own_code(own(weights=True, sample_weight="heft"))
    assert (key, "must take an argument 'weight'" in words) == ("train.metric", True)
