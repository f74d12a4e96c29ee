"""What the landed files of one partition become: the rows of a table, each declared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.due.stages import ALL
from include.errors import ConfigError, DataContractError
from include.ingest_label.cells import ARROW_TYPES
from include.ingest_label.landing import WHOLE
from include.ingest_label.outcomes import check_keys, make_labels
from include.labelling.contract import labels_schema
from include.lake.schemas import FILE
from include.lake.table import Lake, LakeTable
from include.partitions import end_of, start_of
from include.use_cases.schema import Columns, Labels, Partition, UseCase
from include.use_cases.sections.format import Format

Made = Callable[[pa.Table, str], pa.Table]
"""Turns the rows of one landed file into rows of the lake; the path is for messages."""


@dataclass(frozen=True)
class Intake:
    """What is made of the files that landed for one partition of one table.

    Attributes
    ----------
    use_case : UseCase
        Whose files.
    stage : str
        The table's stage, such as `raw` or `reference_planes`.
    table : LakeTable
        The table.
    partition : str
        The partition in the table.
    subject : str
        What it is, for messages.
    columns : dict of str to ColumnType
        What is read of a file.
    key : sequence of str
        The columns that name a row.
    schema : Schema
        Of the rows in the table, with `FILE`.
    make : callable
        From a file's rows to the table's, without `FILE`.
    format : Format
        How the files are written.
    format_key : str
        Where that stands in `use_case.yaml`, for messages.
    elsewhere : frozenset of str
        Columns that are read of the same files for another table.
    """

    use_case: UseCase
    stage: str
    table: LakeTable
    partition: str
    subject: str
    columns: Columns
    key: Sequence[str]
    schema: pa.Schema
    make: Made
    format: Format
    format_key: str
    elsewhere: frozenset[str] = frozenset()

    @property
    def landed(self) -> str:
        """The partition in the inventory."""
        return WHOLE if self.partition == ALL else self.partition


def rows_intake(use_case: UseCase, partition: str, lake: Lake) -> Intake:
    """Declare the rows of a partition: as they landed, all of its own time."""
    ingest, subject = use_case.ingest, f"{use_case.name}: rows of {partition}"

    def make(rows: pa.Table, path: str) -> pa.Table:
        _check_partition(rows, ingest.partition, partition, f"{subject} in {path}")
        return rows

    return Intake(
        use_case, "raw", lake.table(use_case.name, "raw"), partition, subject,
        ingest.columns, ingest.key, _schema(ingest.columns), make,
        ingest.format, "ingest.format", _elsewhere(use_case),
    )  # fmt: skip


def labels_intake(use_case: UseCase, partition: str, lake: Lake) -> Intake:
    """Declare the labels of a partition: read off outcomes, with a complete key.

    Raises
    ------
    ConfigError
        The use case has no labels.
    """
    labels, ingest = use_case.labels, use_case.ingest
    if labels is None:
        raise ConfigError(f"{use_case.name}: a {use_case.task} use case has no labels to ingest.")
    subject = f"{use_case.name}: outcomes of {partition}"
    timed = ingest.partition.column in labels.columns  # None, where rows have no time, is not

    def make(outcomes: pa.Table, path: str) -> pa.Table:
        if timed:
            _check_partition(outcomes, ingest.partition, partition, f"{subject} in {path}")
        return make_labels(outcomes, use_case, labels, f"{subject} in {path}")

    schema = labels_schema(use_case, labels).append(_FILE_FIELD)
    return Intake(
        use_case, "labels", lake.table(use_case.name, "labels"), partition, subject,
        labels.columns, ingest.key, schema, make,
        labels.format, _labels_format(labels), _elsewhere(use_case),
    )  # fmt: skip


def reference_intake(use_case: UseCase, name: str, partition: str, lake: Lake) -> Intake:
    """Declare one partition of a reference, `ALL` of one that lands whole."""
    reference, stage = use_case.ingest.references[name], f"reference_{name}"
    timed = reference.partitioned and use_case.ingest.partition.column in reference.columns
    subject = f"{use_case.name}: reference {name!r}, partition {partition!r}"

    def make(rows: pa.Table, path: str) -> pa.Table:
        check_keys(rows, reference.unique, f"{subject} in {path}")
        if timed:
            _check_partition(rows, use_case.ingest.partition, partition, f"{subject} in {path}")
        return rows

    return Intake(
        use_case, stage, lake.table(use_case.name, stage), partition, subject,
        reference.columns, reference.unique, _schema(reference.columns), make,
        reference.format, f"ingest.references.{name}.format",
    )  # fmt: skip


def _labels_format(labels: Labels) -> str:
    return "ingest.format" if labels.strategy == "column" else "labels.format"


def _elsewhere(use_case: UseCase) -> frozenset[str]:
    """Return the columns of rows and labels, where both are read of the same files."""
    labels, ingest = use_case.labels, use_case.ingest
    if labels is None or labels.landing != ingest.landing:
        return frozenset()
    return frozenset({*ingest.columns, *labels.columns})


_FILE_FIELD = pa.field(FILE, pa.string())


def _schema(columns: Columns) -> pa.Schema:
    fields = [pa.field(name, ARROW_TYPES[kind]) for name, kind in columns.items()]
    return pa.schema([*fields, _FILE_FIELD])


def _check_partition(rows: pa.Table, declared: Partition, partition: str, subject: str) -> None:
    """Refuse rows that belong elsewhere: they would be counted twice, or never.

    Without a time column rows belong where they have landed.
    """
    if declared.column is None:
        return
    first, end = (edge(partition, declared.grain) for edge in (start_of, end_of))
    times = rows[declared.column]
    kind = times.type
    within = pc.and_(
        pc.greater_equal(times, pa.scalar(first, kind)), pc.less(times, pa.scalar(end, kind))
    )
    outside = pc.invert(pc.fill_null(within, False))
    count = pc.sum(outside, min_count=0).as_py()
    if count:
        row = pc.index(outside, True).as_py()
        raise DataContractError(
            f"{subject}: {declared.column!r} must be from {first:%Y-%m-%dT%H:%MZ} until before "
            f"{end:%Y-%m-%dT%H:%MZ}, but {count} of {rows.num_rows} rows are outside, first "
            "data row "
            f"{row + 1} with {times[row].as_py()}. Land them in the folder of their own "
            "partition (UTC)."
        )
