"""Reference tables: read for the rows at hand, and looked up by key and time.

A reference that lands whole holds each key once, or, with `as_of`, each key as often as it changed.
One that lands per partition is a snapshot, unless a time is part of its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import take

from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.schemas import arrow_schema
from include.lake.table import Input, Lake
from include.use_cases.schema import Reference, UseCase
from include.use_cases.sections.values import TIMES

MANY_KEYS = 100_000
"""Above so many different keys at hand a reference is read whole: the filter would cost more."""

_TICK = timedelta(milliseconds=1)  # Delta's statistics of times are as fine as that


@dataclass(frozen=True)
class Indexed:
    """A reference whose rows are found without a look at all of them.

    Attributes
    ----------
    values : dict of str to array
        The joined columns, by name.
    keys : Index
        Each key once, in the order of the rows.
    changes : _Changes or None
        When the rows of each key begin to hold; None where there is one row a key.
    """

    values: dict[str, Any]
    keys: pd.Index[Any]
    changes: _Changes | None = None

    def find(self, keys: list[Any], times: Any) -> npt.NDArray[np.intp]:
        """Find the row of the reference for each key, many to one; -1 where there is none.

        Parameters
        ----------
        keys : list of array
            The key columns of the rows.
        times : array of datetime64 or None
            When the rows were; a reference without `as_of` does not look at it.
        """
        wanted = pd.Index(keys[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(keys)
        found = self.keys.get_indexer(wanted)
        if self.changes is not None:
            found = self.changes.at(found, _ticks(times))
        return found

    def take(self, found: npt.NDArray[np.intp]) -> dict[str, Any]:
        """Take the joined columns at positions; of -1 the type's missing value."""
        return {name: take(value, found, allow_fill=True) for name, value in self.values.items()}


@dataclass(frozen=True)
class _Changes:
    """Rows of a reference in the order of key and time, each as one number that rises.

    A number is the key's place times `width`, plus how many of all moments have come by then.
    """

    moments: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    @property
    def width(self) -> int:
        return len(self.moments) + 1

    def at(self, keys: npt.NDArray[np.intp], times: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Position of the newest row of each key at or before a time; -1 where there is none."""
        come = np.searchsorted(self.moments, times, side="right")
        found = np.searchsorted(self.numbers, keys * self.width + come, side="right") - 1
        held = (found >= 0) & (keys >= 0)
        held[held] = self.numbers[found[held]] // self.width == keys[held]
        return np.where(held, found, -1)


def index_reference(frame: pd.DataFrame, reference: Reference, subject: str) -> Indexed:
    """Index a reference by its key, and by `as_of` where it has one.

    Raises
    ------
    DataContractError
        A column is missing, or a key is there twice (with `as_of`: twice from the same time on): a
        join would then make rows out of nothing.
    """
    for what, names in (("key", reference.unique), ("columns", reference.values)):
        if absent := [name for name in names if name not in frame.columns]:
            raise DataContractError(
                f"{subject} must have its {what} {names}, but lacks {absent}. Land it with them."
            )
    keys: pd.Index[Any] = (
        pd.Index(frame[reference.key[0]].array)
        if len(reference.key) == 1
        else pd.MultiIndex.from_arrays([frame[name].array for name in reference.key])
    )
    changes = None
    if reference.as_of is None:
        repeated = keys.duplicated() if not keys.is_unique else None
    else:
        each = keys.unique()
        frame, changes = _in_order(frame, each.get_indexer(keys), reference.as_of)
        keys, repeated = each, np.diff(changes.numbers, prepend=-1) == 0
    if repeated is not None and repeated.any():
        first = frame[reference.unique][repeated].iloc[0].tolist()
        raise DataContractError(
            f"{subject} must have each key {reference.unique} once, but {repeated.sum()} are "
            f"repeated, the first is {first}. Land the reference without repetitions."
        )
    return Indexed({name: frame[name].array for name in reference.values}, keys, changes)


def load_references(
    use_case: UseCase,
    lake: Lake,
    pins: Mapping[str, int] | None = None,
    rows: pa.Table | None = None,
    partition: str | None = None,
) -> tuple[dict[str, Indexed], list[Input]]:
    """Read the reference tables that features need.

    Parameters
    ----------
    use_case : UseCase
        Its `features.references` are read.
    lake : Lake
        Where they are.
    pins : mapping of str to int, optional
        Delta version to read, by table name (`flight_delays.reference_planes`); the newest where
        absent.
    rows : Table, optional
        Clean rows: only what these can find is read. By default all that any row can find.
    partition : str, optional
        The partition of the rows: they are joined with the snapshots of it. By default with the
        newest ones, as a request is.

    Returns
    -------
    references : dict of str to Indexed
    inputs : list of Input
        Which version of each was read.
    """
    references: dict[str, Indexed] = {}
    inputs: list[Input] = []
    for name in use_case.features.references:
        reference = use_case.ingest.references[name]
        table = lake.table(use_case.name, f"reference_{name}")
        version = (pins or {}).get(table.name, -1)
        version = table.version() if version < 0 else version
        data = table.read(
            partitions=_partitions(reference, table.partitions(version), partition, use_case),
            columns=arrow_schema(reference.columns),
            version=version,
            where=None if rows is None else _at_hand(reference, rows, use_case),
        )
        subject = f"{use_case.name}: reference {name!r}"
        references[name] = index_reference(to_pandas(data), reference, subject)
        inputs.append(table.pin(version))
    return references, inputs


def _partitions(
    reference: Reference, there: list[str], partition: str | None, use_case: UseCase
) -> list[str] | None:
    """Choose the partitions to read; None for all."""
    if not reference.partitioned:
        return None
    if reference.snapshot:
        return [partition or there[-1]]
    if partition is None:
        return None
    if use_case.ingest.partition.column in reference.key:  # ingestion checked where its rows are
        return [partition]
    return [each for each in there if each <= partition] if reference.as_of else None


def _at_hand(reference: Reference, rows: pa.Table, use_case: UseCase) -> Any:
    """Make a filter of the keys and times of rows; what it lets pass beside them does no harm."""
    return reduce(and_, _conditions(reference, rows, use_case), pc.scalar(True))


def _conditions(reference: Reference, rows: pa.Table, use_case: UseCase) -> Iterator[Any]:
    for name in reference.key:
        if reference.columns[name] in TIMES:
            yield from _within(name, rows[name])
        elif len(keys := pc.unique(rows[name])) <= MANY_KEYS:
            yield pc.field(name).isin(keys)
    if reference.as_of is not None:
        yield from _within(reference.as_of, rows[use_case.time_input], since_ever=True)


def _within(name: str, times: pa.ChunkedArray, since_ever: bool = False) -> Iterator[Any]:
    ends = pc.min_max(times).as_py()
    if ends["max"] is not None:
        yield pc.field(name) <= pa.scalar(ends["max"], times.type)
        if not since_ever:
            yield pc.field(name) >= pa.scalar(ends["min"] - _TICK, times.type)


def _in_order(
    frame: pd.DataFrame, keys: npt.NDArray[np.intp], as_of: str
) -> tuple[pd.DataFrame, _Changes]:
    """Sort the rows by key and time."""
    times = _ticks(frame[as_of].array)
    moments = np.unique(times)
    numbers = keys * (len(moments) + 1) + np.searchsorted(moments, times, side="right")
    order = np.argsort(numbers, kind="stable")
    return frame.iloc[order], _Changes(moments, numbers[order])


def _ticks(times: Any) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; a missing time is before all others."""
    return np.asarray(pd.DatetimeIndex(times).as_unit("us").asi8)
