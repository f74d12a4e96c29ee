"""Standard errors against closed forms and recomputation; bounds against simulated truths."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from include.modelling.metrics import METRICS_BY_TASK
from include.modelling.uncertainty import (
    MIN_BLOCKS,
    Estimate,
    estimate,
    estimate_gain,
    without_each,
)

CLASSES, VALUES = METRICS_BY_TASK["classification"], METRICS_BY_TASK["regression"]
CLUSTERS = METRICS_BY_TASK["clustering"]


def _classified(rows: int, blocks: int, seed: int = 0, share: float = 0.3, decimals: int = 12):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < share).astype(float)
    score = 1 / (1 + np.exp(-(y + rng.normal(size=rows))))
    return y, score.round(decimals), rng.integers(0, blocks, rows)


@pytest.mark.parametrize("decimals", [12, 1], ids=["no ties", "many ties"])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_leaving_a_block_out_is_computing_without_it(name, decimals):
    y, score, block = _classified(500, 12, decimals=decimals)
    score = score.clip(0.01, 0.99)
    expected = [CLASSES[name].compute(y[block != g], score[block != g]) for g in range(12)]
    found = without_each(CLASSES[name], y, score, block)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_and_so_for_values(name):
    rng = np.random.default_rng(1)
    y = rng.normal(10, 3, 300)
    score, block = y + rng.normal(size=300), rng.integers(0, 11, 300)
    expected = [VALUES[name].compute(y[block != g], score[block != g]) for g in range(11)]
    np.testing.assert_allclose(without_each(VALUES[name], y, score, block), expected)


def test_blocks_may_have_any_numbers():
    y, score, block = _classified(400, 12)
    numbered = estimate(CLASSES["roc_auc"], y, score, block)
    assert estimate(CLASSES["roc_auc"], y, score, block * 7 + 3) == numbered


def test_of_a_mean_over_equal_blocks_it_is_the_standard_error_of_the_block_means():
    """Closed form: the jackknife of a mean is s / sqrt(G)."""
    rng = np.random.default_rng(0)
    error, block = rng.normal(size=(20, 50)), np.repeat(np.arange(20), 50)
    means = np.abs(error).mean(axis=1)

    found = estimate(VALUES["mae"], np.zeros(1000), error.ravel(), block)

    assert found.groups == 20
    assert found.value == pytest.approx(np.abs(error).mean())
    assert found.standard_error == pytest.approx(means.std(ddof=1) / math.sqrt(20))
    width = found.standard_error * stats.t(19).ppf(0.95)
    assert found.low(0.05) == pytest.approx(found.value - width)
    assert found.high(0.05) == pytest.approx(found.value + width)


@pytest.mark.parametrize(("name", "better_is"), [("rmse", -1), ("mae", -1), ("r2", 1)])
def test_a_gain_is_positive_when_ours_is_better_and_paired(name, better_is):
    """Worse by the same little on every row is surely worse, however hard the rows."""
    y = np.abs(np.random.default_rng(0).normal(0, 100, 600)) + 1
    block = np.repeat(np.arange(30), 20)
    ours, theirs = y * 0.99, y * 0.98

    gain = estimate_gain(VALUES[name], y, ours, theirs, block)
    back = estimate_gain(VALUES[name], y, theirs, ours, block)
    alone = [estimate(VALUES[name], y, score, block) for score in (ours, theirs)]

    assert gain.value == pytest.approx(better_is * (alone[0].value - alone[1].value))
    assert gain.low(0.01) > 0 > back.high(0.01)
    assert back.value == -gain.value
    if name != "r2":
        assert gain.standard_error < 0.9 * max(one.standard_error for one in alone)


def test_equal_models_differ_by_nothing_surely():
    y, score, block = _classified(400, 20)
    gain = estimate_gain(CLASSES["roc_auc"], y, score, score, block)
    assert (gain.value, gain.standard_error, gain.low(0.05)) == (0.0, 0.0, 0.0)


def _correlated(rng, days: int, per_day: int, icc: float):
    """Draw errors of two models on the same rows: days have effects that both differ in."""
    day = np.repeat(np.arange(days), per_day)
    effects = rng.normal(size=days)[day]
    return day, math.sqrt(icc) * effects + math.sqrt(1 - icc) * rng.normal(size=len(day))


def test_bounds_hold_their_level_where_rows_of_a_day_are_alike():
    """Equal models, intraclass correlation .05, 100 rows a day: a design effect of 6.

    Of 600 simulations 5 % are to have a bound above 0; by rows alone a quarter has.
    """
    rng, rounds = np.random.default_rng(0), 600
    above = {"day": 0, "rows": 0}
    for _ in range(rounds):
        day, difference = _correlated(rng, days=30, per_day=100, icc=0.05)
        truth, ours, theirs = np.zeros(3000), 10 + difference, np.full(3000, 10.0)
        for unit, block in (("day", day), ("rows", np.arange(3000) % 100)):
            above[unit] += estimate_gain(VALUES["mae"], truth, ours, theirs, block).low(0.05) > 0

    assert abs(above["day"] / rounds - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert above["rows"] / rounds > 0.2


def test_so_do_bounds_of_the_area_under_the_curve():
    """Two equal models, whose scores are right or wrong by whole days."""
    rng, rounds, above = np.random.default_rng(1), 400, 0
    for _ in range(rounds):
        day = np.repeat(np.arange(30), 40)
        y = (rng.random(1200) < 0.3).astype(float)
        ours, theirs = (
            y * (1 + 0.5 * rng.normal(size=30)[day]) + rng.normal(size=1200) for _ in range(2)
        )
        above += estimate_gain(CLASSES["roc_auc"], y, ours, theirs, day).low(0.05) > 0
    assert abs(above / rounds - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / rounds)


# What cannot be said has a name


def test_too_few_blocks():
    y, score, _ = _classified(900, 1)
    nine = np.arange(900) % (MIN_BLOCKS - 1)

    found = estimate(CLASSES["roc_auc"], y, score, nine)

    assert found.problem == "not enough data: 9 independent blocks of rows, 10 are needed"
    assert found.value == CLASSES["roc_auc"].compute(y, score), "the value is known all the same"
    assert (found.standard_error, found.low(0.05), found.high(0.05)) == (None, None, None)
    assert estimate(CLASSES["roc_auc"], y, score, np.arange(900) % 10).problem is None


@pytest.mark.parametrize("label", [1, 0])
@pytest.mark.parametrize("rows", [4, 10, 19])
def test_too_few_rows_of_a_class(rows, label):
    y = np.full(2000, 1.0 - label)
    y[: rows * 100 : 100] = label
    score = np.random.default_rng(0).random(2000)

    found = estimate_gain(CLASSES["roc_auc"], y, score, score / 2, np.arange(2000) % 30)

    assert found.problem == f"not enough data: {rows} rows of class {label}, 20 are needed"
    assert found.low(0.05) is None


def test_a_class_that_few_blocks_have():
    """50 rows of one storm tell nothing about the next."""
    y = np.zeros(3000)
    block = np.repeat(np.arange(30), 100)
    y[block == 4] = 1
    found = estimate(CLASSES["log_loss"], y, np.full(3000, 0.1), block)
    assert found.problem == (
        "not enough data: class 1 stands in 1 independent blocks of rows, 10 are needed"
    )


def test_a_metric_that_is_not_defined():
    places = np.random.default_rng(0).normal(size=(200, 2))
    one, two = np.zeros(200), (places[:, 0] > 0).astype(float)
    block = np.arange(200) % 10
    for name in sorted(CLUSTERS):
        found = estimate_gain(CLUSTERS[name], places, two, one, block)
        assert found.problem == f"{name} is not defined on these 200 rows"
        assert (found.value, found.standard_error) == (None, None)


def test_a_metric_that_one_block_alone_defines():
    places = np.random.default_rng(0).normal(size=(200, 2))
    block = np.arange(200) % 10
    cluster = (block == 3).astype(float)
    found = estimate(CLUSTERS["calinski_harabasz"], places, cluster, block)
    assert found.problem == "calinski_harabasz is not defined without one of the 10 blocks"
    assert found.value == CLUSTERS["calinski_harabasz"].compute(places, cluster)


def test_no_rows_at_all():
    nothing = np.empty(0)
    found = estimate(VALUES["mae"], nothing, nothing, np.empty(0, dtype=int))
    assert (found.value, found.groups) == (None, 0)
    assert found.problem.startswith("not enough data: 0 independent blocks")


def test_bounds_move_with_the_confidence_as_far_as_it_goes():
    one = Estimate(0.03, 0.01, 30)
    assert one.low(0.2) > one.low(0.05) > one.low(0.001) > one.low(1e-6)


def test_a_month_of_flights_takes_a_fraction_of_a_second():
    y, score, block = _classified(27_000, 100, share=0.2)
    begun = time.process_time()
    for name in ("roc_auc", "log_loss"):
        estimate_gain(CLASSES[name], y, score, score[::-1].copy(), block)
    assert time.process_time() - begun < 0.5
