"""The search for a configuration, in rounds: the same results give the same proposals.

Round 1 is fixed points and random draws. Each later round is drawn at once, from the results of all
rounds before it, told in the order of their numbers; a draw is seeded by the number of its trial.
So neither the order in which trials end, nor how many run at once, nor a trial that is run again
changes what is tried. (Optuna's TPE: Bergstra, Bardenet, Bengio & Kegl, NeurIPS 24, 2011. Drawing
several at once, each as if the others had gone badly: the constant liar of Ginsbourger, Le Riche &
Carraro, 2010.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from include.algorithms import Params
from include.errors import ConfigError
from include.modelling.estimators import LINEAR, fixed_trials, suggest
from include.modelling.metrics import metric_of
from include.modelling.rounds import ROUNDS, rounds_of
from include.use_cases.schema import Candidate, UseCase


@dataclass(frozen=True)
class Trial:
    """One configuration to be tried.

    Attributes
    ----------
    candidate : str
        Which estimator.
    number : int
        Which of its trials, from 0.
    params : dict
        The configuration.
    """

    candidate: str
    number: int
    params: Params


@dataclass(frozen=True)
class TrialDone:
    """A trial that has ended, and its result.

    Attributes
    ----------
    candidate, number, params
        As in `Trial`.
    value : float or None
        Mean of the metric over the folds; None where the trial failed, or the metric was not
        defined, such as for a clustering that found one cluster.
    """

    candidate: str
    number: int
    params: Params
    value: float | None


def draw(use_case: UseCase, round_number: int, told: Sequence[TrialDone] = ()) -> list[Trial]:
    """Draw the trials of a round, for all candidates.

    Parameters
    ----------
    use_case : UseCase
        Gives the candidates, how many trials each has, the sampler and the seed.
    round_number : int
        From 1 to `include.modelling.rounds.ROUNDS`.
    told : sequence of TrialDone
        All trials of the rounds before, in any order, those that failed included.

    Returns
    -------
    list of Trial
        Empty where the search has no such round. The first round begins with the linear baseline,
        unless the use case lists that estimator as a candidate.

    Raises
    ------
    ConfigError
        If trials of an earlier round are missing: what is drawn would be another search.
    """
    tuning = use_case.train.tuning
    numbers = rounds_of(tuning.trials)[round_number - 1]
    trials = _baseline(use_case) if round_number == 1 else []
    for space in use_case.train.candidates:
        of_space = sorted(
            (one for one in told if one.candidate == space.estimator), key=lambda one: one.number
        )
        if [one.number for one in of_space] != list(range(numbers.start)):
            raise ConfigError(
                f"{use_case.name}: round {round_number} is drawn from trials 0 to "
                f"{numbers.start - 1} of {space.estimator}, got "
                f"{[one.number for one in of_space]}. Tell each of them once, the failed ones too."
            )
        study = _study(use_case, space, of_space)
        fixed = fixed_trials(space, tuning.trials)
        for number in numbers:
            params = (
                fixed[number]
                if number < len(fixed)
                else _drawn(study, space, _sampler(use_case, round_number, number))
            )
            trials.append(Trial(space.estimator, number, params))
    return trials


def search(use_case: UseCase, run: Callable[[Trial], TrialDone]) -> list[TrialDone]:
    """Run a whole search in this process, one trial after the other."""
    done: list[TrialDone] = []
    for round_number in range(1, ROUNDS + 1):
        done += [run(trial) for trial in draw(use_case, round_number, done)]
    return done


def with_failed(drawn: Sequence[Trial], done: Sequence[TrialDone]) -> list[TrialDone]:
    """Return the results, and a failed one for each trial that was drawn and has none."""
    results = {(one.candidate, one.number): one for one in done}
    missing = [
        TrialDone(one.candidate, one.number, one.params, None)
        for one in drawn
        if (one.candidate, one.number) not in results
    ]
    return [*done, *missing]


def planned(use_case: UseCase) -> int:
    """Return how many trials a search has in all its rounds."""
    train = use_case.train
    return len(_baseline(use_case)) + len(train.candidates) * train.tuning.trials


def simplest_first(use_case: UseCase) -> list[str]:
    """Return the names of what is tried, in the order in which they are listed: simplest first.

    The linear baseline comes before the candidates where it is none of them.
    """
    listed = [space.estimator for space in use_case.train.candidates]
    return [*(trial.candidate for trial in _baseline(use_case)), *listed]


def _baseline(use_case: UseCase) -> list[Trial]:
    name, params = LINEAR[use_case.task]
    listed = {space.estimator for space in use_case.train.candidates}
    return [] if name in listed else [Trial(name, 0, dict(params))]


def _study(use_case: UseCase, space: Candidate, told: Sequence[TrialDone]) -> optuna.Study:
    """Make a study in memory that knows these results."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = "maximize" if metric_of(use_case).greater_is_better else "minimize"
    study = optuna.create_study(direction=better)
    for one in told:
        searched = _searched(space, one.params)
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.FAIL if one.value is None else TrialState.COMPLETE,
                value=one.value,
                params={name: one.params[name] for name in searched},
                distributions=searched,
            )
        )
    return study


def _searched(space: Candidate, params: Params) -> dict[str, BaseDistribution]:
    """Return the distribution of each parameter that is searched; fixed ones have none."""
    trial = optuna.trial.FixedTrial(dict(params))
    suggest(trial, space)
    return dict(trial.distributions)


def _drawn(study: optuna.Study, space: Candidate, sampler: optuna.samplers.BaseSampler) -> Params:
    """Draw one configuration; the study keeps it as running, which the constant liar needs."""
    study.sampler = sampler
    return suggest(study.ask(), space)


def _sampler(use_case: UseCase, round_number: int, number: int) -> optuna.samplers.BaseSampler:
    tuning = use_case.train.tuning
    seed = tuning.random_state + number
    if round_number == 1 or tuning.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # With fewer results than a third of all trials, because some failed, TPE draws at random.
    start = max(2, tuning.trials // ROUNDS)
    with warnings.catch_warnings():
        # "Experimental" since 2.8 of 2021; it would be said once for each trial.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(n_startup_trials=start, seed=seed, constant_liar=True)
