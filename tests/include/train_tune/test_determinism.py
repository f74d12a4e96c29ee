"""Same data, configuration and seed: the same search and model, whatever happens meanwhile.

Each way of running the trials is a training of its own in one house. All are compared with the
plain one, bit for bit: what was tried, what came of it, what was kept and why, what the model says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.lake.table import Lake
from include.modelling.rounds import ROUNDS
from include.modelling.search import Trial, TrialDone, draw, with_failed
from include.registry.client import Registry
from include.train_tune import trial as trial_module
from include.train_tune.finish import finish
from include.train_tune.prepare import Prepared, prepare
from include.train_tune.trial import run_trial
from tests.support.houses import House, make_house
from tests.support.lakes import fill
from tests.support.packages import TINY, tiny_rows, tiny_use_case

MONTHS = ("2024-01", "2024-02")
CANDIDATES = [
    {
        "estimator": "hist_gradient_boosting",
        "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
        "max_leaf_nodes": {"low": 4, "high": 31},
        "max_iter": 10,
    },
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Make a house whose months have rows on each day, so that chance can be judged."""
    made = make_house(tmp_path_factory.mktemp("house"))
    tuning = {"trials": 7}
    made.use_case = tiny_use_case(
        train={**TINY["train"], "candidates": CANDIDATES, "tuning": tuning}
    )
    for number, month in enumerate(MONTHS):
        rows = tiny_rows(month=month, seed=number)
        start = pd.Timestamp(f"{month}-01", tz="UTC")
        at = start + pd.to_timedelta(rows.index * 90, unit="min")  # 400 rows in 25 days
        changed = {
            "at": at.astype("datetime64[us, UTC]"),
            # A straight line through it says nothing: the trees are chosen, and their parameters
            # matter.
            "outcome": 1.0 * (rows["x"] * rows["z"] > 0),
        }
        fill(made.lake, made.use_case, month, rows.assign(**changed))
    return made


@dataclass(frozen=True)
class Found:
    """What is compared of a training."""

    trials: dict[tuple[str, int], tuple[dict[str, float], float | None]]
    kept: tuple[str, dict[str, float], list[str]]
    scores: list[float]


Way = Callable[[House, Prepared, list[Trial]], list[TrialDone]]


def run(house: House, prepared: Prepared, trial: Trial) -> TrialDone:
    return run_trial("tiny", prepared, trial, house.lake, house.registry, house.work / "kept")


def train(house: House, request: str, way: Way) -> Found:
    """Train as the Dag does: each round is drawn from what came of the rounds before."""
    kept = house.work / "kept"
    prepared = prepare(house.use_case, MONTHS[-1], house.lake, house.registry, request, kept)
    done: list[TrialDone] = []
    for number in range(1, ROUNDS + 1):
        drawn = draw(house.use_case, number, done)
        done = [*done, *with_failed(drawn, way(house, prepared, drawn))]
    trained = finish("tiny", prepared, done, house.lake, house.registry, house.work, kept)
    model = house.registry.load("tiny", trained.version)
    rows = tiny_rows(month="2024-03", seed=5)
    return Found(
        {(one.candidate, one.number): (one.params, one.value) for one in done},
        (trained.candidate, trained.params, model.facts["choice"]),
        model.predict(rows, {})["score"].tolist(),
    )


