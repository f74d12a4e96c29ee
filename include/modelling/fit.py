"""Fits one configuration, for trainings, the gate and refits: equal rows give equal models."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.modelling.estimators import Params, make
from include.modelling.training_set import wide
from include.use_cases.schema import UseCase


def fit(
    use_case: UseCase,
    candidate: str,
    params: Params,
    X: pd.DataFrame,
    y: pd.Series[Any] | None,
    max_threads: int | None = None,
) -> Pipeline:
    """Fit a candidate with its parameters, seeded by ``train.tuning.random_state``.

    Parameters
    ----------
    use_case : UseCase
        Says the task and the columns.
    candidate : str
        The estimator's name, as in ``train.candidates``.
    params : dict
        Its configuration.
    X : DataFrame of shape (n_rows, n_features)
        Features, as wide as a request's or as `narrow` made them.
    y : Series of shape (n_rows,) or None
        Labels; None for clustering.
    max_threads : int, optional
        How many threads the fit may use, `threads()` by default. The number decides the order in
        which sums are taken, and so their last bits.
    """
    estimator = make(use_case, candidate, params, use_case.train.tuning.random_state)
    with threadpool_limits(max_threads or threads()):
        return estimator.fit(wide(X), y)


def threads() -> int:
    """Return how many threads a fit may use: OMP_NUM_THREADS, or one.

    Trials run side by side, one to a core: with a thread for each core in each of them, gradient
    boosting's threads wait for each other and a trial takes several times as long.
    """
    return int(os.environ.get("OMP_NUM_THREADS", "1"))
