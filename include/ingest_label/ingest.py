"""Rows, labels and references from the landing into the lake."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.due.wanted import Wanted
from include.errors import ConfigError, DataContractError
from include.ingest_label.files import ARROW_TYPES
from include.ingest_label.landing import WHOLE, Landing
from include.ingest_label.outcomes import check_keys, labels_schema, make_labels
from include.lake.table import Lake, Writer
from include.partitions import end_of, start_of
from include.use_cases.schema import Columns, Partition, UseCase

log = logging.getLogger(__name__)

SOURCE = "landing"
ALL = "all"  # the partition of a reference that lands whole


@dataclass(frozen=True)
class RowsIngested:
    """What `ingest_rows` published."""

    partition: str
    rows: int
    files: int
    version: int
    partition_version: int
    changed: bool


@dataclass(frozen=True)
class LabelsIngested:
    """What `ingest_labels` published; `positive_share` is None for regression."""

    partition: str
    rows: int
    without_outcome: int
    positive_share: float | None
    version: int
    partition_version: int
    changed: bool


@dataclass(frozen=True)
class ReferenceIngested:
    """What `ingest_reference` published of one reference and partition."""

    name: str
    partition: str
    rows: int
    version: int
    partition_version: int
    changed: bool


def wanted_raw(use_case: UseCase, landing: Landing) -> Wanted:
    """Say what each partition of `raw` would be made from now: what has landed for it."""
    landed = landing.partitions(use_case.ingest.landing, use_case.ingest.partition.grain)
    return _wanted(use_case, "raw", landed)


def wanted_labels(use_case: UseCase, landing: Landing) -> Wanted:
    """Say what each partition of `labels` would be made from now."""
    if use_case.labels is None:
        return {}
    landed = landing.partitions(use_case.labels.landing, use_case.ingest.partition.grain)
    return _wanted(use_case, "labels", landed)


def wanted_reference(use_case: UseCase, name: str, landing: Landing) -> Wanted:
    """Say what each partition of a reference would be made from; one that lands whole has `ALL`."""
    reference = use_case.ingest.references[name]
    landed = landing.partitions(reference.landing, use_case.ingest.partition.grain)
    return _wanted(use_case, f"reference_{name}", landed)


def ingest_rows(
    use_case: UseCase, partition: str, landing: Landing, lake: Lake, writer: Writer
) -> RowsIngested:
    """Publish the rows of one partition as they landed.

    Raises
    ------
    DataContractError
        A file is not as declared, or rows are of another partition. Nothing is published then.
    """
    ingest, grain = use_case.ingest, use_case.ingest.partition.grain
    rows, fingerprint = landing.read(ingest.landing, partition, ingest.columns, grain)
    _check_partition(rows, ingest.partition, partition, f"{use_case.name}: rows of {partition}")
    files = len(landing.files(ingest.landing, partition, grain))
    published = lake.table(use_case.name, "raw").publish(
        rows,
        partition=partition,
        schema=_schema(ingest.columns),
        writer=writer,
        consumed=_consumed(use_case, "raw", fingerprint),
        facts={"files": files},
    )
    log.info("%s: %d rows of %s from %d files", use_case.name, rows.num_rows, partition, files)
    return RowsIngested(
        partition,
        rows.num_rows,
        files,
        published.version,
        published.partition_version,
        published.changed,
    )


def ingest_labels(
    use_case: UseCase, partition: str, landing: Landing, lake: Lake, writer: Writer
) -> LabelsIngested:
    """Publish the labels of one partition, read off its landed outcomes.

    Raises
    ------
    ConfigError
        The use case has no labels.
    DataContractError
        A file is not as declared, a key is incomplete or repeated, or rows are of another
        partition.
    """
    labels = use_case.labels
    if labels is None:
        raise ConfigError(f"{use_case.name}: a {use_case.task} use case has no labels to ingest.")
    subject, ingest = f"{use_case.name}: outcomes of {partition}", use_case.ingest
    outcomes, fingerprint = landing.read(
        labels.landing, partition, labels.columns, ingest.partition.grain
    )
    if ingest.partition.column in labels.columns:
        _check_partition(outcomes, ingest.partition, partition, subject)
    made = make_labels(outcomes, use_case, labels, subject)
    without_outcome = outcomes.num_rows - made.num_rows
    published = lake.table(use_case.name, "labels").publish(
        made,
        partition=partition,
        schema=labels_schema(use_case, labels),
        writer=writer,
        consumed=_consumed(use_case, "labels", fingerprint),
        facts={"without_outcome": without_outcome},
    )
    share = None if labels.rule is None else float(pc.mean(made["label"]).as_py())
    log.info("%s: %d labels, %d rows without outcome", subject, made.num_rows, without_outcome)
    return LabelsIngested(
        partition,
        made.num_rows,
        without_outcome,
        share,
        published.version,
        published.partition_version,
        published.changed,
    )


def ingest_reference(
    use_case: UseCase, name: str, partition: str, landing: Landing, lake: Lake, writer: Writer
) -> ReferenceIngested:
    """Publish one partition of a reference, `ALL` of one that lands whole.

    Raises
    ------
    DataContractError
        A file is not as declared, or a key is incomplete or repeated.
    """
    reference, grain = use_case.ingest.references[name], use_case.ingest.partition.grain
    landed = WHOLE if partition == ALL else partition
    subject = f"{use_case.name}: reference {name!r}, partition {partition!r}"
    rows, fingerprint = landing.read(reference.landing, landed, reference.columns, grain)
    check_keys(rows, reference.unique, subject)
    if reference.partitioned and use_case.ingest.partition.column in reference.columns:
        _check_partition(rows, use_case.ingest.partition, partition, subject)
    published = lake.table(use_case.name, f"reference_{name}").publish(
        rows,
        partition=partition,
        schema=_schema(reference.columns),
        writer=writer,
        consumed=_consumed(use_case, f"reference_{name}", fingerprint),
    )
    log.info("%s: %d rows", subject, rows.num_rows)
    return ReferenceIngested(
        name,
        partition,
        rows.num_rows,
        published.version,
        published.partition_version,
        published.changed,
    )


def _schema(columns: Columns) -> pa.Schema:
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns.items()])


def _wanted(use_case: UseCase, stage: str, landed: Mapping[str, int]) -> Wanted:
    definition = definition_of(use_case, stage) if landed else 0
    return {
        partition or ALL: {SOURCE: landed[partition], DEFINITION: definition}
        for partition in sorted(landed)
    }


def _consumed(use_case: UseCase, stage: str, fingerprint: int) -> dict[str, int]:
    return {SOURCE: fingerprint, DEFINITION: definition_of(use_case, stage)}


def _check_partition(rows: pa.Table, declared: Partition, partition: str, subject: str) -> None:
    """Refuse rows that belong elsewhere: they would be counted twice, or never."""
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
