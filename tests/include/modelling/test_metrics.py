"""scikit-learn is the second opinion; resampled rows are the oracle of weights."""

import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import DataContractError
from include.modelling import clusters, estimators
from include.modelling.metrics import (
    METRICS_BY_TASK,
    by_slice,
    evaluate,
    judged,
    metric_of,
)
from include.use_cases.spaces import METRICS
from tests.support.packages import tiny_rows, tiny_use_case

CLASSES = METRICS_BY_TASK["classification"]
VALUES = METRICS_BY_TASK["regression"]
CLUSTERS = METRICS_BY_TASK["clustering"]

SECOND_OPINION = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "f1": lambda y, s, sample_weight: sk.f1_score(y, s >= 0.5, sample_weight=sample_weight),
    "accuracy": lambda y, s, sample_weight: sk.accuracy_score(
        y, s >= 0.5, sample_weight=sample_weight
    ),
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
}


def test_there_is_a_metric_for_every_name_a_use_case_may_say():
    assert {task: frozenset(metrics) for task, metrics in METRICS_BY_TASK.items()} == METRICS


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
@given(seed=st.integers(0, 10_000), ties=st.booleans())
@settings(max_examples=25, deadline=None)
def test_weighted_metrics_agree_with_scikit_learn(name, seed, ties):
    rng = np.random.default_rng(seed)
    y = (rng.random(60) < 0.3).astype(float)
    y[:2] = 0, 1
    score = rng.random(60).round(1 if ties else 12).clip(0.01, 0.99)
    weight = rng.integers(0, 4, 60).astype(float)
    weight[:2] = 1
    metric = {**CLASSES, **VALUES}[name]

    expected = SECOND_OPINION[name](y, score, sample_weight=weight)

    assert metric.compute(y, score, weight) == pytest.approx(expected, abs=1e-9)


