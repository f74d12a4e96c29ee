"""From rows to what an estimator sees: one function for training, batches and single requests.

That training and serving build features alike is not a hope: both call this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import ConfigError, DataContractError
from include.modelling.references import Indexed, index_reference
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

References = Mapping[str, Indexed | pd.DataFrame]

MISSING = "missing"
# Forests compute in float32 and refuse what overflows there.
LARGEST = float(np.finfo("float32").max)


class InfiniteFeatureError(DataContractError):
    """A feature is infinite, or too large for an estimator.

    Parameters
    ----------
    use_case : str
        Whose feature it is.
    feature : str
        Its name.
    row : object
        Label of the first such row in the index of the rows.
    """

    def __init__(self, use_case: str, feature: str, row: object) -> None:
        super().__init__(
            f"{use_case}: feature {feature!r} must be finite, got infinity in row {row!r} (beyond "
            f"{LARGEST:.2g} counts: forests compute in float32). Look for a division by zero in "
            "features.py."
        )
        self.feature = feature
        self.row = row


def build_features(
    rows: pd.DataFrame,
    references: References,
    use_case: UseCase,
    python: OwnPython,
) -> pd.DataFrame:
    """Build the estimator's columns.

    Of `rows` only `features.inputs` are looked at, so nothing that is unknown at prediction time
    can slip in.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, >= n_inputs)
        Clean rows or request rows; further columns are ignored.
    references : mapping of str to Indexed or DataFrame
        The tables of `features.references`, as `load_references` gives them. A frame is indexed
        here, at each call.
    use_case : UseCase
        Says what is joined and what is kept.
    python : OwnPython
        The use case's own: of the working tree for the features table, of the model's package where
        a model answers.

    Returns
    -------
    DataFrame of shape (n_rows, n_numeric + n_categorical)
        Index and order of `rows`. Numeric columns are float64, NaN where missing; categorical ones
        are text, "missing" where missing.

    Raises
    ------
    DataContractError
        A column or reference is missing, has the wrong type, or a reference has a key twice.
    ConfigError
        A feature is neither an input, nor in a reference, nor made by `features.py`.
    """
    columns = feature_arrays(rows, references, use_case, python)
    return pd.DataFrame(columns, index=rows.index, copy=False)


def feature_arrays(
    rows: pd.DataFrame,
    references: References,
    use_case: UseCase,
    python: OwnPython,
    unjoined: dict[str, npt.NDArray[np.intp]] | None = None,
) -> dict[str, Any]:
    """Build the columns of `build_features` as arrays by name.

    For a single request a frame of them would cost more than the model does. `unjoined`, where it
    is given, gets the places of rows that a reference has no row for, by the reference's name.
    """
    absent = [name for name in use_case.features.inputs if name not in rows.columns]
    if absent:
        raise DataContractError(
            f"{use_case.name}: rows must have the columns of features.inputs, but lack "
            f"{absent}. Add them."
        )
    # Arrays by name and one frame at the end: for a single request most of the time is pandas
    # making frames.
    columns = {name: rows[name].array for name in use_case.features.inputs}
    for name in use_case.features.references:
        found, joined = _looked_up(columns, references, name, use_case)
        columns |= joined
        if unjoined is not None and (found < 0).any():
            unjoined[name] = np.flatnonzero(found < 0)
    frame = _derived(pd.DataFrame(columns, index=rows.index, copy=False), use_case, python)
    unmade = [name for name in use_case.features.columns if name not in frame.columns]
    if unmade:
        raise ConfigError(
            f"{use_case.name}: features names {unmade}, which neither features.inputs nor a "
            "reference has "
            "and features.py does not make. Make them in derive(), or remove them."
        )
    features: dict[str, Any] = {
        name: _numbers(frame[name], use_case.name, name) for name in use_case.features.numeric
    }
    return features | {name: _texts(frame[name]) for name in use_case.features.categorical}


def _looked_up(
    columns: Mapping[str, Any], references: References, name: str, use_case: UseCase
) -> tuple[npt.NDArray[np.intp], dict[str, Any]]:
    """Left join, many to one, by position: a merge would hash the reference at each request."""
    subject, declared = f"{use_case.name}: reference {name!r}", use_case.ingest.references[name]
    if name not in references:
        raise DataContractError(
            f"{subject} is needed and was not given, only {sorted(references)}."
        )
    given = references[name]
    indexed = given if isinstance(given, Indexed) else index_reference(given, declared, subject)
    times = None if use_case.time_input is None else columns[use_case.time_input]
    found = indexed.find([columns[key] for key in declared.key], times)
    return found, indexed.take(found)


def _derived(frame: pd.DataFrame, use_case: UseCase, python: OwnPython) -> pd.DataFrame:
    module = python.module()
    if module is None:
        return frame
    derived = module.derive(frame)
    if not isinstance(derived, pd.DataFrame) or not derived.index.equals(frame.index):
        raise ConfigError(
            f"{use_case.name}: derive() in features.py must return a DataFrame with the rows "
            "it was given, "
            "in their order. Do not drop, add or sort rows in it."
        )
    return derived


def _numbers(column: pd.Series, use_case: str, feature: str) -> npt.NDArray[np.float64]:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        if column.isna().all():  # one request row without the value has no type to speak of
            return np.full(len(column), np.nan)
        raise DataContractError(
            f"{use_case}: feature {feature!r} must be numeric, got {column.dtype}. Make it a "
            "number in features.py, or list it under features.categorical."
        )
    numbers = column.to_numpy(dtype="float64", na_value=np.nan)
    too_large = np.abs(numbers) > LARGEST
    if too_large.any():
        raise InfiniteFeatureError(use_case, feature, column.index[too_large].tolist()[0])
    return numbers


def _texts(column: pd.Series) -> Any:
    texts = column.astype("str")
    return (texts.where(column.notna(), MISSING) if column.hasnans else texts).array
