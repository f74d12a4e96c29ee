"""Formulas of the metrics of three classes or more, with a weight for each row.

`y` has the number of each row's class, `score` the probability of each class, shape (rows,
classes). A class without rows (or whose rows weigh nothing) is left out of a mean over classes: a
slice, a fold or a month may lack one, and models that are compared must be judged on the same
classes. scikit-learn's functions are the second opinion in the tests.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from include.modelling import formulas

Floats = npt.NDArray[np.float64]


def roc_auc(y: Floats, score: Floats, weight: Floats) -> float:
    """Mean over the classes of the area under the ROC curve of that class against the rest.

    Source: Provost and Domingos, CeDER working paper IS-00-04 (2000), here with equal weights of
    the classes, as scikit-learn's ``multi_class="ovr", average="macro"``.

    Examples
    --------
    Class 2 is told apart, 0 and 1 are not, so 3/4, 3/4 and 1:

    >>> score = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    >>> round(roc_auc(np.array([0.0, 1.0, 2.0]), score, np.ones(3)), 4)
    0.8333
    """
    values = [
        formulas.roc_auc((y == each).astype(np.float64), score[:, each], weight)
        for each in _there(y, weight)
    ]
    return float(np.mean(values)) if values else float("nan")


def f1_macro(y: Floats, score: Floats, weight: Floats) -> float:
    """Unweighted mean over the classes of F1, the harmonic mean of precision and recall."""
    return _f1(y, score, weight, by_rows=False)


def f1_weighted(y: Floats, score: Floats, weight: Floats) -> float:
    """Mean over the classes of F1, each weighted by its rows."""
    return _f1(y, score, weight, by_rows=True)


def row_log_loss(y: Floats, score: Floats) -> Floats:
    """Negative log likelihood of each row; float64's epsilon keeps probabilities off 0 and 1."""
    epsilon = np.finfo(np.float64).eps
    likelihood = score[np.arange(len(y)), y.astype(np.intp)]
    return np.asarray(-np.log(np.clip(likelihood, epsilon, 1 - epsilon)), dtype=np.float64)


def row_hit(y: Floats, score: Floats) -> Floats:
    """1 where the class is right, else 0: their mean is the accuracy."""
    return np.asarray(score.argmax(axis=1) == y, dtype=np.float64)


def _f1(y: Floats, score: Floats, weight: Floats, *, by_rows: bool) -> float:
    classes = _there(y, weight)
    if not len(classes):
        return float("nan")
    true, count = y.astype(np.intp), score.shape[1]
    predicted = score.argmax(axis=1)
    hit = np.bincount(true, np.where(true == predicted, weight, 0.0), count)[classes]
    rows = np.bincount(true, weight, count)[classes]
    taken = np.bincount(predicted, weight, count)[classes]
    return float(np.average(2 * hit / (rows + taken), weights=rows if by_rows else None))


def _there(y: Floats, weight: Floats) -> npt.NDArray[np.intp]:
    """Return the classes that have rows with some weight."""
    return np.unique(y[weight > 0]).astype(np.intp)
