"""Ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Span, Task


class Ridge(Algorithm):
    """Linear regressor (scikit-learn's Ridge)."""

    estimator: Literal["ridge"]
    alpha: Span = Span(low=1e-3, high=100.0, log=True)

    tasks = ("regression",)
    simplicity = 11
    prepare = "scaled"
    takes_weights = True

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from sklearn.linear_model import Ridge

        return Ridge(random_state=random_state, **params)
