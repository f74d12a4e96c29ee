"""Logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from include.algorithms._base import Algorithm, Span, Task


class LogisticRegression(Algorithm):
    """Linear classifier (scikit-learn's LogisticRegression)."""

    estimator: Literal["logistic_regression"]
    C: Span = Span(low=1e-3, high=10.0, log=True)

    tasks = ("classification",)
    simplicity = 10
    prepare = "scaled"
    takes_weights = True

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=300, random_state=random_state, **params)
