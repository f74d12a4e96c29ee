"""What a configuration answers on rows that it has not learned, fold after fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.modelling.estimators import Params
from include.modelling.fit import fit
from include.modelling.folds import time_folds
from include.modelling.metrics import Judged, judged, metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, wide
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The answers of one configuration on all folds.

    Attributes
    ----------
    values : list of float
        The metric on each fold, NaN where it is not defined.
    scores : ndarray of shape (rows,)
        Score of each judged row, fold after fold. For clustering the row's own value of the metric
        (its silhouette), because clusters of different fits have nothing to do with each other; NaN
        where the metric is no mean over rows.
    """

    values: list[float]
    scores: Floats


def out_of_fold(
    use_case: UseCase, candidate: str, params: Params, training: TrainingSet
) -> OutOfFold:
    """Fit a configuration on the rows before each fold, and score the fold."""
    metric, y = metric_of(use_case), training.train_y
    values, scores = [], []
    for learn, rows, _ in _folds(use_case, training):
        estimator = fit(use_case, candidate, params, training.train_X.iloc[learn], _at(y, learn))
        score = score_rows(estimator, rows.X, use_case)
        values.append(metric.compute(rows.truth, score))
        if use_case.task == "clustering":
            undefined = np.full(len(score), np.nan)
            score = undefined if metric.per_row is None else metric.per_row(rows.truth, score)
        scores.append(score)
    return OutOfFold(values, np.concatenate(scores))


def judged_rows(use_case: UseCase, training: TrainingSet) -> tuple[Floats, Positions]:
    """Return the rows that `OutOfFold.scores` are of.

    Returns
    -------
    truth : ndarray
        As in `Judged`, fold after fold.
    positions : ndarray of shape (rows,)
        Their places among the training rows.
    """
    folds = [(rows.truth, positions) for _, rows, positions in _folds(use_case, training)]
    truths, positions = zip(*folds, strict=True)
    return np.concatenate(truths), np.concatenate(positions)


def _folds(
    use_case: UseCase, training: TrainingSet
) -> Iterator[tuple[Positions, Judged, Positions]]:
    """Yield of each fold where it learns, the rows that it is judged on, and their places."""
    for learn, judge in time_folds(training.train_times, use_case.train.split.folds):
        X = wide(training.train_X.iloc[judge]).set_axis(judge, axis=0)
        rows = judged(use_case, X, _at(training.train_y, judge))
        yield learn, rows, rows.X.index.to_numpy()


def _at(y: pd.Series[Any] | None, positions: Positions) -> pd.Series[Any] | None:
    return None if y is None else y.iloc[positions]
