"""HDBSCAN with a way to predict rows that it was not fitted on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import HDBSCAN
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors

NOISE = -1
"""Cluster number of rows that are in no cluster."""
MOST_ROWS = 5_000
"""At most so many rows are clustered, and kept to predict with. Our choice: the time grows with
their square where there are many columns, and each prediction compares a row with all of them."""


class DenseClusters(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Find dense clusters (Campello, Moulavi & Sander, PAKDD 2013), and place new rows in them.

    HDBSCAN clusters the rows that it is given and says nothing of others. Here a row gets the
    cluster of the nearest clustered row, if that is not further away than the reach of its cluster,
    and is noise (-1) otherwise, or where the nearest row is noise. The reach of a cluster is the
    greatest distance between one of its rows and the nearest other of them, up to Tukey's upper
    fence (Exploratory Data Analysis, 1977, section 2D), because HDBSCAN also assigns to a cluster
    stray rows at some distance from it. So rows that were clustered keep their cluster, and a row
    far from all others is noise.

    Parameters
    ----------
    min_cluster_size, min_samples : int
        As in scikit-learn's `HDBSCAN`.
    random_state : int
        Draws the rows that are clustered where there are more than `MOST_ROWS`.

    Attributes
    ----------
    rows_ : ndarray of shape (n_clustered, n_features)
        The rows that were clustered.
    labels_ : ndarray of shape (n_clustered,)
        Their clusters.
    reach_ : ndarray of shape (n_clusters,)
        The reach of each cluster.
    """

    def __init__(
        self, min_cluster_size: int = 5, min_samples: int = 5, random_state: int = 0
    ) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.random_state = random_state

    def fit(self, X: npt.NDArray[np.float64], y: object = None) -> DenseClusters:
        """Cluster the rows of `X`, or `MOST_ROWS` of them."""
        rows = np.asarray(X, dtype=np.float64)
        if len(rows) > MOST_ROWS:
            drawn = np.random.default_rng(self.random_state)
            rows = rows[np.sort(drawn.choice(len(rows), MOST_ROWS, replace=False))]
        found = HDBSCAN(self.min_cluster_size, min_samples=self.min_samples, n_jobs=1, copy=True)
        self.rows_ = rows
        self.labels_ = np.asarray(found.fit(rows).labels_, dtype=np.int64)
        clusters = range(self.labels_.max(initial=NOISE) + 1)
        self.reach_ = np.array([_reach(rows[self.labels_ == one]) for one in clusters])
        return self

    def predict(self, X: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the cluster of each row of `X`, -1 for noise."""
        nearest, distance = pairwise_distances_argmin_min(np.asarray(X), self.rows_)
        label = self.labels_[nearest]
        reach = np.append(self.reach_, np.inf)[
            label
        ]  # label -1 reads the last one: noise stays noise
        return np.where(distance <= reach, label, NOISE)


def _reach(rows: npt.NDArray[np.float64]) -> float:
    """Return the greatest distance of a row to the nearest that differs, without stray rows."""
    places = np.unique(rows, axis=0)
    if len(places) < 2:
        return 0.0
    distances, _ = NearestNeighbors(n_neighbors=2).fit(places).kneighbors(places)
    nearest = distances[:, 1]
    low, high = np.quantile(nearest, [0.25, 0.75])
    return float(min(nearest.max(), high + 1.5 * (high - low)))
