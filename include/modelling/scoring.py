"""One meaning of a prediction and of its score, in training, deployment, batches and serving."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import DataContractError
from include.use_cases.naming import PREDICTED_CLASS, probability_of
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]

THRESHOLD = 0.5
"""Probability from which class 1 is predicted; who wants another trade-off reads the score."""


def score_rows(estimator: Any, X: pd.DataFrame, use_case: UseCase) -> Floats:
    """Score rows: the probability of class 1, or of each class, the value, or the cluster's number.

    Parameters
    ----------
    estimator : fitted scikit-learn estimator
        What `include.modelling.estimators` makes.
    X : DataFrame
        Features; other columns are left out.
    use_case : UseCase
        Gives the task, the columns and the classes.

    Returns
    -------
    ndarray of float64
        Shape (len(X),); of three classes or more (len(X), classes), in the order of
        `UseCase.class_names`. A class that the estimator has seen no row of has probability 0.
    """
    return score_known(estimator, X[use_case.features.columns], use_case)


def score_known(estimator: Any, features: Any, use_case: UseCase) -> Floats:
    """Score features in whatever form the estimator takes, as `score_rows` does."""
    if use_case.task != "classification":
        return np.asarray(estimator.predict(features), dtype=np.float64)
    probabilities = np.asarray(estimator.predict_proba(features), dtype=np.float64)
    scores = np.zeros((len(probabilities), len(use_case.class_names) or 2))
    scores[:, [int(label) for label in estimator.classes_]] = probabilities
    return scores if use_case.class_names else np.ascontiguousarray(scores[:, 1])


def predicted(scores: Floats, use_case: UseCase) -> npt.NDArray[Any]:
    """Return the number of the class, the value, or the cluster that scores stand for.

    Of three classes or more the most probable is predicted, the first of equal ones.

    Examples
    --------
    A probability of exactly 0.5 is class 1:

    >>> from types import SimpleNamespace
    >>> two = SimpleNamespace(task="classification", class_names=[])
    >>> predicted(np.array([0.2, 0.5]), two)
    array([0, 1])
    """
    if use_case.class_names:
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)
    if use_case.task == "classification":
        return (scores >= THRESHOLD).astype(np.int64)
    return scores if use_case.task == "regression" else scores.astype(np.int64)


def predictions(scores: Floats, use_case: UseCase, index: pd.Index) -> pd.DataFrame:
    """Make predictions of scores.

    Returns
    -------
    DataFrame
        `prediction`: class (int64), value (float64) or cluster (int64). For two classes also
        `score`: the probability of class 1. For more `predicted_class`, its name, and
        `probability_<name>` of each class.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> two = SimpleNamespace(task="classification", class_names=[])
    >>> predictions(np.array([0.2, 0.5]), two, pd.Index([7, 8]))
       prediction  score
    7           0    0.2
    8           1    0.5
    """
    numbers = predicted(scores, use_case)
    if names := use_case.class_names:
        chances = {probability_of(name): scores[:, place] for place, name in enumerate(names)}
        named = pd.Series(names, dtype="str").iloc[numbers].array
        return pd.DataFrame({"prediction": numbers, PREDICTED_CLASS: named, **chances}, index=index)
    if use_case.task == "classification":
        return pd.DataFrame({"prediction": numbers, "score": scores}, index=index)
    return pd.DataFrame({"prediction": numbers}, index=index)


def score_columns(use_case: UseCase) -> list[str]:
    """Name the columns of `predictions` that hold the scores.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> score_columns(SimpleNamespace(task="regression", class_names=[]))
    ['prediction']
    """
    if names := use_case.class_names:
        return [probability_of(name) for name in names]
    return ["score" if use_case.task == "classification" else "prediction"]


def monitored(scores: Floats, use_case: UseCase) -> Any:
    """Return what the monitor compares of scores: the scores, or names of the predicted classes.

    Of three classes or more it compares how often each is predicted: names, because their numbers
    may change with the list.
    """
    if not use_case.class_names:
        return scores
    index = pd.RangeIndex(len(scores))
    return predictions(scores, use_case, index)[PREDICTED_CLASS].array


def scores_in(use_case: UseCase, scores: Floats, of: UseCase) -> Floats:
    """Give scores of a model the order of today's classes.

    Parameters
    ----------
    use_case : UseCase
        Its classes are the columns of what is returned.
    scores : ndarray
        What `score_rows` gives.
    of : UseCase
        The model's: as it was when the model was trained.

    Returns
    -------
    ndarray
        A class that the model does not know has probability 0; one that is no class any more is
        left out.

    Raises
    ------
    DataContractError
        As `check_classes` does.
    """
    check_classes(use_case, of)
    ours, theirs = use_case.class_names, of.class_names
    if ours == theirs:
        return scores
    found = np.zeros((len(scores), len(ours)))
    for place, name in enumerate(ours):
        if name in theirs:
            found[:, place] = scores[:, theirs.index(name)]
    return found


def check_classes(use_case: UseCase, of: UseCase) -> None:
    """Refuse a model that tells two classes apart where there are more, or the other way round.

    Parameters
    ----------
    use_case : UseCase
        Whose labels count.
    of : UseCase
        The model's.

    Raises
    ------
    DataContractError
        It is so.
    """
    ours, theirs = use_case.class_names, of.class_names
    if bool(ours) != bool(theirs):
        raise DataContractError(
            f"{use_case.name}: the model must tell apart what labels.classes names, "
            f"{ours or 'two classes'}, but tells apart {theirs or 'two classes'}. Train again."
        )
