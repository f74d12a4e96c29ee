"""One meaning of a prediction and of its score, in training, deployment, batches and serving."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.use_cases.schema import UseCase

THRESHOLD = 0.5
"""Probability from which class 1 is predicted; who wants another trade-off reads the score."""


def score_rows(estimator: Any, X: pd.DataFrame, use_case: UseCase) -> npt.NDArray[np.float64]:
    """Score rows: the probability of class 1, the value, or the number of the cluster.

    Parameters
    ----------
    estimator : fitted scikit-learn estimator
        What `include.modelling.estimators` makes.
    X : DataFrame
        Features; other columns are left out.
    use_case : UseCase
        Gives the task and the columns.

    Returns
    -------
    ndarray of float64, shape (len(X),)
    """
    known = X[use_case.features.columns]
    if use_case.task != "classification":
        return np.asarray(estimator.predict(known), dtype=np.float64)
    probabilities = np.asarray(estimator.predict_proba(known), dtype=np.float64)
    classes = [int(label) for label in estimator.classes_]
    if 1 not in classes:  # trained where nothing ever happened
        return np.zeros(len(X))
    return np.ascontiguousarray(probabilities[:, classes.index(1)])


def predictions(
    scores: npt.NDArray[np.float64], use_case: UseCase, index: pd.Index
) -> pd.DataFrame:
    """Make predictions of scores.

    Returns
    -------
    DataFrame
        `prediction`: class 0 or 1 (int64), value (float64) or cluster (int64). For classification
        also `score`: the probability of class 1.

    Examples
    --------
    A probability of exactly 0.5 is class 1:

    >>> from types import SimpleNamespace
    >>> predictions(np.array([0.2, 0.5]), SimpleNamespace(task="classification"), pd.Index([7, 8]))
       prediction  score
    7           0    0.2
    8           1    0.5
    """
    if use_case.task == "classification":
        classes = (scores >= THRESHOLD).astype(np.int64)
        return pd.DataFrame({"prediction": classes, "score": scores}, index=index)
    values = scores if use_case.task == "regression" else scores.astype(np.int64)
    return pd.DataFrame({"prediction": values}, index=index)
