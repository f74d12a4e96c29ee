"""The same results give the same proposals: in any order, and with failed ones among them."""

import itertools
import random
import subprocess
import sys
from pathlib import Path
from statistics import mean

import optuna
import pytest

from include.errors import ConfigError
from include.modelling.estimators import LINEAR, defaults, fixed_trials
from include.modelling.search import (
    Trial,
    TrialDone,
    draw,
    planned,
    search,
    simplest_first,
    with_failed,
)
from tests.support.packages import tiny_use_case

WIDE = {
    "estimator": "hist_gradient_boosting",
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
    "max_leaf_nodes": {"low": 4, "high": 64},
    "max_iter": 10,
}
LOGISTIC = {"estimator": "logistic_regression"}
CLUSTERS = {"estimator": "kmeans", "n_clusters": {"low": 2, "high": 8}}


def tuned(trials=12, candidates=(LOGISTIC, WIDE), task="classification", metric="roc_auc", **more):
    base = tiny_use_case(task).model_dump(mode="json", by_alias=True)["train"]
    train = {**base, "candidates": list(candidates), "metric": metric}
    return tiny_use_case(task, train={**train, "tuning": {"trials": trials, **more}})


def bowl(trial: Trial) -> float:
    """Best at a learning rate of .1: a metric that says where to look."""
    return 1 - abs(trial.params.get("learning_rate", 0.3) - 0.1)


def done(trial: Trial, value: float | None = None) -> TrialDone:
    return TrialDone(trial.candidate, trial.number, trial.params, value)


def searched(use_case, value_of=bowl) -> list[TrialDone]:
    return search(use_case, lambda trial: done(trial, value_of(trial)))


# what is drawn


def test_each_candidate_has_its_number_of_trials_the_middle_first():
    use_case = tuned(7)
    found = searched(use_case)
    for space in use_case.train.candidates:
        own = sorted(
            (one for one in found if one.candidate == space.estimator), key=lambda one: one.number
        )
        assert [one.number for one in own] == list(range(7))
        assert own[0].params == defaults(space)
        assert len({tuple(one.params.values()) for one in own}) == 7, "each draws otherwise"
        for one in own:
            assert 0.01 <= one.params.get("learning_rate", 0.1) <= 0.5
            assert one.params.keys() == defaults(space).keys(), "fixed parameters too"
    assert planned(use_case) == len(found) == 14


def test_a_space_of_few_points_is_walked_through_whatever_the_round():
    use_case = tuned(8, [CLUSTERS], "clustering", "silhouette")
    found = searched(use_case, lambda trial: trial.params["n_clusters"] / 10)
    fixed = fixed_trials(use_case.train.candidates[0], 8)
    assert len(fixed) == 7
    assert [one.params for one in found[:7]] == fixed


@pytest.mark.parametrize("trials", [1, 5])
def test_few_trials_are_one_round(trials):
    use_case = tuned(trials)
    found = [done(one, 0.5) for one in draw(use_case, 1)]
    assert len(found) == planned(use_case) == 2 * trials
    assert draw(use_case, 2, found) == draw(use_case, 3, found) == []


@pytest.mark.parametrize(
    ("task", "metric", "candidate"),
    [
        ("classification", "roc_auc", "random_forest"),
        ("regression", "rmse", "random_forest"),
        ("clustering", "silhouette", "gaussian_mixture"),
    ],
)
def test_the_linear_baseline_competes_unless_it_is_a_candidate(task, metric, candidate):
    name, params = LINEAR[task]
    without = tuned(2, [{"estimator": candidate}], task, metric)
    assert draw(without, 1)[0] == Trial(name, 0, params)
    assert simplest_first(without) == [name, candidate]
    assert planned(without) == 3
    assert name not in {
        one.candidate for one in draw(without, 2, [done(t) for t in draw(without, 1)])
    }

    listed = tuned(2, [{"estimator": candidate}, {"estimator": name}], task, metric)
    assert simplest_first(listed) == [candidate, name], "the order that the use case gives"
    assert planned(listed) == len(draw(listed, 1)) == 4


def test_later_rounds_look_where_the_results_were_good():
    """Means over seeds: a single draw may lie anywhere."""
    first, last = [], []
    for seed in range(8):
        found = searched(tuned(30, [WIDE], random_state=seed))
        rates = {one.number: abs(one.params["learning_rate"] - 0.1) for one in found[1:]}
        first.append(mean(rates[number] for number in range(1, 10)))
        last.append(mean(rates[number] for number in range(20, 30)))
    assert mean(last) < 0.6 * mean(first)


