"""Random forests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from include.algorithms._base import Algorithm, Span, Task, WholeSpan


class RandomForest(Algorithm):
    """Average of many trees (scikit-learn's RandomForest*)."""

    estimator: Literal["random_forest"]
    min_samples_leaf: WholeSpan = WholeSpan(low=2, high=64, log=True)
    max_features: Span = Span(low=0.2, high=1.0)
    n_estimators: Annotated[int, Field(ge=10, le=2000)] = 100

    tasks = ("classification", "regression")
    simplicity = 40
    prepare = "target_encoded"
    takes_weights = True
    trusted = ("sklearn.tree._tree.Tree",)

    @classmethod
    def make(cls, task: Task, params: Mapping[str, Any], random_state: int) -> Any:
        """Make the estimator."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if task == "classification" else RandomForestRegressor
        return kind(n_jobs=1, random_state=random_state, **params)
