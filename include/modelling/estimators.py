"""The estimators a use case can choose from, each behind the preprocessing it needs.

Every pipeline takes the frame `build_features` gives: float64 columns (NaN where missing), then
strings. Only scikit-learn classes are used, so a saved model loads with the constant list of
`include.registry.trusted`. Nothing here starts workers of its own: parallel trials are the
parallelism.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from include.errors import ConfigError
from include.use_cases.schema import Candidate, Span, Task, UseCase

if TYPE_CHECKING:
    import numpy.typing as npt
    import optuna
    import pandas as pd

Params = dict[str, float | int]

MAX_CATEGORIES = 250
"""Columns a category is one-hot encoded to; rarer values share the last one."""

LINEAR: dict[Task, tuple[str, Params]] = {
    "classification": ("logistic_regression", {"C": 1.0}),
    "regression": ("ridge", {"alpha": 1.0}),
    "clustering": ("kmeans", {"n_clusters": 2}),
}
"""The linear baseline of each task, as scikit-learn has it: estimator and parameters."""

_INTEGERS = frozenset({"max_leaf_nodes", "min_samples_leaf", "n_clusters", "n_components"})
_TREES = frozenset({"hist_gradient_boosting", "random_forest"})


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


def _distances(use_case: UseCase, *, sparse: bool) -> ColumnTransformer:
    """Impute and scale numbers, one-hot encode categories: for what sees distances or weights."""
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


def _rates(use_case: UseCase, random_state: int) -> ColumnTransformer:
    """Leave numbers and replace a category by its shrunk mean label: for trees.

    Trees sort missing numbers themselves. HistGradientBoosting's own handling of categories would
    put `functools.partial` into the model file, and that is nothing to trust.
    """
    classification = use_case.task == "classification"
    folds = StratifiedKFold if classification else KFold
    categories = TargetEncoder(
        target_type="binary" if classification else "continuous",
        cv=folds(5, shuffle=True, random_state=random_state),
    )
    return ColumnTransformer(
        [
            ("numeric", "passthrough", use_case.features.numeric),
            ("categorical", categories, use_case.features.categorical),
        ]
    )


def _estimator(use_case: UseCase, name: str, params: Mapping[str, Any], random_state: int) -> Any:
    classification = use_case.task == "classification"
    if name == "logistic_regression":
        return LogisticRegression(max_iter=300, random_state=random_state, **params)
    if name == "ridge":
        return Ridge(random_state=random_state, **params)
    if name == "kmeans":
        return KMeans(n_init=5, random_state=random_state, **params)
    if name == "gaussian_mixture":
        # Keeps covariances invertible where a one-hot column is constant within a cluster.
        return GaussianMixture(reg_covar=1e-3, random_state=random_state, **params)
    if name == "random_forest":
        forest = RandomForestClassifier if classification else RandomForestRegressor
        return forest(n_jobs=1, random_state=random_state, **params)
    if name == "hist_gradient_boosting":
        boosting = (
            HistGradientBoostingClassifier if classification else HistGradientBoostingRegressor
        )
        # Early stopping would hold out rows at random, across time; `max_iter` says how long.
        return boosting(
            early_stopping=False,
            categorical_features=None,  # they are numbers by now
            # Rows of one hour share their weather: with every feature in reach at each split, trees
            # learn single days by heart (tried on flight_delays: 0.009 of area under the curve).
            max_features=0.5,
            random_state=random_state,
            **params,
        )
    raise ConfigError(
        f"{use_case.name}: estimator {name!r} is not known. "
        "Choose one of include/use_cases/schema.py:ESTIMATORS."
    )


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
        Steps ``prepare`` and ``estimate``; no class outside scikit-learn.
    """
    estimator = _estimator(use_case, name, params, random_state)
    if name in _TREES:
        prepare = _rates(use_case, random_state)
    else:
        prepare = _distances(use_case, sparse=use_case.task != "clustering")
    return Pipeline([("prepare", prepare), ("estimate", estimator)])


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


def _middle(name: str, span: Span) -> float | int:
    middle = math.sqrt(span.low * span.high) if span.log else (span.low + span.high) / 2
    return round(middle) if name in _INTEGERS else middle


def defaults(space: Candidate) -> Params:
    """Return the middle of each range (geometric where the range is logarithmic): the first trial.

    Examples
    --------
    >>> from include.use_cases.spaces import KMeansSpace, RidgeSpace
    >>> defaults(KMeansSpace(estimator="kmeans"))
    {'n_clusters': 5}
    >>> defaults(RidgeSpace(estimator="ridge", alpha={"low": 0.01, "high": 100, "log": True}))
    {'alpha': 1.0}
    """
    return {
        name: _middle(name, value) if isinstance(value, Span) else value
        for name, value in _fields(space).items()
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
    >>> from include.use_cases.spaces import KMeansSpace
    >>> fixed_trials(KMeansSpace(estimator="kmeans", n_clusters={"low": 2, "high": 4}), trials=3)
    [{'n_clusters': 3}, {'n_clusters': 2}, {'n_clusters': 4}]
    """
    middle = defaults(space)
    ranges: dict[str, list[float | int]] = {}
    for name, value in _fields(space).items():
        if not isinstance(value, Span):
            ranges[name] = [value]
        elif name in _INTEGERS:
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
    for name, value in _fields(space).items():
        if not isinstance(value, Span):
            params[name] = value
        elif name in _INTEGERS:
            params[name] = trial.suggest_int(name, int(value.low), int(value.high), log=value.log)
        else:
            params[name] = trial.suggest_float(name, value.low, value.high, log=value.log)
    return params


def _fields(space: Candidate) -> dict[str, Span | float | int]:
    names = [name for name in type(space).model_fields if name != "estimator"]
    return {name: getattr(space, name) for name in names}
