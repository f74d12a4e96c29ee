"""Metrics of several classes, with weights, against scikit-learn; classes that are not there."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from include.modelling.metrics import METRICS_OF_CLASSES
from include.modelling.uncertainty import estimate, estimate_gain, without_each
from include.use_cases.spaces import METRICS_OF_SEVERAL

K = 4


def reference(name: str, y: Any, score: Any, weight: Any) -> float:
    """Return scikit-learn's value, over the classes that are there."""
    there, predicted = np.unique(y[weight > 0]).astype(int), score.argmax(axis=1)
    averages = {"f1_macro": "macro", "f1_weighted": "weighted"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "log_loss":
            return float(log_loss(y, score, sample_weight=weight, labels=range(K)))
        if name == "accuracy":
            return float(accuracy_score(y, predicted, sample_weight=weight))
        if name in averages:
            return float(
                f1_score(
                    y, predicted, labels=there, average=averages[name], sample_weight=weight,
                    zero_division=0,
                )
            )  # fmt: skip
        return float(
            np.mean([roc_auc_score(y == k, score[:, k], sample_weight=weight) for k in there])
        )


def drawn(seed: int, rows: int = 200, skill: float = 1.5) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, rows)
    odds = np.exp(rng.normal(size=(rows, K)).round(1) + skill * np.eye(K)[y])
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], rows)
    return y.astype(float), odds / odds.sum(axis=1, keepdims=True), weight


def test_the_configuration_offers_exactly_these() -> None:
    assert set(METRICS_OF_CLASSES) == METRICS_OF_SEVERAL


@pytest.mark.parametrize("name", sorted(METRICS_OF_SEVERAL))
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_scikit_learns(name: str, seed: int) -> None:
    y, score, weight = drawn(seed)
    metric = METRICS_OF_CLASSES[name]
    assert metric.compute(y, score, weight) == pytest.approx(reference(name, y, score, weight))
    alike = metric.compute(y, score)
    assert alike == pytest.approx(reference(name, y, score, np.ones(len(y))))
    assert alike != pytest.approx(metric.compute(y, score, weight), rel=1e-6)


def test_roc_auc_of_all_classes_is_scikit_learns_one_against_the_rest() -> None:
    y, score, _ = drawn(1)
    own = roc_auc_score(y, score, multi_class="ovr", average="macro")
    assert METRICS_OF_CLASSES["roc_auc"].compute(y, score) == pytest.approx(own)


@settings(deadline=None)
@given(
    arrays(np.int64, 40, elements=st.integers(0, K - 1)),
    arrays(np.int64, (40, K), elements=st.integers(1, 9)),
    arrays(np.int64, 40, elements=st.integers(0, 3)),
    st.sampled_from(sorted(METRICS_OF_SEVERAL)),
)
def test_a_weight_is_how_often_a_row_stands_there(y: Any, odds: Any, times: Any, name: str) -> None:
    """Whole-number weights equal repeated rows; ties and classes without rows included."""
    y, score = y.astype(float), odds / odds.sum(axis=1, keepdims=True)
    metric = METRICS_OF_CLASSES[name]
    weighted = metric.compute(y, score, times.astype(float))
    if not times.any():
        assert math.isnan(weighted)
        return
    repeated = metric.compute(np.repeat(y, times), np.repeat(score, times, axis=0))
    assert weighted == pytest.approx(repeated, nan_ok=True)


@pytest.mark.parametrize("name", sorted(METRICS_OF_SEVERAL))
def test_a_class_without_rows_is_left_out(name: str) -> None:
    """Truth of three classes, predictions of four: the mean is over the three."""
    y, score, _ = drawn(2)
    some = y != 3
    value = METRICS_OF_CLASSES[name].compute(y[some], score[some])
    assert value == pytest.approx(reference(name, y[some], score[some], np.ones(some.sum())))
    assert math.isfinite(value)


