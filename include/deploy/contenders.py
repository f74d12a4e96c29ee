"""Two models and their rows, in memory: what evidence is gathered from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.algorithms import Params
from include.modelling.blocks import Blocks
from include.modelling.training_set import TrainingSet
from include.use_cases.schema import UseCase


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that models learn from and are judged on, in order of time.

    Attributes
    ----------
    train_y, holdout_y : Series or None
        Labels; None for clustering.
    times : Series or None
        When each row of the holdout was; None in a split without time.
    blocks : ndarray of int
        Which rows of the holdout are not independent: see `deploy.resample_by`.
    holdout_partition : str
        The newest partition of the holdout.
    train_weight, holdout_weight : ndarray or None
        How much each row counts; None where all count alike.
    """

    train_y: pd.Series[Any] | None
    holdout_y: pd.Series[Any] | None
    times: pd.Series[Any] | None
    blocks: Blocks
    holdout_partition: str
    train_weight: npt.NDArray[np.float64] | None = None
    holdout_weight: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, training: TrainingSet) -> Rows:
        """Take them from the challenger's training set."""
        return cls(
            train_y=training.train_y,
            holdout_y=training.holdout_y,
            times=training.holdout_times,
            blocks=training.holdout_blocks,
            holdout_partition=training.holdout_partition,
            train_weight=training.train_weight,
            holdout_weight=training.holdout_weight,
        )


@dataclass(frozen=True, eq=False)
class Contender:
    """A model and its configuration, with the rows as it sees them.

    Attributes
    ----------
    version : str
        Its model version, for the verdict's sentences.
    use_case : UseCase
        As it was when the model was trained: task, feature columns, seed.
    candidate, params : str, dict
        Its configuration.
    estimator : fitted estimator
        The model that was registered. A challenger's has learned the training rows and no other.
    train_X : DataFrame or None
        Features of the training rows; None where they cannot be had: then the configuration cannot
        be fitted again.
    holdout_X : DataFrame
        Features of the holdout.
    """

    version: str
    use_case: UseCase
    candidate: str
    params: Params
    estimator: Any
    train_X: pd.DataFrame | None  # noqa: N815  scikit-learn's name
    holdout_X: pd.DataFrame  # noqa: N815  as above
