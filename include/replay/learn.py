"""A training in memory: the search, the choice and the fits of the wheel, without its services."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from include.errors import DataContractError
from include.modelling.choice import choose
from include.modelling.estimators import Params, dummy, linear
from include.modelling.fit import fit
from include.modelling.metrics import evaluate
from include.modelling.out_of_fold import judged_rows, out_of_fold
from include.modelling.search import Trial, TrialDone, search
from include.modelling.training_set import TrainingSet, wide
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Learned:
    """What a training made.

    Attributes
    ----------
    as_of : str
        The moment of the training; names the model.
    candidate, params : str, dict
        The configuration.
    evaluated : Pipeline
        Fitted on the rows before the holdout.
    serve : callable
        Fits what would serve after a promotion, once.
    values : dict
        Metrics on the holdout of `model`, `dummy` and `linear`.
    holdout_X : DataFrame
        The monitor compares later rows with it.
    partitions : list of str
        All that were used, the holdout included.
    """

    as_of: str
    candidate: str
    params: Params
    evaluated: Pipeline
    serve: Callable[[], Pipeline]
    values: dict[str, dict[str, float]]
    holdout_X: pd.DataFrame  # noqa: N815  scikit-learn's name
    partitions: list[str]

    @cached_property
    def estimator(self) -> Pipeline:
        """What serves after a promotion."""
        return self.serve()

    @property
    def known_up_to(self) -> str:
        """The newest partition that it was trained or judged on."""
        return self.partitions[-1]


def learn(use_case: UseCase, as_of: str, training: TrainingSet) -> Learned:
    """Train as the phase `train_tune` does, and as `deploy` refits.

    Parameters
    ----------
    use_case : UseCase
        Gives candidates, trials and seeds.
    as_of : str
        Names the training.
    training : TrainingSet
        What was known then.

    Raises
    ------
    DataContractError
        No trial completed, or a metric is not defined on the holdout.
    """
    candidate, params = _configuration(use_case, training)
    X, y = training.train_X, training.train_y
    evaluated = fit(use_case, candidate, params, X, y)
    models = {
        "model": evaluated,
        "dummy": dummy(use_case).fit(wide(X), y),
        "linear": linear(use_case).fit(wide(X), y),
    }
    values = {
        name: evaluate(use_case, model, training.holdout_X, training.holdout_y)
        for name, model in models.items()
    }

    def serve() -> Pipeline:
        if not use_case.deploy.refit:
            return evaluated
        return fit(use_case, candidate, params, *with_holdout(use_case, training))

    return Learned(
        as_of=as_of,
        candidate=candidate,
        params=params,
        evaluated=evaluated,
        serve=serve,
        values=values,
        holdout_X=training.holdout_X,
        partitions=training.partitions,
    )


def with_holdout(
    use_case: UseCase, training: TrainingSet
) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Return the newest `train.max_rows` rows, those of the holdout included, in order of time."""
    newest = -use_case.train.max_rows
    X = pd.concat([wide(training.train_X), training.holdout_X], ignore_index=True)
    X = X.astype({name: "str" for name in use_case.features.categorical}).iloc[newest:]
    if training.train_y is None or training.holdout_y is None:
        return X, None
    y = pd.concat([training.train_y, training.holdout_y], ignore_index=True)
    return X, y.iloc[newest:]


def _configuration(use_case: UseCase, training: TrainingSet) -> tuple[str, Params]:
    scores: dict[tuple[str, int], Floats] = {}

    def run(trial: Trial) -> TrialDone:
        found = out_of_fold(use_case, trial.candidate, trial.params, training)
        scores[trial.candidate, trial.number] = found.scores
        mean = float(np.mean(found.values))
        value = mean if math.isfinite(mean) else None
        return TrialDone(trial.candidate, trial.number, trial.params, value)

    done = [one for one in search(use_case, run) if one.value is not None]
    if not done:
        raise DataContractError(
            f"{use_case.name}: a trial must have completed, none has: {use_case.train.metric} was "
            "not defined on the folds. Replay a longer history."
        )
    truth, positions = judged_rows(use_case, training)
    chosen = choose(
        use_case,
        done,
        lambda trial: scores[trial.candidate, trial.number],
        truth,
        training.train_blocks[positions],
    ).trial
    return chosen.candidate, chosen.params
