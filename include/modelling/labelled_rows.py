"""Rows with their labels, the newest of some partitions, read without the older ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import ConfigError, DataContractError
from include.lake.retype import retyped
from include.lake.schemas import CHOSEN, CONFIDENCE, PARTITION
from include.lake.table import Input, Lake, LakeTable
from include.modelling.units import unit_numbers
from include.use_cases.schema import UseCase

LABEL = "label"  # the labels table's column

_TICK_US = 1_000  # Delta's statistics of times are as fine as that


@dataclass(frozen=True)
class LabelledRows:
    """The features and labels of a use case, at fixed versions.

    Attributes
    ----------
    use_case : UseCase
        Says which columns are read, and what orders the rows.
    features : LakeTable
        One row a key in each partition.
    labels : LakeTable or None
        Likewise; None for clustering.
    versions : dict of str to int
        Which Delta version of each is read.
    """

    use_case: UseCase
    features: LakeTable
    labels: LakeTable | None
    versions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, use_case: UseCase, lake: Lake, versions: Mapping[str, int]) -> LabelledRows:
        """Fix the versions: those given by table name, the newest of others.

        Raises
        ------
        ConfigError
            The features table lacks the column that orders the rows.
        """
        features = lake.table(use_case.name, "features")
        labels = None if use_case.labels is None else lake.table(use_case.name, "labels")
        read = [table for table in (features, labels) if table is not None]
        # Looked up before reading: what is read and what is written down must be one version.
        fixed = {
            table.name: versions[table.name] if table.name in versions else table.version()
            for table in read
        }
        there = features.schema(fixed[features.name]).names
        if (by := use_case.train.split.time) is not None and by not in there:
            raise ConfigError(
                f"{use_case.name}: train.split.by must be in the features table, {by!r} is not. "
                "Use the column of ingest.partition.column, or one of ingest.key."
            )
        return cls(use_case, features, labels, fixed)

    @property
    def inputs(self) -> list[Input]:
        """Tables and versions that are read."""
        read = [table for table in (self.features, self.labels) if table is not None]
        return [table.pin(self.versions[table.name]) for table in read]

    def newest(self, partitions: Sequence[str], count: int | None = None) -> pa.Table:
        """Read the newest labelled rows.

        Parameters
        ----------
        partitions : sequence of str
            Sorted.
        count : int, optional
            At most so many rows; all by default.

        Returns
        -------
        Table
            `partition`, key, `train.split.by`, weight, features and label, by time and key. Without
            a time: of a key that is in several partitions the newest row, sorted by a number that
            each key has by chance, for good. Where people were asked, also `_chosen`: see
            `fairly_drawn`; and where trainings weigh by it `_confidence`.
        """
        if self._by is None:
            return self._of_any_time(partitions, count)
        # Partitions follow each other in time, unless rows are ordered by another time.
        in_order = self._by == self.use_case.ingest.partition.column
        parts: list[pa.Table] = []
        for partition in reversed(partitions):
            wanted = count
            if count is not None and in_order:
                wanted = count - sum(part.num_rows for part in parts)
            if wanted == 0:
                break
            parts.insert(0, self._of(partition, wanted))
            if not in_order:
                parts = [_last(self._sorted(pa.concat_tables(parts)), count)]
        return self._sorted(pa.concat_tables(parts))

    def _of_any_time(self, partitions: Sequence[str], count: int | None) -> pa.Table:
        key = self.use_case.ingest.key
        parts: list[pa.Table] = []
        for partition in reversed(partitions):
            rows = self._labelled(partition, None)
            if parts:
                known = pa.concat_tables(part.select(key) for part in parts)
                rows = rows.join(known, key, join_type="left anti")
            parts.append(rows)
            if count is not None and sum(part.num_rows for part in parts) >= count:
                break
        rows = pa.concat_tables(parts)
        numbers = pa.array(unit_numbers(rows, key, "order"))
        order = [("#number", "ascending"), *((name, "ascending") for name in key)]
        in_order = rows.append_column("#number", numbers).sort_by(order).drop_columns(["#number"])
        return _last(in_order, count)

    @property
    def _by(self) -> str | None:
        return self.use_case.train.split.time

    @property
    def _weight(self) -> str | None:
        return self.use_case.train.sample_weight

    @property
    def _columns(self) -> list[str]:
        key, features = self.use_case.ingest.key, self.use_case.features.columns
        times, weight = ([] if name is None else [name] for name in (self._by, self._weight))
        return list(dict.fromkeys([PARTITION, *key, *times, *weight, *features]))

    def _of(self, partition: str, count: int | None) -> pa.Table:
        """Read the newest labelled rows of one partition.

        Which rows have a label is known after reading only: where too few of the newest have, more
        are read.
        """
        by, wanted = self._by, count
        times = None if count is None or by is None else self._times(partition, by)
        while True:
            since = None
            if by is not None and times is not None and (wanted or 0) < len(times):
                since = _since(by, times, wanted or 0)
            rows = self._labelled(partition, since)
            if since is None or count is None or rows.num_rows >= count:
                return _last(self._sorted(rows), count)
            wanted = 2 * (wanted or 0)

    def _times(self, partition: str, by: str) -> Any:
        """When each row of a partition was, in microseconds; a missing time counts as newest."""
        column = self._read([partition], [by])[by].cast(pa.int64())
        return pc.fill_null(column, np.iinfo(np.int64).max).to_numpy()

    def _labelled(self, partition: str, since: Any) -> pa.Table:
        """Read rows and join their labels, which are passed over piece by piece."""
        rows = self._read([partition], self._columns, since)
        if self.labels is None:
            return rows
        key = self.use_case.ingest.key
        kind = pa.int64() if self.use_case.task == "classification" else pa.float64()
        version = self.versions[self.labels.name]
        weighs = self.use_case.train.label_confidence == "weight"
        known = [CHOSEN, CONFIDENCE] if weighs else [CHOSEN]
        known = [name for name in known if self.labels.holds(name, version)]
        matched = [
            # A key is unique within its partition; two months may well hold the same customer.
            rows.join(self._keyed(batch, rows.schema), key, join_type="inner")
            for batch in self.labels.batches([partition], [*key, LABEL, *known], version)
            if batch.num_rows
        ]
        joined = pa.concat_tables(matched)
        position = joined.schema.get_field_index(LABEL)
        # Never missing: a row without an outcome has no label.
        joined = joined.set_column(position, LABEL, joined[LABEL].cast(kind))
        if len(joined.group_by(key).aggregate([])) < joined.num_rows:
            raise DataContractError(
                f"{self.use_case.name}: each key {key} must stand once in the features and in the "
                f"labels of {partition}, but one is repeated. Run ingest_label, validate_clean and "
                f"feature of {partition} again."
            )
        return joined

    def _keyed(self, labels: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
        """Give labels the keys' types of rows: of two tables one may have been retyped already."""
        table = pa.Table.from_batches([labels])
        for name in self.use_case.ingest.key:
            where = f"{self.use_case.name}: labels, column {name!r}"
            values = retyped(table[name], schema.field(name).type, where)
            table = table.set_column(table.column_names.index(name), name, values)
        return table

    def _read(self, partitions: list[str], columns: list[str], where: Any = None) -> pa.Table:
        version = self.versions[self.features.name]
        return self.features.read(partitions, columns, version, where)

    def _sorted(self, rows: pa.Table) -> pa.Table:
        """Sort by time, then key, in an order that is always the same."""
        times = [] if self._by is None else [self._by]
        order = dict.fromkeys([*times, *self.use_case.ingest.key])
        return rows.sort_by([(name, "ascending") for name in order])


