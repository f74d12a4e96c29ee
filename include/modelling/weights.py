"""The weights of rows: their own in fits and metrics, those of their classes in fits alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.lake.schemas import CONFIDENCE
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


def weight_in(rows: pa.Table, use_case: UseCase) -> Floats | None:
    """Read the weights of rows (`train.sample_weight`), None where all count alike.

    Raises
    ------
    DataContractError
        A weight is missing, below 0 or infinite, or all rows weigh nothing: there would be nothing
        to learn from, or to judge by.
    """
    name = use_case.train.sample_weight
    if name is None:
        return None
    weight = np.asarray(rows[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    check_weight(weight, use_case)
    if len(weight) and not weight.any():
        raise DataContractError(
            f"{use_case.name}: some rows must weigh more than 0, but train.sample_weight {name!r} "
            f"is 0 in all {len(weight)} of them. Correct the column, or remove the key."
        )
    return weight


def learning_weight(rows: pa.Table, use_case: UseCase) -> Floats | None:
    """Return how much rows count where a model learns from them, None where all count alike.

    Their own weight, times the confidence of their label where `train.label_confidence` says so; a
    label without one counts whole.

    Parameters
    ----------
    rows : Table
        As `LabelledRows.newest` gives them.
    use_case : UseCase
        Says by which columns.

    Raises
    ------
    DataContractError
        As `weight_in`.
    """
    own = weight_in(rows, use_case)
    if use_case.train.label_confidence == "ignore" or CONFIDENCE not in rows.column_names:
        return own
    sure = np.asarray(pc.fill_null(rows[CONFIDENCE], 1.0).to_numpy(), dtype=np.float64)
    return sure if own is None else own * sure


def check_weight(weight: Floats, use_case: UseCase, first_row: int = 0) -> None:
    """Refuse weights that are missing, below 0 or infinite.

    Raises
    ------
    DataContractError
        Which row, counted from `first_row`, and what it has.
    """
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        name, value = use_case.train.sample_weight, weight[wrong[0]]
        found = "no value" if np.isnan(value) else f"{value:g}"
        raise DataContractError(
            f"{use_case.name}: train.sample_weight {name!r} must be a number of 0 or more in each "
            f"row, but {len(wrong)} of {len(weight)} rows have another, first clean row "
            f"{first_row + wrong[0] + 1} with {found}. Correct it where it is landed, or say under "
            f"clean.missing.{name} what replaces a missing one; then run feature again."
        )


def fit_weight(use_case: UseCase, y: pd.Series[Any] | None, weight: Floats | None) -> Floats | None:
    """Return how much each row counts in a fit; None where all count alike.

    It is the row's own weight (`train.sample_weight`) times that of its class. 'balanced' gives all
    classes that have rows the same sum, and leaves the sum of all weights as it is (King and Zeng,
    Political Analysis 9, 2001, 137-163; scikit-learn's ``class_weight="balanced"``).

    Parameters
    ----------
    use_case : UseCase
        Gives `train.class_weight` and the names of the classes.
    y : Series or None
        Numbers of classes, or other labels.
    weight : ndarray, optional
        The rows' own.

    Raises
    ------
    DataContractError
        All of them are 0, as may be in one fold: there is nothing to learn from.
    """
    by_class = use_case.train.class_weight
    if weight is not None and len(weight) and not weight.any():
        raise DataContractError(
            f"{use_case.name}: all {len(weight)} rows that one fit learns from weigh 0 by "
            f"train.sample_weight {use_case.train.sample_weight!r}. Give more rows a weight, or "
            "lower train.split.folds."
        )
    if by_class is None or y is None:
        return weight
    own = np.ones(len(y)) if weight is None else weight
    classes = y.to_numpy(dtype=np.intp)
    names = use_case.class_names or ["0", "1"]
    if isinstance(by_class, dict):
        of_class = np.array([by_class.get(name, 1.0) for name in names])
    else:
        sums = np.bincount(classes, own, len(names))
        there = np.count_nonzero(sums)
        of_class = np.divide(sums.sum(), there * sums, out=np.zeros(len(names)), where=sums > 0)
    return np.asarray(own * of_class[classes], dtype=np.float64)
