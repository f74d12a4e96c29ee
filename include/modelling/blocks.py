"""Which rows belong together when chance is judged: rows of one day share their weather.

Errors of rows that share a day, or a customer, are alike. A standard error that takes such rows for
independent is too small, on flights by a factor of 3 to 7, so whole units are left out at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Blocks = npt.NDArray[np.intp]

MAX_BLOCKS = 100
"""More units are put together: 100 blocks tell a standard error to 7 % (1 / sqrt(2 G)), and each
costs one computation of the metric."""


def blocks_of(unit: str, rows: pd.DataFrame, times: str | None) -> Blocks:
    """Return the number of the independent unit that each row belongs to.

    Parameters
    ----------
    unit : str
        ``deploy.resample_by``: `day` (the UTC day of `times`), `rows` (each row on its own), or a
        column of `rows`.
    rows : DataFrame of shape (n_rows, n_columns)
        With the columns that `columns_of` names.
    times : str or None
        The time column that orders rows, ``train.split.by``; `day` needs it.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Block of each row, from 0 to `n_blocks` - 1 and at most `MAX_BLOCKS` of them. Missing values
        are a unit of their own.

    Examples
    --------
    >>> at = pd.to_datetime(["2013-01-02 09:00", "2013-01-01 23:59", "2013-01-02 10:00"], utc=True)
    >>> blocks_of("day", pd.DataFrame({"at": at}), "at")
    array([1, 0, 1])
    """
    if unit == "rows":
        return grouped(np.arange(len(rows)))
    return grouped(days(rows[times]) if unit == "day" else rows[unit])


def columns_of(unit: str, times: str | None) -> list[str]:
    """Return the columns that `blocks_of` reads: `times` if any, and the unit if it is a column.

    Examples
    --------
    >>> columns_of("day", "at"), columns_of("customer", "at")
    (['at'], ['at', 'customer'])
    >>> columns_of("rows", None)
    []
    """
    named = [*([times] if times else []), *({unit} - {"day", "rows"})]
    return list(dict.fromkeys(named))


def days(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return the UTC day of each moment; a time without a zone is UTC."""
    return pd.to_datetime(times, utc=True).dt.floor("D")


def grouped(units: pd.Series[Any] | npt.NDArray[Any], most: int = MAX_BLOCKS) -> Blocks:
    """Put whole units together into at most `most` blocks, round robin over the sorted units.

    Examples
    --------
    >>> grouped(pd.Series(["a", "c", "b", "c"]), most=2)
    array([0, 0, 1, 0])
    """
    codes, _ = pd.factorize(pd.Series(units), sort=True, use_na_sentinel=False)
    return np.asarray(codes % most, dtype=np.intp)
