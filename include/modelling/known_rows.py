"""The labelled rows of a training with its holdout: what a refit learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.lake.schemas import PARTITION
from include.lake.table import Lake
from include.modelling.blocks import Blocks
from include.modelling.labelled_rows import LABEL, LabelledRows, fairly_drawn
from include.modelling.training_set import blocks_in, narrow
from include.modelling.weights import learning_weight, weight_in
from include.use_cases.schema import UseCase


@dataclass(frozen=True, eq=False)
class KnownRows:
    """Labelled rows in order of time.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Features, at most ``train.max_rows`` rows, the newest; as `narrow` makes them.
    y : Series of shape (n_rows,) or None
        Labels on the same index; None for clustering.
    partitions : Series of shape (n_rows,)
        Which partition each row is of, on the same index.
    blocks : ndarray of int, shape (n_rows,)
        Which rows belong together when chance is judged, see `include.modelling.blocks`.
    weight : ndarray of shape (n_rows,) or None
        How much each row counts; None where all count alike.
    learning_weight : ndarray of shape (n_rows,) or None
        The same where they are learned from: see `weights.learning_weight`.
    fair : ndarray of bool, shape (n_rows,), or None
        Which rows a model may be judged on, see `fairly_drawn`; None for all.
    """

    X: pd.DataFrame
    y: pd.Series[Any] | None
    partitions: pd.Series[Any]
    blocks: Blocks
    weight: npt.NDArray[np.float64] | None = None
    learning_weight: npt.NDArray[np.float64] | None = None
    fair: npt.NDArray[np.bool_] | None = None

    @property
    def learned_from(self) -> list[str]:
        """The partitions of these rows, sorted."""
        return sorted(self.partitions.unique())

    def to_judge(self, partitions: Sequence[str]) -> KnownRows:
        """Return the rows of some of the partitions that a model may be judged on, from 0.

        Where none of them has such a row, those of all partitions.
        """
        fair = np.ones(len(self.X), dtype=bool) if self.fair is None else self.fair
        chosen = self.partitions.isin(partitions) & fair
        if not chosen.any():
            chosen = pd.Series(fair, index=chosen.index)
        return KnownRows(
            X=self.X[chosen].reset_index(drop=True),
            y=None if self.y is None else self.y[chosen].reset_index(drop=True),
            partitions=self.partitions[chosen].reset_index(drop=True),
            blocks=self.blocks[chosen.to_numpy()],
            weight=None if self.weight is None else self.weight[chosen.to_numpy()],
        )


def load_known_rows(
    use_case: UseCase, lake: Lake, versions: Mapping[str, int], partitions: Sequence[str]
) -> KnownRows:
    """Load the newest labelled rows of all partitions of a training.

    Parameters
    ----------
    use_case : UseCase
        Says the columns, the order of time, ``train.max_rows`` and ``deploy.resample_by``.
    lake : Lake
        Holds features and labels.
    versions : mapping of str to int
        Delta version to read by table name (``'flight_delays.features'``).
    partitions : sequence of str
        Sorted.
    """
    tables = LabelledRows.of(use_case, lake, versions)
    rows = tables.newest(partitions, use_case.train.max_rows)
    return KnownRows(
        X=narrow(rows, use_case),
        y=None if use_case.labels is None else rows[LABEL].to_pandas(),
        partitions=pd.Series(rows[PARTITION].to_pylist(), dtype="str"),
        blocks=blocks_in(rows, use_case),
        weight=weight_in(rows, use_case),
        learning_weight=learning_weight(rows, use_case),
        fair=fairly_drawn(rows).to_numpy(zero_copy_only=False),
    )
