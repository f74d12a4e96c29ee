"""Makes the algorithms of `include.algorithms`, each behind the preprocessing it needs.

Every pipeline takes the frame `build_features` gives: float64 columns (NaN where missing), then
strings.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from include.algorithms import ALGORITHMS, Algorithm, Params, Preparation, Span, Task, WholeSpan
from include.algorithms._empty_columns import EmptyColumns
from include.errors import ConfigError, DataContractError
from include.use_cases.own_code import is_own, load_own
from include.use_cases.schema import Candidate, UseCase

if TYPE_CHECKING:
    import numpy.typing as npt
    import optuna
    import pandas as pd

MAX_CATEGORIES = 250
"""Columns a category is one-hot encoded to; rarer values share the last one."""

LINEAR: dict[Task, tuple[str, Params]] = {
    "classification": ("logistic_regression", {"C": 1.0}),
    "regression": ("ridge", {"alpha": 1.0}),
    "clustering": ("kmeans", {"n_clusters": 2}),
}
"""The linear baseline of each task, as scikit-learn has it: estimator and parameters."""


class RandomClusters(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Assign rows to clusters by chance: what any clustering has to beat.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed; the same rows get the same clusters.
    """

    def __init__(self, n_clusters: int = 2, random_state: int = 0) -> None:
        self.n_clusters = n_clusters
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: object = None) -> RandomClusters:
        """Learn nothing."""
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Draw a cluster for each row of `X`."""
        return np.random.default_rng(self.random_state).integers(0, self.n_clusters, len(X))


def _scaled(use_case: UseCase, *, sparse: bool) -> ColumnTransformer:
    """Impute and scale numbers, one-hot encode categories: for linear models and distances."""
    numbers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=sparse
    )
    return ColumnTransformer(
        [
            ("numeric", numbers, use_case.features.numeric),
            ("categorical", categories, use_case.features.categorical),
        ]
    )


def _preparation(kind: Preparation, use_case: UseCase, random_state: int) -> Any:
    if kind == "target_encoded":
        return _target_encoded(use_case, random_state)
    if kind == "scaled":
        return _scaled(use_case, sparse=use_case.task != "clustering")
    return "passthrough"


def _target_encoded(use_case: UseCase, random_state: int) -> ColumnTransformer:
    """Leave numbers and replace a category by its shrunk mean label: for trees.

    Trees handle missing numbers themselves. HistGradientBoosting's own handling of categories would
    put `functools.partial` into the model file, which should not be trusted.
    """
    classification = use_case.task == "classification"
    folds = StratifiedKFold if classification else KFold
    kind = "binary" if classification else "continuous"
    if use_case.class_names:
        kind = "auto"  # 'multiclass' would fail on a fold in which only two of the classes stand
    categories = TargetEncoder(
        target_type=kind,
        cv=folds(5, shuffle=True, random_state=random_state),
    )
    return ColumnTransformer(
        [
            ("numeric", EmptyColumns(), use_case.features.numeric),
            ("categorical", categories, use_case.features.categorical),
        ]
    )


def _algorithm(use_case: UseCase, name: str) -> Algorithm | type[Algorithm]:
    """Return one of Flywheel's, or the candidate that names an estimator of the use case's own."""
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    for space in use_case.train.candidates:
        if space.estimator == name:
            return space
    raise ConfigError(
        f"{use_case.name}: estimator {name!r} is not known. Choose one of {list(ALGORITHMS)}."
    )


def _own(use_case: UseCase, name: str, params: Mapping[str, Any], random_state: int) -> Any:
    """Make an estimator of the use case's own; it is seeded if it takes `random_state`."""
    kind = load_own(use_case.python, name)
    try:
        takes = inspect.signature(kind).parameters
        seed = {"random_state": random_state} if "random_state" in takes else {}
        return kind(**{**seed, **params})
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{use_case.name}: {name} cannot be made with {dict(params)}, got {error}. Correct "
            "params in the YAML, or its __init__."
        ) from error