def test_the_sign_of_the_metric_counts():
    """The same numbers, as a loss, lead elsewhere."""
    up = searched(tuned(12, [WIDE]))
    down = searched(tuned(12, [WIDE], metric="log_loss"))
    numbers = lambda found, last: [one.params for one in found if one.number < last]  # noqa: E731
    assert numbers(up, 4) == numbers(down, 4)
    assert numbers(up, 12) != numbers(down, 12)


def test_random_draws_do_not_depend_on_results():
    use_case = tuned(12, sampler="random")
    assert [one.params for one in searched(use_case)] == [
        one.params for one in searched(use_case, lambda trial: -bowl(trial))
    ]


# determinism


def test_the_order_in_which_results_are_told_changes_nothing():
    use_case = tuned(12)
    told = [done(one, None if one.number == 2 else bowl(one)) for one in draw(use_case, 1)]
    expected = draw(use_case, 2, told)
    orders = [random.Random(seed).sample(told, len(told)) for seed in range(6)]  # noqa: S311
    for order in [told[::-1], *orders]:
        assert draw(use_case, 2, order) == expected


def test_what_came_of_a_trial_does_change_what_follows():
    """The oracle of the test above: were results not looked at, any order would give the same."""
    use_case = tuned(12)
    first = draw(use_case, 1)
    good, bad = ([done(one, sign * bowl(one)) for one in first] for sign in (1, -1))
    assert draw(use_case, 2, good) != draw(use_case, 2, bad)


def test_another_process_draws_the_same():
    code = (
        "from tests.include.modelling.test_search import *\n"
        "print([repr(one) for one in searched(tuned(9))])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            cwd=Path(__file__).resolve().parents[3], env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert told == {f"{[repr(one) for one in searched(tuned(9))]}\n"}


def test_the_seed_counts():
    assert draw(tuned(9), 1) != draw(tuned(9, random_state=100), 1)
    assert draw(tuned(9), 1) == draw(tuned(9), 1)


def test_failed_trials_are_told_as_failed(monkeypatch):
    studies = []
    create = optuna.create_study

    def kept(**arguments):
        studies.append(create(**arguments))
        return studies[-1]

    monkeypatch.setattr(optuna, "create_study", kept)
    use_case = tuned(9, [WIDE, LOGISTIC])
    first = draw(use_case, 1)
    studies.clear()
    results = [done(one, bowl(one)) for one in first if one.number != 1]
    draw(use_case, 2, with_failed(first, results))
    for study in studies:
        states = [trial.state.name for trial in study.trials]
        assert states == ["COMPLETE", "FAIL", "COMPLETE", *["RUNNING"] * 3]


def test_with_too_few_results_a_round_is_drawn_at_random():
    use_case = tuned(9, [WIDE])
    first = draw(use_case, 1)
    nothing = draw(use_case, 2, with_failed(first, []))
    at_random = draw(tuned(9, [WIDE], sampler="random"), 2, with_failed(first, []))
    assert [one.params for one in nothing] == [one.params for one in at_random]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_round_is_not_drawn_from_a_part_of_the_results(missing):
    use_case = tuned(9, [WIDE])
    told = [done(one, 0.5) for one in draw(use_case, 1)]
    baseline, *own = told
    assert baseline.candidate == "logistic_regression"
    del own[missing]
    with pytest.raises(ConfigError, match=r"round 2 is drawn from trials 0 to 2 of hist_gradient"):
        draw(use_case, 2, own)
    with pytest.raises(ConfigError, match="Tell each of them once"):
        draw(use_case, 2, [*told, told[1]])


def test_every_trial_without_a_result_has_failed():
    drawn = draw(tuned(3), 1)
    results = [done(drawn[1], 0.7)]
    found = with_failed(drawn, results)
    assert len(found) == len(drawn)
    key = lambda one: (one.candidate, one.number)  # noqa: E731
    assert {key(one): (one.params, one.value) for one in found} == {
        key(one): (one.params, 0.7 if one == drawn[1] else None) for one in drawn
    }


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_values_that_are_equal_do_not_make_draws_equal(sampler):
    found = searched(tuned(12, [WIDE], sampler=sampler), lambda trial: 0.5)
    own = [one.params["learning_rate"] for one in found if one.candidate == WIDE["estimator"]]
    assert all(a != b for a, b in itertools.combinations(own, 2))
