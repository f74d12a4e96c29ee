"""K-means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Task, WholeSpan


class KMeans(Algorithm):
    """Clusters around means (scikit-learn's KMeans)."""

    estimator: Literal["kmeans"]
    n_clusters: WholeSpan = WholeSpan(low=2, high=8)

    tasks = ("clustering",)
    simplicity = 12
    prepare = "scaled"
    takes_weights = True

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from sklearn.cluster import KMeans

        return KMeans(n_init=5, random_state=random_state, **params)

    @classmethod
    def fewest_rows(cls, params: Mapping[str, float | int]) -> int:
        """Return how many rows a fit needs: one for each cluster, and ten at least."""
        return max(10, int(params["n_clusters"]))
