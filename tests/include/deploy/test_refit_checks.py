"""Which refits may serve: scores made by hand, whose agreement is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.deploy.refit_checks import check_refit
from include.modelling.metrics import Judged
from tests.support.packages import tiny_use_case

ROWS, DAYS = 1_000, 25
RNG = np.random.default_rng(0)
Y = (RNG.random(ROWS) < 0.4).astype(float)
SIGNAL = Y + RNG.normal(size=ROWS)
ROWS_OF_Y = Judged(pd.DataFrame({"x": np.zeros(ROWS)}), Y)


def _check(evaluated: np.ndarray, refit: np.ndarray, task: str = "classification", **deploy):
    use_case = tiny_use_case(task, deploy=deploy)
    return check_refit(use_case, ROWS_OF_Y, np.arange(ROWS) % DAYS, evaluated, refit)


def _chance(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def test_a_refit_that_ranks_alike_may_serve_whatever_the_scale():
    """Spearman's correlation sees ranks only: a monotone change of the scores keeps it at 1."""
    checked = _check(_chance(SIGNAL), _chance(3 * SIGNAL - 1))

    assert checked.reasons_against == []
    assert checked.agreement == pytest.approx(1.0)


def test_the_agreement_is_spearmans():
    """Of untied values it is 1 - 6 sum(d^2) / (n (n^2 - 1)), with d the differences of ranks."""
    ours = SIGNAL + RNG.normal(size=ROWS)
    ranks = [np.argsort(np.argsort(each)) for each in (SIGNAL, ours)]
    expected = 1 - 6 * np.sum((ranks[0] - ranks[1]) ** 2) / (ROWS * (ROWS**2 - 1))

    assert _check(SIGNAL, ours).agreement == pytest.approx(expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_not_finite_stops_it(value):
    broken = _chance(SIGNAL)
    broken[[3, 8]] = value

    checked = _check(_chance(SIGNAL), broken)

    assert checked.reasons_against == ["2 of 1000 scores of the holdout are not finite"]


def test_a_refit_on_other_labels_is_stopped():
    """Scores that have nothing to do with the evaluated model's, as good as those may be."""
    alike_good = 0.1 * SIGNAL + RNG.normal(size=ROWS)

    checked = _check(SIGNAL, alike_good)

    assert checked.agreement < 0.25
    assert checked.reasons_against[0] == (
        "the rank correlation of scores with the evaluated model on the holdout is "
        f"{checked.agreement:.2f}, 0.25 needed"
    )


@pytest.mark.parametrize("which", [0, 1])
def test_scores_that_are_all_equal_rank_nothing(which):
    scores = [_chance(SIGNAL), _chance(SIGNAL)]
    scores[which] = np.full(ROWS, 0.4)

    checked = _check(*scores)

    assert checked.agreement is None
    assert "on the holdout is not defined, 0.25 needed" in checked.reasons_against[0]


def test_a_refit_that_is_surely_worse_on_rows_it_has_learned_is_stopped():
    refit = SIGNAL + 1.2 * RNG.normal(size=ROWS)

    checked = _check(SIGNAL, refit)

    assert checked.agreement > 0.25
    (said,) = checked.reasons_against
    assert said.startswith("surely worse on the holdout, which it has learned: roc_auc 0.")
    assert said.endswith("at 95 %")
    (said,) = _check(SIGNAL, refit, confidence=0.999).reasons_against
    assert said.endswith("at 99.9 %"), "and not at 100 %"


def test_a_loss_that_chance_could_give_is_no_reason():
    """A small part of the rows, in either order: the upper bound of the gain is above 0."""
    refit = SIGNAL + 0.01 * RNG.normal(size=ROWS)
    refit[Y == 1] -= 0.0005
    assert _check(SIGNAL, refit).reasons_against == []


def test_too_few_days_say_nothing_of_chance():
    """Nothing is sure of a single day; the agreement is needed all the same."""
    use_case = tiny_use_case()
    day, refit = np.zeros(ROWS, dtype=np.intp), SIGNAL + 1.2 * RNG.normal(size=ROWS)
    assert check_refit(use_case, ROWS_OF_Y, day, SIGNAL, refit).reasons_against == []
    (said,) = check_refit(use_case, ROWS_OF_Y, day, SIGNAL, RNG.normal(size=ROWS)).reasons_against
    assert said.startswith("the rank correlation of scores")


def test_where_less_is_better_worse_is_more():
    near, far = Y + 0.1 * SIGNAL, Y + 0.3 * SIGNAL
    assert _check(far, near, task="regression").reasons_against == []
    (said,) = _check(near, far, task="regression").reasons_against
    assert said.startswith("surely worse on the holdout")


# Clusters, whose numbers are names


def _places() -> tuple[Judged, np.ndarray]:
    places = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 100, axis=0)
    places = places + np.random.default_rng(1).normal(size=places.shape)
    return Judged(pd.DataFrame(places, columns=["x", "z"]), places), np.repeat([0.0, 1.0, 2.0], 100)


def _check_clusters(rows: Judged, evaluated: np.ndarray, refit: np.ndarray):
    return check_refit(tiny_use_case("clustering"), rows, np.arange(300) % DAYS, evaluated, refit)


def test_clusters_that_are_numbered_otherwise_agree():
    rows, clusters = _places()
    checked = check_refit(
        tiny_use_case("clustering"), rows, np.arange(300) % DAYS, clusters, 2 - clusters
    )
    assert (checked.agreement, checked.reasons_against) == (1.0, [])


def test_clusters_that_cut_across_are_stopped():
    rows, clusters = _places()
    across = np.arange(300) % 3
    checked = check_refit(
        tiny_use_case("clustering"), rows, np.arange(300) % DAYS, clusters, across.astype(float)
    )
    assert abs(checked.agreement) < 0.05
    assert checked.reasons_against[0].startswith("the adjusted Rand index with the evaluated model")
    assert checked.reasons_against[1].startswith("surely worse on the holdout")


def test_one_cluster_for_all_rows_is_no_clustering():
    rows, clusters = _places()
    checked = check_refit(
        tiny_use_case("clustering"), rows, np.arange(300) % DAYS, clusters, np.zeros(300)
    )
    assert checked.agreement == 0.0
    assert checked.reasons_against[1] == "silhouette of the holdout is not defined"
