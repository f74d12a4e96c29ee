"""Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Task, WholeSpan


class GaussianMixture(Algorithm):
    """Clusters that are ellipsoids (scikit-learn's GaussianMixture)."""

    estimator: Literal["gaussian_mixture"]
    n_components: WholeSpan = WholeSpan(low=2, high=8)

    tasks = ("clustering",)
    simplicity = 20
    prepare = "scaled"
    takes_weights = False

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from sklearn.mixture import GaussianMixture

        # Keeps covariances invertible where a one-hot column is constant within a cluster.
        return GaussianMixture(reg_covar=1e-3, random_state=random_state, **params)

    @classmethod
    def fewest_rows(cls, params: Mapping[str, float | int]) -> int:
        """Return how many rows a fit needs: one for each component, and ten at least."""
        return max(10, int(params["n_components"]))
