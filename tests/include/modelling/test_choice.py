"""The simplest within one standard error of the paired difference, computed by hand here."""

import numpy as np
import pytest

from include.errors import DataContractError
from include.modelling.choice import choose
from include.modelling.search import TrialDone
from tests.support.packages import TINY, tiny_use_case

DAYS, ROWS = 20, 50
BLOCKS = np.repeat(np.arange(DAYS), ROWS)
TRUTH = np.zeros(DAYS * ROWS)
CANDIDATES = [
    {"estimator": "ridge"},
    {"estimator": "hist_gradient_boosting", "max_iter": 10},
    {"estimator": "random_forest"},
]


def use_case_of(task="regression", metric="mae", candidates=CANDIDATES):
    train = {**TINY["train"], "metric": metric, "candidates": list(candidates)}
    return tiny_use_case(task, train=train)


def trial(candidate, value, number=0):
    return TrialDone(candidate, number, {"number": number}, value)


def by_candidate(**scores):
    """Return `scores_of`, and a list of which candidates were asked for."""
    asked = []

    def scores_of(one):
        asked.append((one.candidate, one.number))
        return scores[one.candidate]

    return scores_of, asked


def errors(extra, spread, seed=0):
    """Absolute errors: the same hard days for all, and a difference that varies by day."""
    rng = np.random.default_rng(7)
    common = 1 + rng.exponential(5, DAYS)[BLOCKS] + rng.exponential(1, DAYS * ROWS)
    own = np.random.default_rng(seed).normal(0, spread, DAYS) if spread else np.zeros(DAYS)
    own -= own.mean()
    return common + (extra + own)[BLOCKS] if spread else common + extra


def standard_error(ours, theirs):
    """Days of equal size: the textbook standard error of the mean of their differences."""
    by_day = (theirs - ours).reshape(DAYS, ROWS).mean(axis=1)
    return by_day.std(ddof=1) / np.sqrt(DAYS)


@pytest.mark.parametrize(("share", "kept"), [(0.9, "ridge"), (1.1, "hist_gradient_boosting")])
def test_a_simpler_one_is_kept_within_one_standard_error_and_not_beyond(share, kept):
    best = errors(0, 0)
    unit = standard_error(best, errors(0, 0.4, seed=1))
    simpler = errors(share * unit, 0.4, seed=1)
    assert standard_error(best, simpler) == pytest.approx(unit)
    done = [
        trial("ridge", float(np.mean(simpler))),
        trial("hist_gradient_boosting", float(np.mean(best))),
    ]
    scores_of, _ = by_candidate(ridge=simpler, hist_gradient_boosting=best)

    choice = choose(use_case_of(), done, scores_of, TRUTH, BLOCKS)

    assert (choice.trial.candidate, choice.best) == (kept, done[1])
    (reason,) = choice.reasons
    assert reason.startswith(
        f"hist_gradient_boosting 0 is better than ridge 0 by {share * unit:.4g} mae, "
        f"{'within' if share < 1 else 'more than'} one standard error ({unit:.4g} over 20 blocks)"
    )
    assert reason.endswith(": the simpler one is kept") == (share < 1)


def test_what_both_have_in_common_is_no_doubt():
    """Hard days make each mean uncertain by far more than a difference that is always there."""
    best = errors(0, 0)
    simpler = best + 0.01 + 0.001 * np.sin(np.arange(DAYS))[BLOCKS]
    alone = best.reshape(DAYS, ROWS).mean(axis=1).std(ddof=1) / np.sqrt(DAYS)
    assert alone > 50 * 0.01
    done = [
        trial("ridge", float(simpler.mean())),
        trial("hist_gradient_boosting", float(best.mean())),
    ]
    scores_of, _ = by_candidate(ridge=simpler, hist_gradient_boosting=best)
    assert choose(use_case_of(), done, scores_of, TRUTH, BLOCKS).trial == done[1]


def test_the_first_in_the_order_of_the_use_case_goes_first():
    """All three are within one standard error of the best, the last listed."""
    noisy = [errors(0.001 * seed, 1.0, seed=seed) for seed in (1, 2)]
    scores = dict(zip(("ridge", "random_forest"), noisy, strict=True))
    scores["hist_gradient_boosting"] = errors(0, 0)
    done = [trial(name, float(scores[name].mean())) for name in scores]
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        candidates = [CANDIDATES[at] for at in order]
        scores_of, _ = by_candidate(**scores)
        use_case = use_case_of(candidates=candidates)
        choice = choose(use_case, done[::-1], scores_of, TRUTH, BLOCKS)
        names = [one["estimator"] for one in candidates]
        if names[0] == "hist_gradient_boosting":
            assert choice.reasons == [], "the best is the simplest"
        assert choice.trial.candidate == names[0]


