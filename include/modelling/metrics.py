"""The metrics of each task, and the rows that models are judged on."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import ConfigError, DataContractError
from include.modelling import class_formulas, clusters, formulas
from include.modelling.scoring import score_rows
from include.use_cases.own_code import is_own, load_own
from include.use_cases.python_package import place_of
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
    classes : {'none', 'both', 'each', 'two'}
        Of which classes enough rows are needed before chance can be judged. Of several: of each
        that has rows where each counts alike, of any two where a class counts by its rows.
    """

    name: str
    greater_is_better: bool
    whole: Callable[[Floats, Floats, Floats], float] | None = None
    per_row: Callable[[Floats, Floats], Floats] | None = None
    classes: Literal["none", "both", "each", "two"] = "none"

    def compute(self, truth: Floats, score: Floats, weight: Floats | None = None) -> float:
        """Return the metric over rows.

        Parameters
        ----------
        truth : ndarray
            What `Judged.truth` holds: true values, or for clustering places in space.
        score : ndarray, shape (rows,) or (rows, classes)
            What `score_rows` gives.
        weight : ndarray, shape (rows,), optional
            How much each row counts; alike by default. Where all weigh nothing it is NaN.
        """
        weight = np.ones(len(score)) if weight is None else weight
        if not weight.any():
            return math.nan
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
    Metric("roc_auc", True, whole=formulas.roc_auc, classes="both"),
    Metric("average_precision", True, whole=formulas.average_precision, classes="both"),
    Metric("log_loss", False, per_row=formulas.row_log_loss, classes="both"),
    Metric("f1", True, whole=formulas.f1, classes="both"),
    Metric("accuracy", True, per_row=formulas.row_hit, classes="both"),
)
_SEVERAL_CLASSES = (
    Metric("log_loss", False, per_row=class_formulas.row_log_loss, classes="two"),
    Metric("roc_auc", True, whole=class_formulas.roc_auc, classes="each"),
    Metric("f1_macro", True, whole=class_formulas.f1_macro, classes="each"),
    Metric("f1_weighted", True, whole=class_formulas.f1_weighted, classes="two"),
    Metric("accuracy", True, per_row=class_formulas.row_hit, classes="two"),
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
METRICS_OF_CLASSES = {metric.name: metric for metric in _SEVERAL_CLASSES}
"""Of a classification with three classes or more."""


def metric_of(use_case: UseCase) -> Metric:
    """Return the metric that decides, `train.metric`.

    Raises
    ------
    ConfigError
        It is an own one and cannot be imported.
    """
    name = use_case.train.metric
    return own_metric(use_case) if is_own(name) else _known(use_case)[name]


def metrics_of(use_case: UseCase) -> dict[str, Metric]:
    """Return the metrics that are computed: those of the task, and an own one beside them."""
    decides = metric_of(use_case)
    return {**_known(use_case), decides.name: decides}


def _known(use_case: UseCase) -> dict[str, Metric]:
    return METRICS_OF_CLASSES if use_case.class_names else METRICS_BY_TASK[use_case.task]


def own_metric(use_case: UseCase) -> Metric:
    """Return the metric that is a function of the use case's own package."""
    name = use_case.train.metric
    function = load_own(use_case.python, name)
    takes_weight = "weight" in inspect.signature(function).parameters

    def whole(truth: Floats, score: Floats, weight: Floats) -> float:
        if not takes_weight and len(weight) and np.ptp(weight) > 0:
            raise ConfigError(
                f"{use_case.name}: {name} must take an argument 'weight' to weigh rows, and has "
                "none. Add it, or do not weigh them."
            )
        given = [_read_only(each) for each in ((truth, score, weight)[: 2 + takes_weight])]
        try:
            value = function(*given)
        except (Exception, SystemExit) as error:  # it would end the process without a word
            place = place_of(error) or name
            raise ConfigError(
                f"{place}: {name} failed on {len(score)} rows, got {type(error).__name__}: "
                f"{error}. Correct it; where it is not defined it must return NaN."
            ) from error
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
            raise ConfigError(
                f"{use_case.name}: {name} must return one number, got {type(value).__name__}: "
                f"{value!r}. Return a float, NaN where it is not defined."
            )
        return float(value)

    return Metric(name, bool(use_case.train.greater_is_better), whole=whole)


def _read_only(values: Floats) -> Floats:
    """Return a view that own code cannot change: the rows are judged by other metrics too."""
    view = values.view()
    view.flags.writeable = False
    return view


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
    weight : ndarray of shape (rows,) or None
        How much each row counts (`train.sample_weight`); None where all count alike.
    """

    X: pd.DataFrame
    truth: Floats
    weight: Floats | None = None

    def at(self, positions: npt.NDArray[np.intp]) -> Judged:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[positions]
        return Judged(self.X.iloc[positions], self.truth[positions], weight)


def judged(
    use_case: UseCase, X: pd.DataFrame, y: pd.Series[Any] | None, weight: Floats | None = None
) -> Judged:
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
    weight : ndarray, optional
        How much each row counts.
    """
    if y is not None:
        return Judged(X, y.to_numpy(dtype=np.float64), weight)
    if len(X) > clusters.MAX_ROWS:
        drawn = np.random.default_rng(0).choice(len(X), clusters.MAX_ROWS, replace=False)
        at = np.sort(drawn)
        X, weight = X.iloc[at], None if weight is None else weight[at]
    return Judged(X, clusters.space(X, use_case), weight)


def evaluate(
    use_case: UseCase,
    estimator: Any,
    X: pd.DataFrame,
    y: pd.Series[Any] | None,
    weight: Floats | None = None,
) -> dict[str, float]:
    """Return all metrics of the task.

    Raises
    ------
    DataContractError
        If one is not defined on these rows, such as the area under the curve of a single class.
    """
    rows = judged(use_case, X, y, weight)
    score = score_rows(estimator, rows.X, use_case)
    values = {
        name: metric.compute(rows.truth, score, rows.weight)
        for name, metric in metrics_of(use_case).items()
    }
    if undefined := sorted(name for name, value in values.items() if not math.isfinite(value)):
        needed = "both classes" if use_case.task == "classification" else "rows that differ"
        needed = "at least two classes" if use_case.class_names else needed
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
            some = rows.at(np.asarray(positions, dtype=np.intp))
            found = metric.compute(some.truth, score[positions], some.weight)
            if math.isfinite(found):
                slices[f"{column}={value}"] = {"rows": len(positions), "value": found}
    return slices