def test_by_hand():
    y, score = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.6, 0.9])
    assert CLASSES["roc_auc"].compute(y, score) == 3.5 / 4  # one tie counts half
    assert CLASSES["accuracy"].compute(y, score) == 3 / 4
    assert CLASSES["f1"].compute(y, score) == pytest.approx(2 * 2 / (3 + 2))
    assert VALUES["mae"].compute(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == 1.5
    assert VALUES["rmse"].compute(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == math.sqrt(12.5)


def test_nothing_predicted_and_nothing_true_is_an_f1_of_zero():
    assert CLASSES["f1"].compute(np.zeros(3), np.zeros(3)) == 0.0


def test_a_single_class_has_no_area_under_its_curve():
    assert math.isnan(CLASSES["roc_auc"].compute(np.ones(3), np.arange(3.0)))
    assert math.isnan(CLASSES["average_precision"].compute(np.zeros(3), np.arange(3.0)))


@pytest.fixture
def places():
    rng = np.random.default_rng(0)
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    member = rng.integers(0, 3, 150)
    return corners[member] + rng.normal(0, 1, (150, 2)), member.astype(float)


def test_cluster_metrics_agree_with_scikit_learn(places):
    at, member = places
    assert CLUSTERS["silhouette"].compute(at, member) == pytest.approx(
        sk.silhouette_score(at, member)
    )
    assert CLUSTERS["davies_bouldin"].compute(at, member) == pytest.approx(
        sk.davies_bouldin_score(at, member)
    )
    assert CLUSTERS["calinski_harabasz"].compute(at, member) == pytest.approx(
        sk.calinski_harabasz_score(at, member)
    )


@pytest.mark.parametrize("name", ["davies_bouldin", "calinski_harabasz"])
def test_a_weight_is_how_often_a_row_was_drawn(places, name):
    at, member = places
    weight = np.random.default_rng(1).integers(0, 3, len(at)).astype(float)
    weight[member == 2] = 0  # a resample may lose a whole cluster
    drawn = np.repeat(np.arange(len(at)), weight.astype(int))

    expected = getattr(sk, f"{name}_score")(at[drawn], member[drawn])

    assert CLUSTERS[name].compute(at, member, weight) == pytest.approx(expected)


@pytest.mark.parametrize("name", list(CLUSTERS))
def test_one_cluster_has_no_separation(places, name):
    assert math.isnan(CLUSTERS[name].compute(places[0], np.zeros(150)))


def test_space_is_standardised_and_missing_numbers_are_at_the_median():
    use_case = tiny_use_case("clustering")
    X = pd.DataFrame({"x": [1.0, 2.0, np.nan, 3.0, 14.0], "z": [np.nan] * 5, "colour": "red"})

    at = clusters.space(X, use_case)

    filled = np.array([1.0, 2.0, 2.5, 3.0, 14.0])
    np.testing.assert_allclose(at[:, 0], (filled - filled.mean()) / filled.std())
    np.testing.assert_array_equal(at[:, 1], 0)


def test_a_gain_reads_the_metrics_sign():
    for metric, greater_is_worse in ((CLASSES["roc_auc"], False), (CLASSES["log_loss"], True)):
        assert (metric.gain(0.7, 0.6) < 0) is greater_is_worse
        assert metric.gain(0.7, 0.6) == pytest.approx(metric.sign * 0.1)
    assert VALUES["mae"].gain(1.0, 1.0) == 0


def test_evaluate_gives_every_metric_of_the_task():
    use_case, rows = tiny_use_case(), tiny_rows()
    model = estimators.linear(use_case).fit(rows[["x", "z", "colour"]], rows["outcome"])

    values = evaluate(use_case, model, rows[["x", "z", "colour"]], rows["outcome"])

    score = model.predict_proba(rows[["x", "z", "colour"]])[:, 1]
    assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(rows["outcome"], score))
    assert set(values) == METRICS["classification"]


def test_a_holdout_of_one_class_is_refused_with_words():
    use_case, rows = tiny_use_case(), tiny_rows()
    X = rows[["x", "z", "colour"]]
    model = estimators.linear(use_case).fit(X, rows["outcome"])
    with pytest.raises(
        DataContractError, match=r"tiny: \['roc_auc'\] need both classes .* 400 rows have"
    ):
        evaluate(use_case, model, X, pd.Series(np.ones(400)))


def test_clusterings_are_judged_on_the_same_two_thousand_rows():
    use_case = tiny_use_case("clustering")
    X = tiny_rows(5_000)[["x", "z", "colour"]]

    first, second = judged(use_case, X, None), judged(use_case, X, None)

    assert len(first.X) == clusters.MAX_ROWS
    pd.testing.assert_frame_equal(first.X, second.X)
    assert first.truth.shape == (2_000, 2)


def test_few_enough_rows_are_all_judged():
    rows = tiny_rows(300)
    found = judged(tiny_use_case(), rows[["x", "z", "colour"]], rows["outcome"])
    np.testing.assert_array_equal(found.truth, rows["outcome"])
    assert len(judged(tiny_use_case("clustering"), rows[["x", "z"]], None).X) == 300


def test_slices_are_those_with_rows_enough_and_both_classes():
    X = pd.DataFrame({"colour": ["red"] * 4 + ["green"] * 4 + ["blue"] * 2, "x": 0.0, "z": 0.0})
    y = pd.Series([0, 0, 1, 1, 1, 1, 1, 1, 0, 1.0])
    score = np.array([0.1, 0.2, 0.3, 0.15, 0, 0, 0, 0, 0, 1])
    rows = judged(tiny_use_case(), X, y)

    found = by_slice(CLASSES["roc_auc"], rows, score, ["colour"], min_rows=3)

    assert found == {"colour=red": {"rows": 4, "value": 0.75}}  # green has one class, blue two rows


def test_the_metric_that_decides_is_the_use_cases():
    assert metric_of(tiny_use_case("clustering")).name == "silhouette"
