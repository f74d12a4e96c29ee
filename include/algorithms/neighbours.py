"""Nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Task, WholeSpan


class Neighbours(Algorithm):
    """Mean label of the nearest training rows (scikit-learn's KNeighbors*)."""

    estimator: Literal["neighbours"]
    n_neighbors: WholeSpan = WholeSpan(low=5, high=100, log=True)

    tasks = ("classification", "regression")
    simplicity = 30
    prepare = "scaled"
    takes_weights = False
    trusted = (
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
    )

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator; nothing in it is random."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsClassifier if task == "classification" else KNeighborsRegressor
        return kind(n_jobs=1, **params)

    @classmethod
    def fewest_rows(cls, params: Mapping[str, float | int]) -> int:
        """Return how many rows a fit needs: all neighbours, and ten at least."""
        return max(10, int(params["n_neighbors"]))
