"""A training in memory: search, choice and fits of the phase `train_tune`, without its services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.algorithms import Params
from include.modelling.fit import fit
from include.modelling.metrics import metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet
from include.modelling.tuning import fit_and_compare, tune
from include.modelling.uncertainty import Estimate, estimate
from include.replay.known import Known
from include.use_cases.schema import UseCase


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
    chosen = tune(use_case, training).trial
    candidate, params = chosen.candidate, chosen.params
    compared = fit_and_compare(use_case, candidate, params, training)
    evaluated = compared.estimator

    def serve() -> Pipeline:
        if not use_case.deploy.refit:
            return evaluated
        rows = known.known_rows()
        return fit(use_case, candidate, params, rows.X, rows.y, weight=rows.learning_weight)

    return Learned(
        as_of=known.moment,
        candidate=candidate,
        params=params,
        evaluated=evaluated,
        serve=serve,
        values=compared.values,
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
    sure = truth, score, training.holdout_blocks, training.holdout_weight
    return estimate(metric_of(use_case), *sure)
