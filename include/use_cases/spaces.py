"""What may be a candidate: the algorithms, and estimators of the use case's own package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from include.algorithms import ALGORITHMS, Algorithm, Span, Task, WholeSpan
from include.use_cases.own_code import OWN, OwnEstimator, is_own

__all__ = ["ESTIMATORS", "METRICS", "METRICS_OF_SEVERAL", "Candidate", "Span", "Task", "WholeSpan"]


def _kind(content: Any) -> str | None:
    """Return the tag of the model that reads an item of ``train.candidates``."""
    if isinstance(content, Algorithm):
        content = {"estimator": content.estimator}
    name = content.get("estimator") if isinstance(content, dict) else None
    return OWN if isinstance(name, str) and is_own(name) else name


if TYPE_CHECKING:
    Candidate = Algorithm
else:
    Candidate = Annotated[
        Union[  # noqa: UP007  of as many as there are files
            tuple(
                Annotated[model, Tag(name)]
                for name, model in {**ALGORITHMS, OWN: OwnEstimator}.items()
            )
        ],
        Discriminator(_kind),
    ]

_TASKS: tuple[Task, ...] = ("classification", "regression", "clustering")
ESTIMATORS: dict[Task, tuple[str, ...]] = {
    task: tuple(name for name, model in ALGORITHMS.items() if task in model.tasks)
    for task in _TASKS
}
"""The algorithms of each task, simplest first."""
METRICS: dict[Task, frozenset[str]] = {
    "classification": frozenset({"roc_auc", "average_precision", "log_loss", "f1", "accuracy"}),
    "regression": frozenset({"mae", "rmse", "r2"}),
    "clustering": frozenset({"silhouette", "davies_bouldin", "calinski_harabasz"}),
}
METRICS_OF_SEVERAL = frozenset({"log_loss", "roc_auc", "f1_macro", "f1_weighted", "accuracy"})
"""Metrics of a classification with three classes or more."""
