"""Folds: in order of time, where a model is judged on later rows than it learned from, or without.

Without a time folds are drawn by scikit-learn, with equal shares of each class, and where rows
belong to groups each group is in one fold.
"""

from __future__ import annotations

import warnings
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


def random_folds(
    rows: int, classes: pd.Series[Any] | None, folds: int, seed: int
) -> list[tuple[Positions, Positions]]:
    """Cut rows at random; with classes each fold has the same share of them.

    Parameters
    ----------
    rows : int
        How many.
    classes : Series of shape (rows,), optional
        Labels of a classification.
    folds, seed : int
        How many folds, and what draws them.

    Raises
    ------
    DataContractError
        There are fewer rows than folds, or fewer rows of all classes but one: no fold could judge
        how well they are told apart. Of several classes a rare one stands in some of the folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if classes is None else StratifiedKFold
    _enough("rows", rows, folds)
    if classes is not None:
        counts = classes.value_counts().iloc[:2]
        of = "rows of the rarest class" if classes.nunique() == 2 else "rows of a second class"
        _enough(of, int(counts.min()), folds)
    cut = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y", UserWarning)
        return list(cut.split(np.zeros(rows), classes))


def group_folds(
    groups: Positions, classes: pd.Series[Any] | None, folds: int, seed: int
) -> list[tuple[Positions, Positions]]:
    """Cut rows so that each group is in one fold; parameters as for `random_folds`."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    kind = GroupKFold if classes is None else StratifiedGroupKFold
    _enough("groups of rows", len(np.unique(groups)), folds)
    cut = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y", UserWarning)
        return list(cut.split(np.zeros(len(groups)), classes, groups))


def _enough(what: str, there: int, folds: int) -> None:
    if there < folds:
        raise DataContractError(
            f"{folds} folds need at least {folds} {what}, got {there}. Lower train.split.folds, or "
            "train on more."
        )
