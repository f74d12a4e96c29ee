"""Decay against closed forms, and how often it is called wrongly."""

import numpy as np
import pytest
from sklearn import metrics as sk

from include.drift_monitor import performance
from include.drift_monitor.performance import measure
from include.modelling.metrics import METRICS_BY_TASK

ACCURACY = METRICS_BY_TASK["classification"]["accuracy"]
ROC_AUC = METRICS_BY_TASK["classification"]["roc_auc"]
MAE = METRICS_BY_TASK["regression"]["mae"]
Z_95 = 1.6449


def measured(metric, y, score, reference, **changes):
    settings = {
        "reference_rows": 1000, "max_drop": 0.02, "max_false_alarm_rate": 0.05, "sample_rows": 5000,
    }  # fmt: skip
    return measure(
        metric, np.asarray(y, float), np.asarray(score, float),
        reference=reference, **(settings | changes),
    )  # fmt: skip


def right(share: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Give outcomes and scores of which this share is right."""
    y = np.zeros(rows)
    return y, np.where(np.arange(rows) < share * rows, 0.1, 0.9)


@pytest.mark.parametrize(("rows", "holdout", "sample_rows"), [(1000, 1000, 5000), (4000, 500, 800)])
def test_the_bound_is_the_normal_one_where_that_is_known(rows, holdout, sample_rows):
    """Accuracy is a mean: a difference has variance p (1 - p) (1/n + 1/h), whatever is sampled."""
    found = measured(
        ACCURACY, *right(0.8, rows), 0.9, reference_rows=holdout, sample_rows=sample_rows
    )
    spread = np.sqrt(0.8 * 0.2 * (1 / rows + 1 / holdout))
    assert found.value == pytest.approx(0.8)
    assert found.drop == pytest.approx(0.1)
    # 200 resamples know a 95 % quantile to about 15 %.
    assert found.drop - found.drop_low == pytest.approx(Z_95 * spread, rel=0.25)
    assert found.verdict == "decay"


@pytest.mark.parametrize(
    ("metric", "y", "score", "reference", "drop"),
    [
        # Errors of 1 and 3 have a mean of 2; lower is better.
        (MAE, [0, 0] * 200, [1, 3] * 200, 1.5, 0.5),
        (MAE, [0, 0] * 200, [1, 3] * 200, 2.5, -0.5),
        # Of the pairs (0.2, 0.4), (0.6, 0.4), ... half are in order.
        (ROC_AUC, [0, 1] * 200, [0.4, 0.2, 0.4, 0.6] * 100, 0.8, 0.3),
        (ROC_AUC, [0, 1] * 200, [0.4, 0.2, 0.4, 0.6] * 100, 0.3, -0.2),
    ],
)
def test_a_drop_is_positive_when_worse(metric, y, score, reference, drop):
    found = measured(metric, y, score, reference)
    assert found.drop == pytest.approx(drop)
    assert found.reference == reference
    assert found.verdict == ("decay" if drop > 0 else "stable")
    assert found.drop_low < found.drop


def test_the_value_is_of_all_rows_however_few_are_resampled():
    random = np.random.default_rng(0)
    y = (random.random(3000) < 0.3).astype(float)
    score = np.clip(y * 0.3 + random.random(3000) * 0.7, 0, 1)
    found = measured(ROC_AUC, y, score, 0.9, sample_rows=300)
    assert found.value == pytest.approx(sk.roc_auc_score(y, score))


def test_the_allowed_drop_is_allowed():
    y, score = right(0.80, 50_000)
    assert measured(ACCURACY, y, score, 0.90, reference_rows=50_000).verdict == "decay"
    assert (
        measured(ACCURACY, y, score, 0.90, reference_rows=50_000, max_drop=0.2).verdict == "stable"
    )


def test_a_drop_within_chance_is_not_decay():
    # 10 points on 100 rows, standard error 5: the bound is about 10 - 8.
    y, score = right(0.80, 100)
    assert measured(ACCURACY, y, score, 0.90, reference_rows=100, max_drop=0.05).verdict == "stable"


def test_not_defined_is_not_a_verdict():
    assert measured(ROC_AUC, [0] * 300, [0.5] * 300, 0.8) is None


def test_draws_that_miss_the_rare_class_are_left_out():
    y = np.zeros(300)
    y[0] = 1
    found = measured(ROC_AUC, y, np.linspace(1, 0, 300), 0.9)
    assert found.value == 1.0
    assert found.drop_low <= found.drop == pytest.approx(-0.1)


def test_the_same_twice():
    y, score = right(0.8, 500)
    assert measured(ACCURACY, y, score, 0.9) == measured(ACCURACY, y, score, 0.9)


def test_no_more_false_alarms_than_promised(monkeypatch):
    """400 windows whose true drop is exactly what is allowed, the holdout being a sample too."""
    monkeypatch.setattr(performance, "RESAMPLES", 100)
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(400):
        reference = (random.random(400) < 0.85).mean()
        score = np.where(random.random(400) < 0.80, 0.1, 0.9)
        alarms += (
            measured(ACCURACY, np.zeros(400), score, reference, reference_rows=400, max_drop=0.05)
            .verdict == "decay"
        )  # fmt: skip
    assert alarms / 400 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)
    assert alarms > 0  # a bound that is never exceeded would find nothing either


def test_a_real_decay_is_found(monkeypatch):
    monkeypatch.setattr(performance, "RESAMPLES", 100)
    random = np.random.default_rng(12)
    found = 0
    for _ in range(50):
        score = np.where(random.random(1000) < 0.75, 0.1, 0.9)
        found += measured(ACCURACY, np.zeros(1000), score, 0.90, max_drop=0.02).verdict == "decay"
    assert found == 50


def test_the_bound_is_on_the_right_side():
    """One error of 100 in 200 rows is drawn as often as Poisson(1) says: 0 to 3 times, seldom more.

    The error's mean goes from 0.5 up to 1.5 and down to 0 only. What may have been bad luck is 1.0.
    """
    score = np.zeros(200)
    score[0] = 100
    found = measured(MAE, np.zeros(200), score, 0.1, reference_rows=10**9)
    assert found.drop == pytest.approx(0.4)
    assert found.drop - found.drop_low == pytest.approx(1.0, abs=0.2)
