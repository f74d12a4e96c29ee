"""Features of a request without pandas, where the use case has no `derive`.

pandas takes 2 to 4 milliseconds for the frames of one row, whatever is done with them. What is made
here is what `include.modelling.features.feature_arrays` makes of the same rows: a test compares the
two. What this module does not know is left to that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.modelling.features import LARGEST, MISSING, InfiniteFeatureError
from include.modelling.references import Indexed
from include.serving.protocol import Rows
from include.use_cases.schema import Columns, UseCase
from include.use_cases.sections.values import TIMES

MOST_KEYS = 500_000
"""A dict of so many keys takes about 100 MB; pandas' own index takes a larger reference."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = ("int64", "float64", "bool")
_TEXTS: dict[str, Callable[[Any], str]] = {"string": str, "int64": str, "bool": str}
"""How a value reads as a category: as pandas writes it. Of floats and times pandas decides."""

Cells = Sequence[Any]


@dataclass(frozen=True, eq=False)
class _Table:
    """A reference: where the row of each key is, and the columns that features take."""

    name: str
    keys: tuple[str, ...]
    places: Mapping[Any, int]
    indexed: Indexed
    columns: Mapping[str, npt.NDArray[Any]]

    def find(self, cells: Mapping[str, Cells], times: Cells | None) -> npt.NDArray[np.intp]:
        columns = [cells[name] for name in self.keys]
        wanted = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        found = np.array([self.places.get(key, -1) for key in wanted], dtype=np.intp)
        if self.indexed.changes is not None and times is not None:
            ticks = np.array([(time - _EPOCH) // _MICROSECOND for time in times], dtype=np.int64)
            found = self.indexed.changes.at(found, ticks)
        return found


class PlainFeatures:
    """Makes the features of checked rows."""

    def __init__(self, use_case: UseCase, types: Columns, tables: list[_Table]) -> None:
        self._use_case = use_case
        self._types = types
        self._tables = tables
        self._source = {name: table for table in tables for name in table.columns}
        needed = {name for table in tables for name in table.keys}
        needed |= {name for name in use_case.features.columns if name not in self._source}
        if use_case.time_input is not None:
            needed.add(use_case.time_input)
        self._inputs = [name for name in use_case.features.inputs if name in needed]
        self._fillers = {
            name: int(filler) if types.get(name) == "int64" else filler
            for name, filler in use_case.clean.missing.items()
            if filler != "drop"
        }

    def __call__(
        self, requests: Sequence[Rows], unjoined: dict[str, npt.NDArray[np.intp]] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Make the features of the rows of several requests.

        Parameters
        ----------
        requests : sequence of Rows
            Checked rows.
        unjoined : dict, optional
            As in `include.modelling.features.feature_arrays`.

        Returns
        -------
        dict of str to ndarray
            float64 of numeric features, NaN where missing; objects of categorical ones.

        Raises
        ------
        InfiniteFeatureError
            A number is too large for an estimator.
        """
        cells = {name: self._cells(name, requests) for name in self._inputs}
        time = self._use_case.time_input
        times = None if time is None else cells[time]
        found = {table.name: table.find(cells, times) for table in self._tables}
        if unjoined is not None:
            unjoined |= {
                name: np.flatnonzero(at < 0) for name, at in found.items() if (at < 0).any()
            }
        features: dict[str, npt.NDArray[Any]] = {}
        for name in self._use_case.features.numeric:
            if (table := self._source.get(name)) is not None:
                numbers = table.columns[name][found[table.name]]
            else:
                numbers = as_numbers(cells[name])
            self._check(name, numbers)
            features[name] = numbers
        for name in self._use_case.features.categorical:
            if (table := self._source.get(name)) is not None:
                features[name] = table.columns[name][found[table.name]]
            else:
                features[name] = as_texts(cells[name], self._types[name])
        return features

    def _cells(self, name: str, requests: Sequence[Rows]) -> Cells:
        """Collect a column and clean it as `include.modelling.cleaning` does."""
        cells = [cell for rows in requests for cell in rows.columns[name]]
        if (possible := self._use_case.clean.noise.get(name)) is not None:
            low, high = possible
            cells = [None if cell is None or not low <= cell <= high else cell for cell in cells]
        if name in self._fillers:
            filler = self._fillers[name]
            cells = [filler if cell is None else cell for cell in cells]
        return cells

    def _check(self, name: str, numbers: npt.NDArray[np.float64]) -> None:
        too_large = np.abs(numbers) > LARGEST
        if too_large.any():
            raise InfiniteFeatureError(self._use_case.name, name, int(np.argmax(too_large)))


def plain_features(
    use_case: UseCase, types: Columns, references: Mapping[str, Indexed]
) -> PlainFeatures | None:
    """Prepare the features of a use case without `derive`; None where only pandas will do.

    Parameters
    ----------
    use_case : UseCase
        What is joined and what is kept.
    types : dict of str to ColumnType
        The columns of a request.
    references : mapping of str to Indexed
        The tables of `features.references`.
    """
    tables = []
    for name in use_case.features.references:
        table = _table(use_case, name, references[name], types)
        if table is None:
            return None
        tables.append(table)
    joined = [use_case.ingest.references[name] for name in use_case.features.references]
    made = {column for reference in joined for column in reference.values}
    if any(types.get(name) in TIMES for name in use_case.clean.missing):
        return None  # a time to fill in is written as text
    for names, kinds in (
        (use_case.features.numeric, _NUMBERS),
        (use_case.features.categorical, tuple(_TEXTS)),
    ):
        for feature in names:
            if feature not in made and types.get(feature) not in kinds:
                return None
    return PlainFeatures(use_case, types, tables)


def as_numbers(cells: Cells) -> npt.NDArray[np.float64]:
    """Make float64 of numbers and truth values, NaN where missing."""
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def as_texts(cells: Cells, kind: str) -> npt.NDArray[np.object_]:
    """Make texts, "missing" where missing."""
    written = _TEXTS[kind]
    texts = np.empty(len(cells), dtype=object)
    texts[:] = [MISSING if cell is None else written(cell) for cell in cells]
    return texts


def _table(
    use_case: UseCase, reference_name: str, indexed: Indexed, types: Columns
) -> _Table | None:
    reference, keys = use_case.ingest.references[reference_name], indexed.keys
    missing = keys.to_frame().isna().to_numpy().any()  # pandas finds them by a missing value
    if len(keys) > MOST_KEYS or missing or any(types.get(k) is None for k in reference.key):
        return None
    columns: dict[str, npt.NDArray[Any]] = {}
    features = use_case.features
    for name, values in indexed.values.items():
        kind, cells = reference.columns[name], _cells_of(values)
        # The last value is what the place -1 finds: a row that is not there.
        if name in features.numeric and kind in _NUMBERS:
            columns[name] = as_numbers([*cells, None])
        elif name in features.categorical and kind in _TEXTS:
            columns[name] = as_texts([*cells, None], kind)
        elif name in features.columns:
            return None
    places = {key: place for place, key in enumerate(map(_key_of, keys.tolist()))}
    return _Table(reference_name, tuple(reference.key), places, indexed, columns)


def _cells_of(values: Any) -> list[Any]:
    series = pd.Series(values)
    return [
        None if gone else cell for cell, gone in zip(series.tolist(), series.isna(), strict=True)
    ]


def _key_of(key: Any) -> Any:
    """Return a key as it stands in a request: times as datetimes."""
    if isinstance(key, tuple):
        return tuple(map(_key_of, key))
    return key.to_pydatetime() if isinstance(key, pd.Timestamp) else key
