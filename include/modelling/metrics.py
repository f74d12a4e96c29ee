"""The metrics of each task, and the rows that models are judged on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import DataContractError
from include.modelling import clusters, formulas
from include.modelling.scoring import score_rows
from include.use_cases.schema import Task, UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A number that models are judged by. It keeps its natural sign.

    Attributes
    ----------
    name : str
        As in `train.metric`.
    greater_is_better : bool
        How to read it.
    whole : callable, optional
        ``whole(truth, score, weight)``: the metric over all rows, NaN where it is not defined.
    per_row : callable, optional
        ``per_row(truth, score)``: for a metric that is a mean over rows, what it is the mean of.
        Exactly one of the two is given.
    """

    name: str
    greater_is_better: bool
    whole: Callable[[Floats, Floats, Floats], float] | None = None
    per_row: Callable[[Floats, Floats], Floats] | None = None

    def compute(self, truth: Floats, score: Floats, weight: Floats | None = None) -> float:
        """Return the metric over rows.

        Parameters
        ----------
        truth : ndarray
            What `Judged.truth` holds: true values, or for clustering places in space.
        score : ndarray, shape (rows,)
            What `score_rows` gives.
        weight : ndarray, shape (rows,), optional
            How much each row counts; alike by default.
        """
        weight = np.ones(len(score)) if weight is None else weight
        if self.per_row is not None:
            return float(np.average(self.per_row(truth, score), weights=weight))
        assert self.whole is not None  # noqa: S101  for mypy: one of the two is given
        return self.whole(truth, score, weight)

    @property
    def sign(self) -> int:
        """1 where a greater value is better, -1 where a smaller one is."""
        return 1 if self.greater_is_better else -1

    def gain(self, ours: float, theirs: float) -> float:
        """Return by how much `ours` is better than `theirs`; negative if it is worse.

        Examples
        --------
        >>> METRICS_BY_TASK["regression"]["mae"].gain(2.0, 3.0)
        1.0
        """
        return ours - theirs if self.greater_is_better else theirs - ours


_CLASSIFICATION = (
    Metric("roc_auc", True, whole=formulas.roc_auc),
    Metric("average_precision", True, whole=formulas.average_precision),
    Metric("log_loss", False, per_row=formulas.row_log_loss),
    Metric("f1", True, whole=formulas.f1),
    Metric("accuracy", True, per_row=formulas.row_hit),
)
_REGRESSION = (
    Metric("mae", False, per_row=formulas.row_error),
    Metric("rmse", False, whole=formulas.rmse),
    Metric("r2", True, whole=formulas.r2),
)
_CLUSTERING = (
    Metric("silhouette", True, per_row=clusters.row_silhouette),
    Metric("davies_bouldin", False, whole=clusters.davies_bouldin),
    Metric("calinski_harabasz", True, whole=clusters.calinski_harabasz),
)
METRICS_BY_TASK: dict[Task, dict[str, Metric]] = {
    "classification": {metric.name: metric for metric in _CLASSIFICATION},
    "regression": {metric.name: metric for metric in _REGRESSION},
    "clustering": {metric.name: metric for metric in _CLUSTERING},
}


def metric_of(use_case: UseCase) -> Metric:
    """Return the metric that decides, `train.metric`."""
    return METRICS_BY_TASK[use_case.task][use_case.train.metric]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows that models are judged on, and what their scores are held against.

    Attributes
    ----------
    X : DataFrame
        Features.
    truth : ndarray
        True values, shape (rows,); for clustering the rows' places in space, shape (rows,
        features).
    """

    X: pd.DataFrame
    truth: Floats


def judged(use_case: UseCase, X: pd.DataFrame, y: pd.Series[Any] | None) -> Judged:
    """Choose the rows models are judged on: the same for every model, whatever the process.

    All of them, but for clustering: of these 2,000 at most, drawn with a fixed seed.

    Parameters
    ----------
    use_case : UseCase
        Gives the task.
    X : DataFrame
        Features.
    y : Series or None
        Labels; None for clustering.
    """
    if y is not None:
        return Judged(X, y.to_numpy(dtype=np.float64))
    if len(X) > clusters.MAX_ROWS:
        drawn = np.random.default_rng(0).choice(len(X), clusters.MAX_ROWS, replace=False)
        X = X.iloc[np.sort(drawn)]
    return Judged(X, clusters.space(X, use_case))


def evaluate(
    use_case: UseCase, estimator: Any, X: pd.DataFrame, y: pd.Series[Any] | None
) -> dict[str, float]:
    """Return all metrics of the task.

    Raises
    ------
    DataContractError
        If one is not defined on these rows, such as the area under the curve of a single class.
    """
    rows = judged(use_case, X, y)
    score = score_rows(estimator, rows.X, use_case)
    values = {
        name: metric.compute(rows.truth, score)
        for name, metric in METRICS_BY_TASK[use_case.task].items()
    }
    if undefined := sorted(name for name, value in values.items() if not math.isfinite(value)):
        needed = "both classes" if use_case.task == "classification" else "rows that differ"
        needed = "at least two clusters" if y is None else needed
        raise DataContractError(
            f"{use_case.name}: {undefined} need {needed} among the rows that are judged, "
            f"{len(rows.X)} rows have not. Look at these rows, or take a later as-of partition."
        )
    return values


def by_slice(
    metric: Metric, rows: Judged, score: Floats, columns: Sequence[str], min_rows: int
) -> dict[str, dict[str, float]]:
    """Return the metric within each slice that is large enough and in which it is defined.

    Returns
    -------
    dict
        ``{'origin=JFK': {'rows': 9161, 'value': 0.66}}``
    """
    slices = {}
    for column in columns:
        for value, positions in rows.X.groupby(column, sort=True).indices.items():
            if len(positions) < min_rows:
                continue
            found = metric.compute(rows.truth[positions], score[positions])
            if math.isfinite(found):
                slices[f"{column}={value}"] = {"rows": len(positions), "value": found}
    return slices