def in_order(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    return [run(house, prepared, trial) for trial in trials]


def backwards(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    return in_order(house, prepared, trials[::-1])


def shuffled(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    return in_order(house, prepared, random.Random(3).sample(trials, len(trials)))  # noqa: S311


def on_another_machine(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    """Nothing is kept for the last step: it reads the lake, and makes the scores again."""
    return [run_trial("tiny", prepared, each, house.lake, house.registry) for each in trials]


def killed_and_repeated(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    """Each trial dies once, before or after its fits or its log; others end meanwhile."""
    dying = ("load_pinned", "out_of_fold", "_log_trial", "TrialDone")
    left, ended = [], []
    for number, trial in enumerate(trials):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trial_module, dying[number % len(dying)], _killed)
            with pytest.raises(SystemExit):
                run(house, prepared, trial)
        if number % 2:
            left.append(trial)
        else:
            ended.append(run(house, prepared, trial))
    return [*(run(house, prepared, trial) for trial in left), *ended]


def _killed(*_args: Any, **_kwargs: Any) -> Any:
    raise SystemExit


def several_times(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
    """Run each twice, as where a killed one lives on beside its retry; one result is told."""
    for trial in trials:
        run(house, prepared, trial)
    return backwards(house, prepared, trials)


def _in_another_process(
    lake_uri: str, registry: tuple[str, Path, Path], kept: Path, prepared: Prepared, trial: Trial
) -> TrialDone:
    uri, signing_key, verify_key = registry
    own = Registry(uri, signing_key=signing_key, verify_key=verify_key)
    return run_trial("tiny", prepared, trial, Lake(lake_uri), own, kept)


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Way]:
    """Run trials in two processes that take the next one when they are free."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def way(house: House, prepared: Prepared, trials: Iterable[Trial]) -> list[TrialDone]:
            registry = house.registry
            keys = (registry.tracking_uri, registry.signing_key, registry.verify_key)
            futures = [
                pool.submit(
                    _in_another_process, house.lake.uri, keys, house.work / "kept", prepared, trial
                )
                for trial in trials
            ]
            return [future.result() for future in futures]

        yield way


@pytest.fixture(scope="module")
def plain(house: House) -> Found:
    return train(house, "in order", in_order)


def test_the_comparison_says_something(house, plain):
    """Three rounds and the baseline; results that differ; a choice with a reason."""
    assert len(plain.trials) == 8
    assert len({tuple(params.items()) for params, _ in plain.trials.values()}) == 8
    assert len({value for _, value in plain.trials.values()}) >= 6
    (reason,) = plain.kept[2]
    assert re.match(
        r"hist_gradient_boosting \d is better than logistic_regression 0 by [\d.]+ roc_auc, more "
        r"than one standard error \([\d.]+ over 17 blocks\)$",
        reason,
    )
    best = max(plain.trials.values(), key=lambda one: one[1])
    assert plain.kept[:2] == ("hist_gradient_boosting", best[0])


@pytest.mark.parametrize(
    "way",
    [in_order, backwards, shuffled, on_another_machine, killed_and_repeated, several_times],
    ids=lambda way: way.__name__,
)
def test_the_same_search_and_model_come_of_it(house, plain, way):
    assert train(house, f"again {way.__name__}", way) == plain


def test_the_same_search_and_model_come_of_two_workers(house, plain, two_workers):
    assert train(house, "two workers", two_workers) == plain


def test_a_trial_that_fails_for_good_fails_alike_in_any_order(house, plain):
    """What follows is drawn without it: another search, and the same each time."""

    def failing(way: Way) -> Way:
        def without(house: House, prepared: Prepared, trials: list[Trial]) -> list[TrialDone]:
            return way(house, prepared, [trial for trial in trials if trial.number != 2])

        return without

    here = train(house, "failing, in order", failing(in_order))
    there = train(house, "failing, backwards", failing(backwards))
    assert here == there
    assert here.trials["hist_gradient_boosting", 2][1] is None
    assert here.trials != plain.trials


def test_another_seed_is_another_search(house, plain):
    """The oracle: were nothing drawn, every comparison above would hold."""
    use_case = house.use_case
    try:
        tuning = {"trials": 7, "random_state": 1000}
        house.use_case = tiny_use_case(
            train={**TINY["train"], "candidates": CANDIDATES, "tuning": tuning}
        )
        other = train(house, "another seed", in_order)
    finally:
        house.use_case = use_case
    assert other.trials.keys() == plain.trials.keys()
    assert other.trials != plain.trials
