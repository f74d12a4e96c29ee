"""Trainings of the synthetic use case, as the Dag runs them."""

from __future__ import annotations

from include.modelling.search import Trial, TrialDone, draw, search
from include.train_tune.finish import Trained, finish
from include.train_tune.prepare import Prepared, prepare
from include.train_tune.trial import run_trial
from tests.support.houses import House


def trial_of(house: House, candidate: str = "logistic_regression", number: int = 0) -> Trial:
    """Return a trial of the first round."""
    found = {(one.candidate, one.number): one for one in draw(house.use_case, 1)}
    return found[candidate, number]


def run(house: House, prepared: Prepared, trial: Trial) -> TrialDone:
    """Run one trial."""
    return run_trial(house.use_case.name, prepared, trial, house.lake, house.registry)


def searched(house: House, prepared: Prepared) -> list[TrialDone]:
    """Run all trials, one after the other."""
    return search(house.use_case, lambda trial: run(house, prepared, trial))


def finished(house: House, prepared: Prepared, done: list[TrialDone]) -> Trained:
    """Make a challenger of these trials."""
    return finish(house.use_case.name, prepared, done, house.lake, house.registry, house.work)


def train(
    house: House, as_of: str = "2024-02", request: str = "run-1", *, linear_only: bool = False
) -> Trained:
    """Train once.

    Parameters
    ----------
    house : House
        With features and labels up to `as_of`.
    as_of, request : str
        As `prepare` takes them.
    linear_only : bool
        Run the trials of the logistic regression alone, which takes a third of the time.
    """
    prepared = prepare(house.use_case, as_of, house.lake, house.registry, request)
    if not linear_only:
        return finished(house, prepared, searched(house, prepared))
    trials = [trial_of(house, number=number) for number in (0, 1)]
    return finished(house, prepared, [run(house, prepared, trial) for trial in trials])
