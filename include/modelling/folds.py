"""Folds in order of time: a model is only ever judged on rows later than those it learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import DataContractError

Positions = npt.NDArray[np.intp]


def time_folds(times: pd.Series[Any], folds: int) -> list[tuple[Positions, Positions]]:
    """Cut rows into `folds + 1` blocks; each block but the first is judged by all before it.

    Blocks are of about equal length; rows of one moment stay in one block.

    Parameters
    ----------
    times : Series of timestamp, ascending
        When each row was.
    folds : int
        How many.

    Returns
    -------
    list of (ndarray, ndarray)
        Positions to learn from, and to judge on.

    Raises
    ------
    DataContractError
        If there are too few different moments.

    Examples
    --------
    >>> days = pd.Series(pd.to_datetime(["2013-01-01", "2013-01-01", "2013-01-02"]))
    >>> time_folds(days, folds=1)
    [(array([0, 1]), array([2]))]
    """
    moments = times.to_numpy()
    rows = len(moments)
    cuts = [0]
    for block in range(1, folds + 1):
        at = moments[min(round(block * rows / (folds + 1)), rows - 1)]
        cuts.append(int(np.searchsorted(moments, at, side="left")))
    cuts.append(rows)
    if min(np.diff(cuts)) < 1:
        raise DataContractError(
            f"{times.name}: {folds} folds need at least {folds + 1} blocks of different moments, "
            f"{rows} rows have {len(np.unique(moments))}. "
            "Lower train.split.folds, or train on more."
        )
    return [
        (np.arange(cuts[block]), np.arange(cuts[block], cuts[block + 1]))
        for block in range(1, folds + 1)
    ]
