"""All the rows that a training knew, the holdout too: what a refit learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.lake.schemas import PARTITION
from include.lake.table import Lake
from include.modelling.labelled_rows import LABEL, LabelledRows
from include.modelling.training_set import narrow
from include.use_cases.schema import UseCase


@dataclass(frozen=True, eq=False)
class KnownRows:
    """Rows in order of time.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Features, at most ``train.max_rows`` rows, the newest; as `narrow` makes them.
    y : Series of shape (n_rows,) or None
        Labels on the same index; None for clustering.
    learned_from : list of str
        The partitions that they are of.
    """

    X: pd.DataFrame
    y: pd.Series[Any] | None
    learned_from: list[str]


def load_known_rows(
    use_case: UseCase, lake: Lake, versions: Mapping[str, int], partitions: Sequence[str]
) -> KnownRows:
    """Load the newest labelled rows of all partitions of a training.

    Parameters
    ----------
    use_case : UseCase
        Says the columns, the order of time and ``train.max_rows``.
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
        learned_from=sorted(rows[PARTITION].unique().to_pylist()),
    )
