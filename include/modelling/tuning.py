"""Search, choice and comparison in one process: a training without the phase's services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.algorithms import Params
from include.errors import DataContractError
from include.modelling.choice import Choice, choose
from include.modelling.fit import fit, fit_baselines, threads
from include.modelling.metrics import evaluate
from include.modelling.out_of_fold import judged_rows, out_of_fold
from include.modelling.search import Trial, TrialDone, search
from include.modelling.training_set import TrainingSet, wide
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compared:
    """A fitted model, and the baselines on the same rows.

    Attributes
    ----------
    estimator : fitted estimator
        The configuration, fitted on the training rows.
    values : dict
        All metrics on the holdout, of `model`, `dummy` and `linear`.
    """

    estimator: Any
    values: dict[str, dict[str, float]]


def tune(
    use_case: UseCase,
    training: TrainingSet,
    ended: Callable[[TrialDone], None] = lambda _: None,
) -> Choice:
    """Try all configurations, one after the other, and choose as the phase `train_tune` does.

    Parameters
    ----------
    use_case : UseCase
        Gives candidates, trials, folds and seeds.
    training : TrainingSet
        What is learned from.
    ended : callable, optional
        Is told of each trial when it has ended.

    Raises
    ------
    DataContractError
        No trial completed.
    """
    scores: dict[tuple[str, int], Floats] = {}

    def run(trial: Trial) -> TrialDone:
        found = out_of_fold(use_case, trial.candidate, trial.params, training)
        scores[trial.candidate, trial.number] = found.scores
        done = TrialDone(trial.candidate, trial.number, trial.params, found.mean)
        ended(done)
        return done

    done = [one for one in search(use_case, run) if one.value is not None]
    if not done:
        raise DataContractError(
            f"{use_case.name}: a trial must have completed, none has: {use_case.train.metric} was "
            "not defined on the folds. Take more rows, or fewer folds (train.split.folds)."
        )
    truth, positions = judged_rows(use_case, training)
    return choose(
        use_case,
        done,
        lambda trial: scores[trial.candidate, trial.number],
        truth,
        training.train_blocks[positions],
        None if training.train_weight is None else training.train_weight[positions],
    )


def fit_and_compare(
    use_case: UseCase, candidate: str, params: Params, training: TrainingSet
) -> Compared:
    """Fit a configuration, the dummy and the linear baseline, and judge all on the holdout.

    Raises
    ------
    DataContractError
        A metric is not defined on the holdout.
    """
    X, y, weight = wide(training.train_X), training.train_y, training.train_weight
    estimator = fit(use_case, candidate, params, X, y, weight=weight)
    models = {"model": estimator, **fit_baselines(use_case, X, y, weight)}
    holdout = training.holdout_X, training.holdout_y, training.holdout_weight
    with threadpool_limits(threads()):
        values = {name: evaluate(use_case, model, *holdout) for name, model in models.items()}
    return Compared(estimator, values)
