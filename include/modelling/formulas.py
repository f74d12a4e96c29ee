"""Formulas of the metrics of classification and regression, with a weight for each row.

A whole-number weight is how often a row was drawn, so one bootstrap resample costs one weighting
and no copy of the rows. scikit-learn's functions are the second opinion in the tests.

Arguments are those of every metric: true values, scores (see `include.modelling.scoring`) and
weights, each of shape (rows,). A metric that is not defined on the rows is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from include.modelling.scoring import THRESHOLD

Floats = npt.NDArray[np.float64]


def roc_auc(y: Floats, score: Floats, weight: Floats) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, ties counting half.

    Source: Hanley and McNeil, Radiology 143 (1982), the Mann-Whitney form.

    Examples
    --------
    >>> roc_auc(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.ones(4))
    0.75
    """
    ones, zeros = _by_score(y, score, weight)
    if not ones.sum() or not zeros.sum():
        return float("nan")
    won = np.sum(ones * (np.cumsum(zeros) - zeros / 2))
    return float(won / (ones.sum() * zeros.sum()))


def average_precision(y: Floats, score: Floats, weight: Floats) -> float:
    """Precision at each threshold, weighted by the recall it adds (no interpolation)."""
    ones, zeros = _by_score(y, score, weight)
    if not ones.sum():
        return float("nan")
    found, taken = np.cumsum(ones[::-1]), np.cumsum((ones + zeros)[::-1])
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    return float(np.sum(precision * ones[::-1]) / found[-1])


def f1(y: Floats, score: Floats, weight: Floats) -> float:
    """Harmonic mean of precision and recall of class 1; 0 if none is predicted and none is true."""
    predicted, true = score >= THRESHOLD, y == 1
    total = weight[predicted].sum() + weight[true].sum()
    return float(2 * weight[predicted & true].sum() / total) if total else 0.0


def rmse(y: Floats, score: Floats, weight: Floats) -> float:
    """Root of the mean squared error, in the label's unit."""
    return float(np.sqrt(np.average((y - score) ** 2, weights=weight)))


def r2(y: Floats, score: Floats, weight: Floats) -> float:
    """Share of the label's variance that is explained; negative if worse than its mean."""
    spread = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    if not spread:
        return float("nan")
    return float(1 - np.average((y - score) ** 2, weights=weight) / spread)


def row_log_loss(y: Floats, score: Floats) -> Floats:
    """Negative log likelihood of each row; float64's epsilon keeps probabilities off 0 and 1."""
    epsilon = np.finfo(np.float64).eps
    likelihood = np.where(y == 1, score, 1 - score)
    return np.asarray(-np.log(np.clip(likelihood, epsilon, 1 - epsilon)), dtype=np.float64)


def row_hit(y: Floats, score: Floats) -> Floats:
    """1 where the class is right, else 0: their mean is the accuracy."""
    return np.asarray((score >= THRESHOLD) == (y == 1), dtype=np.float64)


def row_error(y: Floats, score: Floats) -> Floats:
    """Absolute error of each row, in the label's unit."""
    return np.asarray(np.abs(y - score), dtype=np.float64)


def _by_score(y: Floats, score: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the weight of ones, and of zeros, at each distinct score, ascending."""
    order = np.argsort(score)
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    ones = np.where(y == 1, weight, 0.0)
    return (
        np.add.reduceat(ones[order], starts),
        np.add.reduceat((weight - ones)[order], starts),
    )
