"""The simulated worlds are what they say: metrics, correlations and day effects, by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kurtosis
from sklearn.metrics import mean_absolute_error, roc_auc_score

from benchmarks import decision_worlds as worlds
from benchmarks.decision_flights import month
from benchmarks.decision_pairs import intraclass_correlation

ROWS, DRAWS = 20_000, 12


def drawn(world, values):
    rng = np.random.default_rng(1)
    return [world.draw(rng, ROWS, values) for _ in range(DRAWS)]


@pytest.mark.parametrize("kind", ["settings", "kinds", "older"])
def test_scores_have_the_true_area_and_share_their_days_as_measured(kind):
    found = drawn(worlds.auc_as_flights(kind), [0.73, 0.71])
    areas = [[roc_auc_score(each.truth, score) for score in each.scores] for each in found]
    assert np.mean(areas, axis=0) == pytest.approx([0.73, 0.71], abs=0.016)
    zeros = [
        (
            each.scores[0][each.truth == 0],
            each.scores[1][each.truth == 0],
            each.day[each.truth == 0],
        )
        for each in found
    ]
    alike = np.mean([np.corrcoef(a, b)[0, 1] for a, b, _ in zeros])
    assert alike == pytest.approx(worlds.CORRELATION[kind], abs=0.02)
    of_score = np.mean([intraclass_correlation(a, day) for a, _, day in zeros])
    assert of_score == pytest.approx(worlds.SCORE_ICC, abs=0.04)
    of_difference = np.mean([intraclass_correlation(a - b, day) for a, b, day in zeros])
    assert of_difference == pytest.approx(worlds.DIFFERENCE_ICC[kind], abs=0.04)


def test_labels_share_their_days():
    found = drawn(worlds.auc_rho_02("settings"), [0.71])
    assert np.mean([each.truth.mean() for each in found]) == pytest.approx(
        worlds.POSITIVES, abs=0.012
    )
    shared = np.mean([intraclass_correlation(each.truth, each.day) for each in found])
    assert shared == pytest.approx(worlds.LABEL_ICC, abs=0.015)
    assert {each.day.max() + 1 for each in found} == {worlds.DAYS}


def test_the_mild_world_has_the_issues_day_icc():
    found = drawn(worlds.auc_rho_02("settings"), [0.71, 0.71])
    ones = [each.truth == 1 for each in found]
    shared = [
        intraclass_correlation((each.scores[0] - each.scores[1])[one], each.day[one])
        for each, one in zip(found, ones, strict=True)
    ]
    assert np.mean(shared) == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize(
    ("world", "icc"),
    [(worlds.mae_rho_02("settings"), 0.02), (worlds.mae_as_flights("older"), 0.067)],
)
def test_errors_have_the_true_mean_heavy_tails_and_days(world, icc):
    found = drawn(world, [8.0, 9.0])
    errors = [[mean_absolute_error(each.truth, score) for score in each.scores] for each in found]
    assert np.mean(errors, axis=0) == pytest.approx([8.0, 9.0], rel=0.04)
    both = [[each.truth - score for score in each.scores] for each in found]
    alike = np.mean([np.corrcoef(*pair)[0, 1] for pair in both])
    assert alike == pytest.approx(world.correlation, abs=0.02)
    shared = [
        intraclass_correlation(np.abs(a) - np.abs(b) * 8 / 9, each.day)
        for (a, b), each in zip(both, found, strict=True)
    ]
    assert np.mean(shared) == pytest.approx(icc, rel=0.3)
    assert np.median([kurtosis(a) for a, _ in both]) > 1.5
    dummy = np.mean([np.abs(each.truth).mean() for each in found])
    assert dummy == pytest.approx(worlds.DUMMY_MAE, rel=0.02)


def test_exactly_as_many_positives_as_asked_for():
    rng = np.random.default_rng(0)
    found = worlds.auc_rho_02("settings").with_positives(rng, 1000, 7, [0.86, 0.71])
    assert found.truth.sum() == 7
    assert len(found.scores) == 2


def test_a_month_of_flights_is_what_the_raw_file_says():
    """Counted anew from the published file: flights of a known aircraft that arrived."""
    from scripts import land_flights

    raw = land_flights._of_month(land_flights._flights(), "2013-02")
    raw = raw.dropna(subset=["tailnum", "arr_delay"])
    found = month("flight_delays", "2013-02")
    assert len(found.X) == len(found.y) == len(raw)
    assert found.y.mean() == pytest.approx((raw["arr_delay"].astype(float) >= 15).mean())
    assert found.day.max() + 1 == 28
    assert found.times.is_monotonic_increasing
