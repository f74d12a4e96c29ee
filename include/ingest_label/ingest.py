"""Rows, labels and references from the landing into the lake."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import ConfigError, DataContractError
from include.ingest_label.files import ARROW_TYPES
from include.ingest_label.landing import WHOLE, Landing
from include.ingest_label.outcomes import check_keys, labels_schema, make_labels
from include.lake.table import Lake, Writer
from include.partitions import end_of, start_of
from include.use_cases.schema import Columns, Grain, Labels, Partition, UseCase

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


@dataclass(frozen=True)
class LabelsIngested:
    """What `ingest_labels` published; `positive_share` is None for regression."""

    partition: str
    rows: int
    without_outcome: int
    positive_share: float | None
    version: int
    partition_version: int


@dataclass(frozen=True)
class ReferenceIngested:
    """What `ingest_references` published of one reference and partition."""

    name: str
    partition: str
    rows: int
    version: int
    partition_version: int


@dataclass(frozen=True)
class Work:
    """What landed and is not in the lake as it landed."""

    raw: list[str]
    labels: list[str]
    references: list[str]


def landed_partitions(use_case: UseCase, landing: Landing) -> list[str]:
    """List the partitions whose rows landed, sorted."""
    ingest = use_case.ingest
    return sorted(landing.partitions(ingest.landing, ingest.partition.grain))


def landed_outcomes(use_case: UseCase, landing: Landing) -> list[str]:
    """List the partitions whose outcomes landed, sorted."""
    if use_case.labels is None:
        return []
    return sorted(landing.partitions(use_case.labels.landing, use_case.ingest.partition.grain))


def find_unprocessed(use_case: UseCase, landing: Landing, lake: Lake) -> Work:
    """List what landed and was not ingested, or landed again since."""
    ingest, labels = use_case.ingest, use_case.labels
    grain = ingest.partition.grain
    raw = _news(landing.partitions(ingest.landing, grain), use_case, "raw", SOURCE, lake)
    outcomes: list[str] = []
    if labels is not None:
        landed = landing.partitions(labels.landing, grain)
        outcomes = _news(landed, use_case, "labels", _labels_source(labels), lake)
    references = []
    for name, reference in ingest.references.items():
        landed = landing.partitions(reference.landing, grain)
        news = _news(landed, use_case, f"reference_{name}", SOURCE, lake)
        references += [name if partition == WHOLE else f"{name}/{partition}" for partition in news]
    return Work(raw, outcomes, references)


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
        consumed={SOURCE: fingerprint},
        facts={"files": files},
    )
    log.info("%s: %d rows of %s from %d files", use_case.name, rows.num_rows, partition, files)
    return RowsIngested(
        partition, rows.num_rows, files, published.version, published.partition_version
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
        consumed={_labels_source(labels): fingerprint},
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
    )


def ingest_references(
    use_case: UseCase, landing: Landing, lake: Lake, writer: Writer
) -> list[ReferenceIngested]:
    """Publish every reference, or partition of one, that landed since it was last published.

    Raises
    ------
    DataContractError
        A file is not as declared, or a key is incomplete or repeated.
    """
    grain, done = use_case.ingest.partition.grain, []
    for item in find_unprocessed(use_case, landing, lake).references:
        name, _, partition = item.partition("/")
        done.append(_ingest_reference(use_case, name, partition, grain, landing, lake, writer))
    return done


def _ingest_reference(
    use_case: UseCase,
    name: str,
    landed: str,
    grain: Grain,
    landing: Landing,
    lake: Lake,
    writer: Writer,
) -> ReferenceIngested:
    reference, partition = use_case.ingest.references[name], landed or ALL
    subject = f"{use_case.name}: reference {name!r}, partition {partition!r}"
    rows, fingerprint = landing.read(reference.landing, landed, reference.columns, grain)
    check_keys(rows, reference.key, subject)
    if reference.partitioned and use_case.ingest.partition.column in reference.columns:
        _check_partition(rows, use_case.ingest.partition, partition, subject)
    published = lake.table(use_case.name, f"reference_{name}").publish(
        rows,
        partition=partition,
        schema=_schema(reference.columns),
        writer=writer,
        consumed={SOURCE: fingerprint},
    )
    log.info("%s: %d rows", subject, rows.num_rows)
    return ReferenceIngested(
        name, partition, rows.num_rows, published.version, published.partition_version
    )


def _schema(columns: Columns) -> pa.Schema:
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns.items()])


def _labels_source(labels: Labels) -> str:
    # The rule is part of what labels are made from: change it, and every partition is unprocessed.
    return f"{SOURCE} {labels.from_} {labels.rule or ''}".strip()


def _news(
    landed: dict[str, int], use_case: UseCase, stage: str, source: str, lake: Lake
) -> list[str]:
    keys = {partition: partition or ALL for partition in sorted(landed)}
    done = lake.table(use_case.name, stage).consumed_versions(source, list(keys.values()))
    return [partition for partition, key in keys.items() if done[key] != landed[partition]]


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