def fairly_drawn(rows: pa.Table) -> pa.Array:
    """Tell which rows a model may be judged on: not those that a policy chose for people to label.

    A policy chooses rows that are hard, or contradict rules: figures on them would be those of no
    population. What people labelled by chance is fair, and so is what they did not label, or what
    another strategy labels as well: such a row has no policy in the labels table.

    Parameters
    ----------
    rows : Table
        What `LabelledRows.newest` gives, or labels.

    Examples
    --------
    >>> fairly_drawn(pa.table({"_chosen": [None, "random", "uncertain"]})).to_pylist()
    [True, True, False]
    """
    if CHOSEN not in rows.column_names:
        return pa.repeat(True, rows.num_rows)
    return pc.fill_null(pc.equal(rows[CHOSEN], "random"), True)


def _since(by: str, times: Any, wanted: int) -> Any:
    """Make a filter that the newest rows pass: so many, and those of the same time as the last."""
    last = np.partition(times, len(times) - wanted)[len(times) - wanted]
    if last == np.iinfo(np.int64).max:
        return pc.field(by).is_null()
    kind = pa.timestamp("us", "UTC")
    bound = pa.scalar(int(last) - _TICK_US).cast(kind)
    return (pc.field(by) >= bound) | pc.field(by).is_null()


def _last(rows: pa.Table, count: int | None) -> pa.Table:
    return rows if count is None else rows.slice(max(0, rows.num_rows - count))
