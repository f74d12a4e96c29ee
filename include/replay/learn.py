"""A training in memory: search, choice and fits of the phase `train_tune`, without its services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from include.errors import DataContractError
from include.modelling.choice import choose
from include.modelling.estimators import Params, dummy, linear
from include.modelling.fit import fit
from include.modelling.metrics import evaluate, metric_of
from include.modelling.out_of_fold import judged_rows, out_of_fold
from include.modelling.scoring import score_rows
from include.modelling.search import Trial, TrialDone, search
from include.modelling.training_set import TrainingSet, wide
from include.modelling.uncertainty import Estimate, estimate
from include.replay.known import Known
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
    holdout_estimate : Estimate or None
        The metric on the holdout, with what chance may have done; None for clustering.
    learned_until : str
        The newest that what serves has learned: the last one, or without a refit the last one
        before the holdout.
    """

    as_of: str
    candidate: str
    params: Params
    evaluated: Pipeline
    serve: Callable[[], Pipeline]
    values: dict[str, dict[str, float]]
    holdout_X: pd.DataFrame  # noqa: N815  scikit-learn's name
    partitions: list[str]
    holdout_estimate: Estimate | None
    learned_until: str

    @cached_property
    def estimator(self) -> Pipeline:
        """What serves after a promotion."""
        return self.serve()

    @property
    def known_up_to(self) -> str:
        """The newest partition that it was trained or judged on."""
        return self.partitions[-1]


def learn(known: Known, training: TrainingSet) -> Learned:
    """Train as the phase `train_tune` does, and refit as `deploy` does.

    Parameters
    ----------
    known : Known
        The moment, and what is known then; its use case gives candidates, trials and seeds.
    training : TrainingSet
        What `known.training_set` gives.

    Raises
    ------
    DataContractError
        No trial completed, or a metric is not defined on the holdout.
    """
    use_case = known.history.use_case
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
        rows = known.known_rows()
        return fit(use_case, candidate, params, rows.X, rows.y)

    return Learned(
        as_of=known.moment,
        candidate=candidate,
        params=params,
        evaluated=evaluated,
        serve=serve,
        values=values,
        holdout_X=training.holdout_X,
        partitions=training.partitions,
        holdout_estimate=_holdout_estimate(use_case, evaluated, training),
        learned_until=(
            training.partitions[-1] if use_case.deploy.refit else training.learned_from[-1]
        ),
    )


def _holdout_estimate(
    use_case: UseCase, evaluated: Pipeline, training: TrainingSet
) -> Estimate | None:
    if training.holdout_y is None:
        return None
    truth = training.holdout_y.to_numpy(dtype=np.float64)
    score = score_rows(evaluated, training.holdout_X, use_case)
    return estimate(metric_of(use_case), truth, score, training.holdout_blocks)


def _configuration(use_case: UseCase, training: TrainingSet) -> tuple[str, Params]:
    scores: dict[tuple[str, int], Floats] = {}

    def run(trial: Trial) -> TrialDone:
        found = out_of_fold(use_case, trial.candidate, trial.params, training)
        scores[trial.candidate, trial.number] = found.scores
        return TrialDone(trial.candidate, trial.number, trial.params, found.mean)

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
