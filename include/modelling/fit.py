"""Fits one configuration, for trainings, the gate and refits: equal rows give equal models."""

from __future__ import annotations

import os
from typing import Any

import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.algorithms import Params
from include.modelling.estimators import check_rows, dummy, linear, make
from include.modelling.training_set import wide
from include.modelling.weights import fit_weight
from include.use_cases.schema import UseCase

Floats = npt.NDArray[Any]


def fit(
    use_case: UseCase,
    candidate: str,
    params: Params,
    X: pd.DataFrame,
    y: pd.Series[Any] | None,
    max_threads: int | None = None,
    *,
    weight: Floats | None = None,
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
    weight : ndarray of shape (n_rows,), optional
        How much each row counts (`train.sample_weight`); its class counts besides.

    Raises
    ------
    DataContractError
        There are fewer rows than the estimator needs.
    """
    check_rows(use_case, candidate, params, len(X))
    estimator = make(use_case, candidate, params, use_case.train.tuning.random_state)
    with threadpool_limits(max_threads or threads()):
        return _fitted(estimator, wide(X), y, fit_weight(use_case, y, weight))


def fit_baselines(
    use_case: UseCase, X: pd.DataFrame, y: pd.Series[Any] | None, weight: Floats | None = None
) -> dict[str, Any]:
    """Fit what a model has to beat: `dummy` and `linear`; parameters are those of `fit`.

    The weights of classes count for the linear model, as for the candidates, and not for the dummy:
    it says what the metric is worth without a model, and the metric does not know them.
    """
    wide_X, pipeline = wide(X), linear(use_case)
    with threadpool_limits(threads()):
        # The dummy of a clustering takes no weights, not even None.
        given = {} if weight is None else {"sample_weight": weight}
        return {
            "dummy": dummy(use_case).fit(wide_X, y, **given),
            "linear": _fitted(pipeline, wide_X, y, fit_weight(use_case, y, weight)),
        }


def _fitted(
    pipeline: Pipeline, X: pd.DataFrame, y: pd.Series[Any] | None, weight: Floats | None
) -> Pipeline:
    given = {} if weight is None else {"estimate__sample_weight": weight}
    return pipeline.fit(X, y, **given)


def threads() -> int:
    """Return how many threads a fit may use: OMP_NUM_THREADS, or one.

    Trials run side by side, one to a core: with a thread for each core in each of them, gradient
    boosting's threads wait for each other and a trial takes several times as long.
    """
    return int(os.environ.get("OMP_NUM_THREADS", "1"))
