"""The estimators that may be candidates, and the ranges their parameters are searched in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.use_cases.base import Strict

Task = Literal["classification", "regression", "clustering"]


class Span(Strict):
    """A range a hyperparameter is searched in, ends included."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, got {self.low}")
        return self


class LogisticRegressionSpace(Strict):
    """Linear classifier (scikit-learn's LogisticRegression)."""

    estimator: Literal["logistic_regression"]
    C: Span = Span(low=1e-3, high=10.0, log=True)


class RidgeSpace(Strict):
    """Linear regressor (scikit-learn's Ridge)."""

    estimator: Literal["ridge"]
    alpha: Span = Span(low=1e-3, high=100.0, log=True)


class HistGradientBoostingSpace(Strict):
    """Gradient-boosted trees (scikit-learn's HistGradientBoosting*), for both kinds of label."""

    estimator: Literal["hist_gradient_boosting"]
    learning_rate: Span = Span(low=0.03, high=0.3, log=True)
    max_leaf_nodes: Span = Span(low=15, high=63, log=True)
    l2_regularization: Span = Span(low=1e-3, high=10.0, log=True)
    max_iter: Annotated[int, Field(ge=10, le=2000)] = 100


class RandomForestSpace(Strict):
    """Random forests (scikit-learn's RandomForest*), classification or regression."""

    estimator: Literal["random_forest"]
    min_samples_leaf: Span = Span(low=2, high=64, log=True)
    max_features: Span = Span(low=0.2, high=1.0)
    n_estimators: Annotated[int, Field(ge=10, le=2000)] = 100


class KMeansSpace(Strict):
    """K-means clusters (scikit-learn's KMeans)."""

    estimator: Literal["kmeans"]
    n_clusters: Span = Span(low=2, high=8)


class GaussianMixtureSpace(Strict):
    """Gaussian mixtures (scikit-learn's GaussianMixture)."""

    estimator: Literal["gaussian_mixture"]
    n_components: Span = Span(low=2, high=8)


Candidate = Annotated[
    LogisticRegressionSpace
    | RidgeSpace
    | HistGradientBoostingSpace
    | RandomForestSpace
    | KMeansSpace
    | GaussianMixtureSpace,
    Field(discriminator="estimator"),
]

ESTIMATORS: dict[Task, frozenset[str]] = {
    "classification": frozenset({"logistic_regression", "hist_gradient_boosting", "random_forest"}),
    "regression": frozenset({"ridge", "hist_gradient_boosting", "random_forest"}),
    "clustering": frozenset({"kmeans", "gaussian_mixture"}),
}
METRICS: dict[Task, frozenset[str]] = {
    "classification": frozenset({"roc_auc", "average_precision", "log_loss", "f1", "accuracy"}),
    "regression": frozenset({"mae", "rmse", "r2"}),
    "clustering": frozenset({"silhouette", "davies_bouldin", "calinski_harabasz"}),
}
