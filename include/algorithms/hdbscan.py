"""HDBSCAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Task, WholeSpan


class HDBSCAN(Algorithm):
    """Dense clusters, and rows in none of them: cluster -1, noise (scikit-learn's HDBSCAN)."""

    estimator: Literal["hdbscan"]
    min_cluster_size: WholeSpan = WholeSpan(low=10, high=200, log=True)
    min_samples: WholeSpan = WholeSpan(low=3, high=30, log=True)

    tasks = ("clustering",)
    simplicity = 30
    prepare = "scaled"
    takes_weights = False
    trusted = ("include.algorithms._dense_clusters.DenseClusters",)

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from include.algorithms._dense_clusters import DenseClusters

        return DenseClusters(random_state=random_state, **params)

    @classmethod
    def fewest_rows(cls, params: Mapping[str, float | int]) -> int:
        """Return how many rows a fit needs: one cluster, a row's neighbours, and at least ten."""
        return int(max(10, params["min_cluster_size"], params["min_samples"]))
