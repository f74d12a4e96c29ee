"""What is wrong with labels, as far as it can be seen: balance, errors, features that give it away.

Needs no knowledge of where labels come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

LEAKS_FROM = 0.98
"""ROC AUC of a single feature from which it is named: with .98 it orders 49 of 50 pairs of rows
right, which what is known before the outcome seldom does. Our choice; a person judges."""
FOLDS = 5
_MIN_PER_CLASS = 2 * FOLDS


@dataclass(frozen=True)
class LabelError:
    """A row whose label a model that has not seen it finds unlikely.

    Attributes
    ----------
    row : int
        Its position.
    given : int
        The label.
    likelier : int
        The class that the model would give.
    probability : float
        Of the given label, by the model.
    """

    row: int
    given: int
    likelier: int
    probability: float


@dataclass(frozen=True)
class Leak:
    """A feature that alone tells the label: `auc` is its ROC AUC, of the best-told class."""

    feature: str
    auc: float


def class_shares(labels: npt.NDArray[np.int64]) -> dict[int, float]:
    """Return the share of each class.

    Examples
    --------
    >>> class_shares(np.array([0, 0, 1, 0]))
    {0: 0.75, 1: 0.25}
    """
    classes, counts = np.unique(labels, return_counts=True)
    return dict(zip(classes.tolist(), (counts / len(labels)).tolist(), strict=True))


def label_errors(
    estimator: Any, X: pd.DataFrame, labels: npt.NDArray[np.int64], most: int = 50
) -> list[LabelError] | None:
    """Find candidates for label errors by confident learning, the likeliest first.

    Northcutt, Jiang, Chuang (2021), "Confident learning: estimating uncertainty in dataset labels",
    JAIR 70: cleanlab's, from probabilities of a model that was not fitted on the row.

    Parameters
    ----------
    estimator : estimator
        Unfitted, with `predict_proba`.
    X : DataFrame of shape (rows, features)
        What it learns from.
    labels : ndarray of shape (rows,)
        Classes.
    most : int
        At most so many.

    Returns
    -------
    list of LabelError or None
        None where a class has fewer than ten rows: its probabilities would mean nothing.
    """
    from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.min() < _MIN_PER_CLASS:
        return None
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    given = cross_val_predict(estimator, X, codes, cv=folds, method="predict_proba")
    # One process: tasks are the parallelism.
    found = find_label_issues(codes, given, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [
        LabelError(
            int(row),
            int(labels[row]),
            int(classes[given[row].argmax()]),
            float(given[row, codes[row]]),
        )
        for row in found[:most]
    ]


def leaks(
    X: pd.DataFrame, labels: npt.NDArray[np.int64], threshold: float = LEAKS_FROM
) -> list[Leak]:
    """Name the features that alone tell the label, the best first.

    A missing number may tell it too: whether it is missing is tried as a feature of its own. A text
    is scored by the share of the class among the other rows with the same text.
    """
    from sklearn.metrics import roc_auc_score

    found = []
    for name in X:
        aucs = [
            roc_auc_score(labels == one, scores)
            for one in np.unique(labels)
            if 0 < (labels == one).sum() < len(labels)
            for scores in _scores(X[name], labels == one)
        ]
        best = max((max(auc, 1 - auc) for auc in aucs), default=0.5)
        if best >= threshold:
            found.append(Leak(str(name), float(best)))
    return sorted(found, key=lambda leak: -leak.auc)


def _scores(values: pd.Series[Any], of_class: npt.NDArray[np.bool_]) -> list[Any]:
    if pd.api.types.is_numeric_dtype(values):
        missing = values.isna().to_numpy()
        middle = values.median() if not missing.all() else 0.0
        return [values.fillna(middle).to_numpy(), missing]
    groups = pd.Series(of_class.astype(float)).groupby(values.fillna("").to_numpy())
    total, count = groups.transform("sum").to_numpy(), groups.transform("count").to_numpy()
    # Without the row itself, or each text that stands once would tell its own label.
    others = (total - of_class + of_class.mean()) / count
    return [others]