def test_a_class_that_the_model_has_never_seen_costs_what_it_must() -> None:
    """Its probability is 0: the loss is that of float64's smallest step, its area is one half."""
    y, score = np.array([0.0, 1.0, 2.0, 2.0]), np.zeros((4, 3))
    score[:, 0], score[:, 1] = [0.9, 0.2, 0.5, 0.5], [0.1, 0.8, 0.5, 0.5]
    found = {name: metric.compute(y, score) for name, metric in METRICS_OF_CLASSES.items()}
    worst = -math.log(np.finfo(np.float64).eps)
    assert found["log_loss"] == pytest.approx((-math.log(0.9) - math.log(0.8) + 2 * worst) / 4)
    assert found["roc_auc"] == pytest.approx((1 + 1 + 0.5) / 3)
    # The first class takes the two rows of the last: precision 1/3, recall 1.
    assert found["f1_macro"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["f1_weighted"] == pytest.approx((0.5 + 1 + 0) / 4)
    assert found["accuracy"] == 0.5


def test_rows_of_one_class_have_no_area() -> None:
    y, score = np.zeros(5), np.full((5, 3), 1 / 3)
    assert math.isnan(METRICS_OF_CLASSES["roc_auc"].compute(y, score))


@pytest.mark.parametrize("name", sorted(METRICS_OF_SEVERAL))
@pytest.mark.parametrize("weighted", [False, True])
def test_leaving_out_a_block_is_computing_without_it(name: str, weighted: bool) -> None:
    y, score, weight = drawn(3, rows=900)
    weight = weight if weighted else None
    metric, block = METRICS_OF_CLASSES[name], np.arange(900) % 12
    slow = [
        metric.compute(y[rest], score[rest], None if weight is None else weight[rest])
        for rest in (block != one for one in range(12))
    ]
    np.testing.assert_allclose(without_each(metric, y, score, block, weight), slow)
    known = estimate(metric, y, score, block, weight)
    assert known.value == pytest.approx(metric.compute(y, score, weight))
    slow = np.array(slow)
    assert known.standard_error == pytest.approx(
        math.sqrt(11 / 12 * np.sum((slow - slow.mean()) ** 2))
    )


@pytest.mark.parametrize("name", sorted(METRICS_OF_SEVERAL))
def test_a_better_model_gains_whatever_the_sign_of_the_metric(name: str) -> None:
    y, score, weight = drawn(4, rows=1200)
    worse = (score + 0.5) / (1 + 0.5 * K)
    worse = np.roll(worse, 1, axis=0) * 0.5 + worse * 0.5
    block = np.arange(1200) % 20
    gain = estimate_gain(METRICS_OF_CLASSES[name], y, score, worse, block, weight)
    assert gain.low(0.05) > 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("f1_macro", "not enough data: 10 rows of class 2, 20 are needed"),
        ("roc_auc", "not enough data: 10 rows of class 2, 20 are needed"),
        ("log_loss", None),
        ("accuracy", None),
        ("f1_weighted", None),
    ],
)
def test_a_rare_class_matters_where_each_counts_alike(name: str, problem: str | None) -> None:
    y = np.array([0.0] * 300 + [1.0] * 300 + [2.0] * 10)
    score = np.random.default_rng(0).dirichlet([1, 1, 1], len(y))
    assert estimate(METRICS_OF_CLASSES[name], y, score, np.arange(610) % 30).problem == problem


def test_classes_that_stand_together_cannot_be_judged() -> None:
    block = np.repeat(np.arange(10), 60)
    score = np.random.default_rng(0).dirichlet([1, 1, 1], 600)
    in_blocks = np.where(block < 3, 0.0, 1.0)
    found = estimate(METRICS_OF_CLASSES["accuracy"], in_blocks, score, block)
    assert found.problem == (
        "not enough data: class 0 stands in 3 independent blocks of rows, 10 are needed"
    )
    one = estimate(METRICS_OF_CLASSES["accuracy"], np.zeros(600), score, block)
    assert one.problem == "not enough data: all rows are of one class"
