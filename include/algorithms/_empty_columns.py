"""Keeps numbers as they are, except in columns that had none when it was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin


class EmptyColumns(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replace a column that was missing in every row of the fit by 0; leave the others.

    scikit-learn's histogram gradient boosting cannot cut such a column into bins. Nothing was
    learned about it, so it is 0 in later rows too.
    """

    def fit(self, X: Any, y: object = None) -> EmptyColumns:
        """Find the columns that have no value at all."""
        numbers = np.asarray(X, dtype=np.float64)
        self.empty_ = np.isnan(numbers).all(axis=0)
        self.n_features_in_ = numbers.shape[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the numbers, NaN where missing."""
        numbers = np.asarray(X, dtype=np.float64)
        return np.where(self.empty_, 0.0, numbers) if self.empty_.any() else numbers
