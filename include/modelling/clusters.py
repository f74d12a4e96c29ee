"""Formulas of the metrics of clustering, in one space that is the same for every model.

A model sees the rows through its own preprocessing; were each judged in its own space, the numbers
could not be compared. So the space is the rows' numeric features, standardised over the rows that
are judged.

Arguments are those of every metric, with the rows' places in that space, shape (rows, features),
instead of true values, and the number of each row's cluster as its score. With fewer than two
clusters a metric is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import silhouette_samples

from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]

MAX_ROWS = 2_000
"""Silhouettes need all pairs of rows: 2,000 take 32 MB and some 0.1 s."""


def space(X: pd.DataFrame, use_case: UseCase) -> Floats:
    """Return the rows' numeric features, missing ones at the median, with mean 0 and variance 1.

    Returns
    -------
    ndarray, shape (rows, numeric features)
    """
    numbers = X[use_case.features.numeric].astype("float64")
    # The last zero is for a column that is missing whole.
    filled = numbers.fillna(numbers.median()).fillna(0.0).to_numpy()
    spread = filled.std(axis=0)
    return np.asarray((filled - filled.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def row_silhouette(places: Floats, cluster: Floats) -> Floats:
    """Silhouette of each row, -1 to 1: how much nearer its own cluster is than the next."""
    count = len(np.unique(cluster))
    if not 2 <= count < len(cluster):
        return np.full(len(cluster), np.nan)
    return np.asarray(silhouette_samples(places, cluster), dtype=np.float64)


def calinski_harabasz(places: Floats, cluster: Floats, weight: Floats) -> float:
    """Variance between clusters over variance within, each by its degrees of freedom."""
    member, sizes, centres = _clusters(places, cluster, weight)
    if len(sizes) < 2:
        return float("nan")
    middle = np.average(places, axis=0, weights=weight)
    between = np.sum(sizes * np.sum((centres - middle) ** 2, axis=1))
    within = np.sum(weight * np.sum((places - centres[member]) ** 2, axis=1))
    rows, count = weight.sum(), len(sizes)
    return float(between * (rows - count) / (within * (count - 1))) if within else 1.0


def davies_bouldin(places: Floats, cluster: Floats, weight: Floats) -> float:
    """Mean over clusters of the worst ratio of widths to distance: less is better."""
    member, sizes, centres = _clusters(places, cluster, weight)
    if len(sizes) < 2:
        return float("nan")
    reach = weight * np.sqrt(np.sum((places - centres[member]) ** 2, axis=1))
    width = np.bincount(member, weights=reach, minlength=len(sizes)) / sizes
    apart = np.sqrt(np.sum((centres[:, None] - centres[None]) ** 2, axis=2))
    np.fill_diagonal(apart, np.inf)
    if np.any(apart == 0):  # two clusters in one place
        return float("nan")
    return float(np.mean(np.max((width[:, None] + width[None]) / apart, axis=1)))


def _clusters(
    places: Floats, cluster: Floats, weight: Floats
) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
    """Return each row's cluster (0 to k-1), the clusters' weights, and their centres.

    Only clusters with some weight count: a resample may have lost one. Rows without weight are
    given to cluster 0, where they weigh nothing.
    """
    numbers = np.unique(cluster[weight > 0])
    member = np.searchsorted(numbers, cluster)
    member[weight == 0] = 0
    sizes: Floats = np.bincount(member, weight, len(numbers)).astype(np.float64)
    sums = [np.bincount(member, weight * column, len(numbers)) for column in places.T]
    return member, sizes, np.stack(sums, axis=1) / sizes[:, None]
