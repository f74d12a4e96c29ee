"""From rows to what an estimator sees: one function for training, batches and single requests.

That training and serving build features alike is not a hope: both call this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import take

from include.errors import ConfigError, DataContractError
from include.lake.frames import to_pandas
from include.lake.schemas import arrow_schema
from include.lake.table import Input, Lake
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import Reference, UseCase

MISSING = "missing"
# Forests compute in float32 and refuse what overflows there.
_LARGEST = float(np.finfo("float32").max)


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
            f"{_LARGEST:.2g} counts: forests compute in float32). Look for a division by zero in "
            "features.py."
        )
        self.feature = feature
        self.row = row


def build_features(
    rows: pd.DataFrame,
    references: Mapping[str, pd.DataFrame],
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
    references : mapping of str to DataFrame
        The tables of `features.references`, as `load_references` gives them: looking up is fastest
        with the key as index. With the key as columns they are indexed here.
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
        columns |= _looked_up(columns, references, name, use_case)
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
    features |= {name: _texts(frame[name]) for name in use_case.features.categorical}
    return pd.DataFrame(features, index=rows.index, copy=False)


def load_references(
    use_case: UseCase, lake: Lake, pins: Mapping[str, int] | None = None
) -> tuple[dict[str, pd.DataFrame], list[Input]]:
    """Read the reference tables that features need, each indexed by its key.

    Parameters
    ----------
    use_case : UseCase
        Its `features.references` are read.
    lake : Lake
        Where they are.
    pins : mapping of str to int, optional
        Delta version to read, by table name (`flight_delays.reference_planes`); the newest where
        absent.

    Returns
    -------
    references : dict of str to DataFrame
    inputs : list of Input
        Which version of each was read.
    """
    references: dict[str, pd.DataFrame] = {}
    inputs: list[Input] = []
    for name in use_case.features.references:
        reference, table = (
            use_case.ingest.references[name],
            lake.table(use_case.name, f"reference_{name}"),
        )
        version = (pins or {}).get(table.name, -1)
        version = table.version() if version < 0 else version
        data = table.read(columns=arrow_schema(reference.columns), version=version)
        references[name] = index_reference(
            to_pandas(data), reference, f"{use_case.name}: reference {name!r}"
        )
        inputs.append(table.pin(version))
    return references, inputs


def index_reference(frame: pd.DataFrame, reference: Reference, subject: str) -> pd.DataFrame:
    """Index a reference by its key, and refuse a key that stands in it twice.

    Raises
    ------
    DataContractError
        A key column is missing, or a key is there twice: a join would then make rows out of
        nothing.
    """
    if list(frame.index.names) != reference.key:
        absent = [name for name in reference.key if name not in frame.columns]
        if absent:
            raise DataContractError(
                f"{subject} must have its key {reference.key}, but lacks {absent}."
            )
        frame = frame.set_index(reference.key)
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()]
        raise DataContractError(
            f"{subject} must have each key {reference.key} once, but {len(twice)} are repeated, "
            f"the first is {twice.tolist()[0]!r}. Land the reference without repetitions."
        )
    return frame


def _looked_up(
    columns: Mapping[str, Any], references: Mapping[str, pd.DataFrame], name: str, use_case: UseCase
) -> dict[str, Any]:
    """Left join, many to one, by position: a merge would hash the reference at each request."""
    subject, declared = f"{use_case.name}: reference {name!r}", use_case.ingest.references[name]
    if name not in references:
        raise DataContractError(
            f"{subject} is needed and was not given, only {sorted(references)}."
        )
    reference = index_reference(references[name], declared, subject)
    values = [c for c in declared.columns if c not in declared.key]
    absent = [c for c in values if c not in reference.columns]
    if absent:
        raise DataContractError(f"{subject} must have the columns {values}, but lacks {absent}.")
    keys = [columns[c] for c in declared.key]
    wanted = pd.Index(keys[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(keys)
    found = reference.index.get_indexer(wanted)
    # Position -1, "not there", becomes the type's own missing value.
    return {c: take(reference[c].array, found, allow_fill=True) for c in values}


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
    too_large = np.abs(numbers) > _LARGEST
    if too_large.any():
        raise InfiniteFeatureError(use_case, feature, column.index[too_large].tolist()[0])
    return numbers


def _texts(column: pd.Series) -> Any:
    texts = column.astype("str")
    return (texts.where(column.notna(), MISSING) if column.hasnans else texts).array