def make(
    use_case: UseCase, name: str, params: Mapping[str, float | int], random_state: int = 0
) -> Pipeline:
    """Make an unfitted pipeline of preprocessing and estimator.

    Parameters
    ----------
    use_case : UseCase
        Gives the task and the feature columns.
    name : str
        The candidate's `estimator`, such as ``'ridge'``.
    params : mapping of str to number
        Hyperparameters, as `defaults` or `suggest` give them.
    random_state : int
        Seed of everything random in it.

    Returns
    -------
    Pipeline
        Steps ``prepare`` and ``estimate``.
    """
    algorithm = _algorithm(use_case, name)
    if is_own(name):
        estimator = _own(use_case, name, params, random_state)
    else:
        estimator = algorithm.make(use_case.task, params, random_state)
        if use_case.train.metric == "mae":
            # The squared error is smallest at the mean: of skewed labels far from the median.
            estimator.set_params(**algorithm.for_the_median)
    return Pipeline(
        [
            ("prepare", _preparation(algorithm.prepare, use_case, random_state)),
            ("estimate", estimator),
        ]
    )


def check_rows(use_case: UseCase, name: str, params: Params, rows: int) -> None:
    """Refuse to fit on fewer rows than an estimator needs with these parameters.

    Raises
    ------
    DataContractError
        There are fewer.
    """
    needed = _algorithm(use_case, name).fewest_rows(params)
    if rows < needed:
        raise DataContractError(
            f"{use_case.name}: {name} with {dict(params)} needs at least {needed} rows, got "
            f"{rows}. Train on more, or lower its range in train.candidates."
        )


def dummy(use_case: UseCase) -> Any:
    """Return the baseline that ignores the features: the prior, the median or mean, or chance."""
    if use_case.task == "classification":
        return DummyClassifier(strategy="prior")
    if use_case.task == "regression":
        return DummyRegressor(strategy="median" if use_case.train.metric == "mae" else "mean")
    return RandomClusters()


def linear(use_case: UseCase) -> Pipeline:
    """Return the simple baseline: logistic or ridge regression as they come, or two k-means."""
    name, params = LINEAR[use_case.task]
    return make(use_case, name, params)


def _middle(span: Span) -> float | int:
    middle = math.sqrt(span.low * span.high) if span.log else (span.low + span.high) / 2
    return round(middle) if isinstance(span, WholeSpan) else middle


def defaults(space: Candidate) -> Params:
    """Return the middle of each range (geometric where the range is logarithmic): the first trial.

    Examples
    --------
    >>> from include.algorithms.kmeans import KMeans
    >>> from include.algorithms.ridge import Ridge
    >>> defaults(KMeans(estimator="kmeans"))
    {'n_clusters': 5}
    >>> defaults(Ridge(estimator="ridge", alpha={"low": 0.01, "high": 100, "log": True}))
    {'alpha': 1.0}
    """
    return {
        name: _middle(value) if isinstance(value, Span) else value
        for name, value in space.space.items()
    }


def fixed_trials(space: Candidate, trials: int) -> list[Params]:
    """Return what is tried whatever the sampler thinks: the middle of each range first.

    A space of whole numbers that has no more points than there are trials is walked through whole.

    Parameters
    ----------
    space : Candidate
        What is searched.
    trials : int
        How many trials there are.

    Examples
    --------
    >>> from include.algorithms.kmeans import KMeans
    >>> fixed_trials(KMeans(estimator="kmeans", n_clusters={"low": 2, "high": 4}), trials=3)
    [{'n_clusters': 3}, {'n_clusters': 2}, {'n_clusters': 4}]
    """
    middle = defaults(space)
    ranges: dict[str, list[float | int]] = {}
    for name, value in space.space.items():
        if not isinstance(value, Span):
            ranges[name] = [value]
        elif isinstance(value, WholeSpan):
            ranges[name] = list(range(int(value.low), int(value.high) + 1))
        else:
            return [middle]
    if math.prod(map(len, ranges.values())) > trials:
        return [middle]
    points = [dict(zip(ranges, point, strict=True)) for point in product(*ranges.values())]
    return [middle, *(point for point in points if point != middle)]


def suggest(trial: optuna.Trial, space: Candidate) -> Params:
    """Let an Optuna trial choose a value within each range; fixed values stay."""
    params: Params = {}
    for name, value in space.space.items():
        if not isinstance(value, Span):
            params[name] = value
        elif isinstance(value, WholeSpan):
            params[name] = trial.suggest_int(name, int(value.low), int(value.high), log=value.log)
        else:
            params[name] = trial.suggest_float(name, value.low, value.high, log=value.log)
    return params
