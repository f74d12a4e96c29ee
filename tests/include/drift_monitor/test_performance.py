"""Decay against closed forms, and how often it is called wrongly."""

import math

import numpy as np
import pytest
from scipy import stats

from include.drift_monitor.performance import measure
from include.modelling.metrics import METRICS_BY_TASK
from include.modelling.uncertainty import Estimate, estimate

ACCURACY = METRICS_BY_TASK["classification"]["accuracy"]
MAE = METRICS_BY_TASK["regression"]["mae"]
HOLDOUT = Estimate(0.9, 0.03, 30)
LIMITS = {"max_drop": 0.02, "max_false_alarm_rate": 0.05}


def test_both_sides_are_uncertain():
    """Standard errors of .03 and .04 make .05; the fewer days, 12, give t(11)."""
    found = measure(ACCURACY, Estimate(0.8, 0.04, 12), HOLDOUT, **LIMITS)

    assert (found.value, found.reference) == (0.8, 0.9)
    assert found.drop == pytest.approx(0.1)
    assert found.drop_low == pytest.approx(0.1 - 0.05 * stats.t(11).ppf(0.95))


@pytest.mark.parametrize(
    ("metric", "now", "drop", "verdict"),
    [(ACCURACY, 0.7, 0.2, "decay"), (ACCURACY, 1.0, -0.1, "stable"),
     (MAE, 1.1, 0.2, "decay"), (MAE, 0.8, -0.1, "stable")],
)  # fmt: skip
def test_a_drop_is_positive_when_worse(metric, now, drop, verdict):
    found = measure(metric, Estimate(now, 0.01, 30), HOLDOUT, **LIMITS)
    assert (found.drop, found.verdict) == (pytest.approx(drop), verdict)
    assert found.drop_low < found.drop


def test_the_allowed_drop_is_allowed():
    now = Estimate(0.8, 0.001, 30)
    sure = Estimate(0.9, 0.001, 30)
    assert measure(ACCURACY, now, sure, **LIMITS).verdict == "decay"
    assert measure(ACCURACY, now, sure, **{**LIMITS, "max_drop": 0.1}).verdict == "stable"


def test_a_drop_within_chance_is_not_decay():
    assert measure(ACCURACY, Estimate(0.8, 0.06, 30), HOLDOUT, **LIMITS).verdict == "stable"


@pytest.mark.parametrize("where", ["now", "holdout"])
def test_what_cannot_be_judged_is_no_verdict(where):
    sides = {"now": Estimate(0.8, 0.01, 30), "holdout": HOLDOUT}
    sides[where] = Estimate(0.8, None, 4, "not enough data")
    assert measure(ACCURACY, **sides, **LIMITS) is None


def _days(rng: np.random.Generator, right: float, days: int = 30, rows: int = 40) -> Estimate:
    """Estimate the accuracy of a model that has good days and bad ones."""
    of_day = np.clip(rng.normal(right, 0.1, days), 0, 1)
    block = np.repeat(np.arange(days), rows)
    # Both classes in each day; the class does not matter.
    y = np.tile([0.0, 1.0], days * rows // 2)
    hit = rng.random(days * rows) < of_day[block]
    score = np.where(hit, y, 1 - y)
    return estimate(ACCURACY, y, score, block)


def test_no_more_false_alarms_than_promised_where_days_differ():
    """400 windows whose true drop is exactly what is allowed, the holdout being a sample too."""
    rng, alarms = np.random.default_rng(11), 0
    for _ in range(400):
        holdout, now = _days(rng, 0.80), _days(rng, 0.75)
        found = measure(ACCURACY, now, holdout, max_drop=0.05, max_false_alarm_rate=0.05)
        alarms += found.verdict == "decay"
    assert abs(alarms / 400 - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_real_decay_is_found():
    rng = np.random.default_rng(12)
    found = [measure(ACCURACY, _days(rng, 0.65), _days(rng, 0.8), **LIMITS) for _ in range(50)]
    assert sum(one.verdict == "decay" for one in found) >= 45
