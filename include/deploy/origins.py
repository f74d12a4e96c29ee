"""A configuration, fitted again at several moments of the holdout and judged on what follows.

Rolling origins (Tashman, International Journal of Forecasting 16, 2000, 437-450) compare settings
and not single fits: each fit is on the newest rows that were known at its origin, as it would be
when it serves. The scores of all stretches form one vector. Scores of different fits are not
exactly on one scale, which costs ROC AUC a little, and both of two configurations alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.algorithms import Params
from include.modelling.blocks import days
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


def origins(times: pd.Series[Any] | None, count: int) -> list[int]:
    """Cut rows into stretches of equally many days; of one day only, of equally many rows.

    Rows without a time are one stretch.

    Parameters
    ----------
    times : Series of timestamp, shape (n_rows,), ascending, or None
        When each row was; missing times are at the end.
    count : int
        How many stretches; fewer where there are not so many days.

    Returns
    -------
    list of int
        Where each stretch begins; the first is 0.

    Examples
    --------
    >>> origins(pd.Series(pd.to_datetime(["2013-01-01", "2013-01-01", "2013-01-02"])), 2)
    [0, 2]
    """
    if times is None:
        return [0]
    day = days(times)
    starts = np.flatnonzero(~day.duplicated().to_numpy())
    if len(starts) < 2:
        starts = np.arange(len(day))
    groups = np.array_split(starts, min(count, len(starts)))
    return [int(group[0]) for group in groups]


def scores_at_origins(
    use_case: UseCase,
    candidate: str,
    params: Params,
    train: tuple[pd.DataFrame, pd.Series[Any]],
    holdout: tuple[pd.DataFrame, pd.Series[Any]],
    starts: list[int],
    first: Any | None = None,
    weights: tuple[Floats | None, Floats | None] = (None, None),
) -> Floats:
    """Score the holdout by models that were fitted at each origin.

    Parameters
    ----------
    use_case : UseCase
        Says the task, the columns and ``train.max_rows``, on the newest of which is fitted.
    candidate, params : str, dict
        The configuration.
    train, holdout : tuple of (DataFrame, Series)
        Features in order of time, and labels.
    starts : list of int
        What `origins` gives.
    first : fitted estimator, optional
        The configuration fitted on the training rows alone; made here by default.
    weights : tuple of (ndarray or None, ndarray or None)
        How much each row counts, of `train` and `holdout`; None where all count alike.

    Returns
    -------
    ndarray of shape (n_holdout_rows,) or (n_holdout_rows, n_classes)
    """
    X, _ = holdout
    parts = []
    for start, stop in zip(starts, [*starts[1:], len(X)], strict=True):
        model = first if start == 0 else None
        if model is None:
            learned = known_at(train, holdout, start, use_case)
            weight = _weight_at(weights, len(train[0]), start, use_case)
            model = fit(use_case, candidate, params, *learned, weight=weight)
        parts.append(score_rows(model, X.iloc[start:stop], use_case))
    return np.concatenate(parts)


def known_at(
    train: tuple[pd.DataFrame, pd.Series[Any]],
    holdout: tuple[pd.DataFrame, pd.Series[Any]],
    start: int,
    use_case: UseCase,
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return the newest ``train.max_rows`` rows before a row of the holdout."""
    (train_X, train_y), (X, y) = train, holdout
    begin = max(0, len(train_X) + start - use_case.train.max_rows)
    older, newer = train_X.iloc[begin:], X.iloc[max(0, begin - len(train_X)) : start]
    labels = [train_y.iloc[begin:], y.iloc[max(0, begin - len(train_X)) : start]]
    columns = {name: _joined(older[name], newer[name]) for name in older}
    return pd.DataFrame(columns, copy=False), pd.concat(labels, ignore_index=True)


def _weight_at(
    weights: tuple[Floats | None, Floats | None], rows: int, start: int, use_case: UseCase
) -> Floats | None:
    """Return the weights of the rows that `known_at` returns."""
    older, newer = weights
    if older is None or newer is None:
        return None
    begin = max(0, rows + start - use_case.train.max_rows)
    return np.concatenate([older, newer[:start]])[begin:]


def _joined(older: pd.Series[Any], newer: pd.Series[Any]) -> Any:
    """Append in the narrow type that a training set is kept in: see `training_set.narrow`."""
    if isinstance(older.dtype, pd.CategoricalDtype):
        return pd.api.types.union_categoricals([_texts(older), _texts(newer.astype("category"))])
    return np.concatenate([older.to_numpy(), newer.astype(older.dtype).to_numpy()])


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Give the categories of a column that is missing in all rows the type that others have."""
    texts: Any = values.cat.categories.astype("str")
    return values.cat.rename_categories(texts)
