"""Optuna studies: one per candidate of a training, shared by parallel trials through a database."""

from __future__ import annotations

import logging
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from include.errors import ServiceUnavailable
from include.modelling.estimators import Params, fixed_trials, suggest
from include.modelling.metrics import metric_of
from include.use_cases.schema import Candidate, UseCase

NUMBER = "number"  # our own: Optuna's counts a trial that was done again twice
PARAMS = "params"  # with the fixed ones, which Optuna does not know

_TRIES = 8
_log = logging.getLogger(__name__)


@contextmanager
def opened(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """Open a database of studies; its tables are made if missing.

    Processes that find it empty at the same time trip over each other's tables (Optuna takes no
    lock): they try again, and then find them.
    """
    storage = _connected(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _connected(url: str) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # SQLite gives up on a locked file after 5 s by default: less than a busy machine may need.
    waiting = (
        {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    )
    for attempt in range(1, _TRIES + 1):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=waiting)
        except (SQLAlchemyError, AssertionError, RuntimeError) as error:
            if attempt == _TRIES:
                raise ServiceUnavailable(
                    f"Optuna's storage must open within {_TRIES} tries, got: {error}. "
                    "Check that FLYWHEEL_OPTUNA_STORAGE names a database that runs and is writable."
                ) from error
            _log.info("Optuna's storage was not ready (try %d): %s", attempt, error)
            time.sleep(random.uniform(0.05, 0.25) * attempt)  # noqa: S311  apart, not secret
    raise AssertionError("unreachable")


def open_study(
    storage: optuna.storages.RDBStorage,
    use_case: UseCase,
    run_id: str,
    space: Candidate,
    number: int = 0,
) -> optuna.Study:
    """Open the study of one candidate in one training; it is made if missing.

    Parameters
    ----------
    storage : RDBStorage
        As `opened` gives it.
    use_case : UseCase
        Gives the direction and the sampler.
    run_id : str
        The training's MLflow run.
    space : Candidate
        What is searched.
    number : int
        The trial that will be asked for. Trial 0 takes the middle of every range; a space of no
        more points than trials is walked through; each other trial draws with a seed of its own,
        or parallel ones would draw alike.
    """
    tuning = use_case.train.tuning
    seed = tuning.random_state + number
    sampler: optuna.samplers.BaseSampler
    fixed = fixed_trials(space, tuning.trials)
    if number < len(fixed):
        with warnings.catch_warnings():
            # "Experimental" since 2.4 of 2020; it would be said once for each trial.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.PartialFixedSampler(
                dict(fixed[number]), optuna.samplers.RandomSampler(seed=seed)
            )
    elif tuning.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        # The first third explores. Running trials count as bad ones, so parallel ones spread out.
        start = max(2, tuning.trials // 3)
        sampler = optuna.samplers.TPESampler(n_startup_trials=start, seed=seed, constant_liar=True)
    return optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=f"{use_case.name}-{run_id}-{space.estimator}",
        direction="maximize" if metric_of(use_case).greater_is_better else "minimize",
        load_if_exists=True,
    )


def completed(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial | None:
    """Return the completed trial of that number, None if there is none.

    One that still runs is of a process that was killed, and is marked failed: a number is tried by
    one process at a time. Should the killed one live on, it cannot finish the trial any more.
    """
    for trial in study.get_trials(deepcopy=False):
        if trial.user_attrs.get(NUMBER) != number:
            continue
        if trial.state == TrialState.COMPLETE:
            return trial
        if trial.state == TrialState.RUNNING:
            _log.warning(
                "%s: trial %d was left running; it is done again", study.study_name, number
            )
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    return None


def begin(study: optuna.Study, space: Candidate, number: int) -> optuna.Trial:
    """Start a trial; one that was started before and did not end has the same parameters again.

    A killed trial would otherwise draw anew: the sampler has seen other trials by then, and a
    training would depend on what was killed.
    """
    before = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.user_attrs.get(NUMBER) == number and PARAMS in trial.user_attrs
    ]
    if before:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.PartialFixedSampler(before[0].params, study.sampler)
    trial = study.ask()
    trial.set_user_attr(NUMBER, number)
    trial.set_user_attr(PARAMS, suggest(trial, space))
    return trial


def count_completed(study: optuna.Study) -> int:
    """Count the completed trials."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def best(study: optuna.Study) -> tuple[float, Params] | None:
    """Return value and parameters of the best completed trial; of equals, the lowest number."""
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    ranked = sorted(
        (sign * trial.values[0], trial.user_attrs[NUMBER], trial.number) for trial in done
    )
    if not ranked:
        return None
    chosen = next(trial for trial in done if trial.number == ranked[0][2])
    return chosen.values[0], chosen.user_attrs[PARAMS]
