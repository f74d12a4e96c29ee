"""The scores of one configuration on rows that it was not fitted on, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.algorithms import Params
from include.modelling.fit import fit
from include.modelling.folds import group_folds, random_folds, time_folds
from include.modelling.metrics import Judged, judged, metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, wide
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Metric and scores of one configuration on all folds.

    Attributes
    ----------
    values : list of float
        The metric on each fold, NaN where it is not defined.
    scores : ndarray of shape (rows,) or (rows, classes)
        Score of each judged row, fold after fold. For clustering the row's own value of the metric
        (its silhouette), because cluster numbers of different fits are not related; NaN where the
        metric is not a mean over rows.
    """

    values: list[float]
    scores: Floats

    @property
    def mean(self) -> float | None:
        """The mean of `values`; None where the metric is not defined on a fold."""
        mean = float(np.mean(self.values))
        return mean if math.isfinite(mean) else None


def out_of_fold(
    use_case: UseCase, candidate: str, params: Params, training: TrainingSet
) -> OutOfFold:
    """Fit a configuration on the rows that each fold learns from, and score the fold."""
    metric, y = metric_of(use_case), training.train_y
    values, scores = [], []
    for learn, rows, _ in _folds(use_case, training):
        weight = None if training.train_weight is None else training.train_weight[learn]
        X = training.train_X.iloc[learn]
        estimator = fit(use_case, candidate, params, X, _at(y, learn), weight=weight)
        score = score_rows(estimator, rows.X, use_case)
        values.append(metric.compute(rows.truth, score, rows.weight))
        if use_case.task == "clustering":
            undefined = np.full(len(score), np.nan)
            score = undefined if metric.per_row is None else metric.per_row(rows.truth, score)
        scores.append(score)
    return OutOfFold(values, np.concatenate(scores))


def judged_rows(use_case: UseCase, training: TrainingSet) -> tuple[Floats, Positions]:
    """Return truth and positions of the rows that `OutOfFold.scores` belong to, in their order.

    Returns
    -------
    truth : ndarray
        As in `Judged`.
    positions : ndarray of shape (rows,)
        Their positions among the training rows.
    """
    folds = [(rows.truth, positions) for _, rows, positions in _folds(use_case, training)]
    truths, positions = zip(*folds, strict=True)
    return np.concatenate(truths), np.concatenate(positions)


def _folds(
    use_case: UseCase, training: TrainingSet
) -> Iterator[tuple[Positions, Judged, Positions]]:
    """Yield for each fold the positions it learns from, the rows it is judged on, and theirs."""
    for learn, judge in folds_of(use_case, training):
        X = wide(training.train_X.iloc[judge])
        X.index = pd.Index(judge)  # so that rows which `judged` draws can be found again
        weight = None if training.train_weight is None else training.train_weight[judge]
        rows = judged(use_case, X, _at(training.train_y, judge), weight)
        yield learn, rows, rows.X.index.to_numpy()


def folds_of(use_case: UseCase, training: TrainingSet) -> list[tuple[Positions, Positions]]:
    """Cut the training rows as `train.split` says: positions to learn from, and to judge on."""
    split, classes = use_case.train.split, None
    if training.train_times is not None:
        return time_folds(training.train_times, split.folds)
    if use_case.task == "classification":
        classes = training.train_y
    rows, seed = len(training.train_X), use_case.train.tuning.random_state
    if split.group:
        return group_folds(training.train_blocks, classes, split.folds, seed)
    return random_folds(rows, classes, split.folds, seed)


def _at(y: pd.Series[Any] | None, positions: Positions) -> pd.Series[Any] | None:
    return None if y is None else y.iloc[positions]