def test_what_is_less_simple_than_the_best_is_not_looked_at():
    scores = {"ridge": errors(0, 0), "hist_gradient_boosting": errors(0.1, 0)}
    done = [trial(name, float(each.mean())) for name, each in scores.items()]
    scores_of, asked = by_candidate(**scores)
    choice = choose(use_case_of(), done, scores_of, TRUTH, BLOCKS)
    assert (choice.trial, choice.best, choice.reasons, asked) == (done[0], done[0], [], [])


@pytest.mark.parametrize(
    ("task", "metric", "candidates", "expected"),
    [
        ("regression", "mae", CANDIDATES, 2),
        ("regression", "r2", CANDIDATES, 1),
        ("classification", "roc_auc", TINY["train"]["candidates"], 1),
        ("classification", "log_loss", TINY["train"]["candidates"], 2),
    ],
)
def test_within_an_estimator_the_best_mean_is_kept_and_ties_go_to_the_lower_number(
    task, metric, candidates, expected
):
    use_case = use_case_of(task, metric, candidates)
    name = candidates[0]["estimator"]
    values = {0: 0.5, 1: 0.7, 2: 0.3, 3: 0.7, 4: 0.3, 5: None}
    done = [trial(name, value, number) for number, value in values.items()]
    for order in (done, done[::-1]):
        choice = choose(use_case, order, by_candidate()[0], TRUTH, BLOCKS)
        assert choice.trial.number == expected


def test_equal_means_go_to_the_simpler_without_a_look_at_the_scores():
    done = [trial("random_forest", 0.4), trial("hist_gradient_boosting", 0.4)]
    scores_of, asked = by_candidate()
    choice = choose(use_case_of(), done, scores_of, TRUTH, BLOCKS)
    assert (choice.trial.candidate, asked) == ("hist_gradient_boosting", [])


def test_the_linear_baseline_stands_before_the_candidates():
    use_case = use_case_of(candidates=CANDIDATES[1:])
    best, baseline = errors(0, 0), errors(0.01, 1.0, seed=3)
    done = [
        trial("hist_gradient_boosting", float(best.mean()), 4),
        trial("ridge", float(baseline.mean())),
    ]
    scores_of, _ = by_candidate(ridge=baseline, hist_gradient_boosting=best)
    choice = choose(use_case, done, scores_of, TRUTH, BLOCKS)
    assert (choice.trial.candidate, choice.best.number) == ("ridge", 4)


def test_where_chance_cannot_be_judged_the_best_mean_is_kept_and_it_is_said():
    best, simpler = errors(0, 0), errors(1e-6, 1.0, seed=1)
    done = [
        trial("ridge", float(simpler.mean())),
        trial("hist_gradient_boosting", float(best.mean())),
    ]
    scores_of, _ = by_candidate(ridge=simpler, hist_gradient_boosting=best)
    choice = choose(use_case_of(), done, scores_of, TRUTH, BLOCKS % 9)
    assert choice.trial == done[1]
    assert choice.reasons == [
        "hist_gradient_boosting 0 is kept before ridge 0 on its mean alone: not enough data: "
        "9 independent blocks of rows, 10 are needed"
    ]


@pytest.mark.parametrize(("metric", "kept"), [("silhouette", "kmeans"), ("davies_bouldin", None)])
def test_clusterings_are_compared_by_the_values_of_their_rows(metric, kept):
    """Scores are silhouettes already. A metric that is no mean over rows has no such values."""
    candidates = [{"estimator": "kmeans"}, {"estimator": "gaussian_mixture"}]
    use_case = use_case_of("clustering", metric, candidates)
    best = np.full(len(BLOCKS), 0.5)
    simpler = best - 0.001 - 0.1 * np.sin(np.arange(DAYS))[BLOCKS]
    if kept is None:
        best = simpler = np.full(len(BLOCKS), np.nan)
    sign = 1 if metric == "silhouette" else -1
    done = [trial("kmeans", 0.4 * sign), trial("gaussian_mixture", 0.5 * sign)]
    scores_of, _ = by_candidate(kmeans=simpler, gaussian_mixture=best)
    choice = choose(use_case, done, scores_of, np.zeros((len(BLOCKS), 2)), BLOCKS)
    assert choice.trial.candidate == (kept or "gaussian_mixture")


def test_without_a_completed_trial_there_is_nothing_to_keep():
    with pytest.raises(DataContractError, match="tiny: a trial must have completed, none of 1 has"):
        choose(use_case_of(), [trial("ridge", None)], by_candidate()[0], TRUTH, BLOCKS)
