"""Rows, labels and references from the landing into the lake."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.due.stages import ALL, LANDING, REFERENCE, tables_of
from include.due.wanted import Wanted
from include.errors import ConfigError, DataContractError, bounded
from include.ingest_label.files import ARROW_TYPES
from include.ingest_label.gathering import Gathered, gather
from include.ingest_label.inventory import FILE, Inventory, look, take
from include.ingest_label.landing import WHOLE, Landing
from include.ingest_label.outcomes import check_keys, labels_schema, make_labels, with_outcome
from include.lake.corrections import standing
from include.lake.records import Fact
from include.lake.table import Lake, LakeTable, Published, Writer
from include.partitions import end_of, start_of
from include.use_cases.schema import Columns, Partition, UseCase

log = logging.getLogger(__name__)

SHOWN = 20
_FILE_FIELD = pa.field(FILE, pa.string())


@dataclass(frozen=True)
class RowsIngested:
    """What `ingest_rows` published; `gone` names files whose rows were kept, `SHOWN` of them."""

    partition: str
    rows: int
    files: int
    gone: list[str]
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
    gone: list[str]
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


def wanted_of(use_case: UseCase, inventory: Inventory) -> Wanted:
    """Say what each partition of a table would be made from now: what has landed for it."""
    landed = inventory.fingerprints()
    definition = definition_of(use_case, inventory.stage) if landed else 0
    return {
        partition or ALL: {LANDING: fingerprint, DEFINITION: definition}
        for partition, fingerprint in landed.items()
    }


def landed_stages(use_case: UseCase) -> list[str]:
    """List the tables that files are taken into."""
    references = tables_of(REFERENCE, use_case.ingest.references)
    return ["raw", *(["labels"] if use_case.labels else []), *references]


def wanted_landed(use_case: UseCase, landing: Landing, lake: Lake) -> dict[str, Wanted]:
    """Say it for every table, from the listing and the ledger `landed` alone: no file is read."""
    stages = landed_stages(use_case)
    return {stage: wanted_of(use_case, look(use_case, stage, landing, lake)) for stage in stages}


def ingest_rows(
    use_case: UseCase,
    partition: str,
    landing: Landing,
    lake: Lake,
    writer: Writer,
    inventory: Inventory | None = None,
) -> RowsIngested:
    """Publish the rows of one partition as they landed; corrections behind what they correct.

    `inventory` is what a look at the landing found; by default there is a look at this partition.

    Raises
    ------
    DataContractError
        A file is not as declared, or rows are of another partition. Nothing is published then.
    """
    ingest = use_case.ingest

    def check(rows: pa.Table, path: str) -> pa.Table:
        subject = f"{use_case.name}: rows of {partition} in {path}"
        _check_partition(rows, ingest.partition, partition, subject)
        return rows

    table, schema = lake.table(use_case.name, "raw"), _schema(ingest.columns)
    landed = inventory or take(use_case, "raw", landing, lake, writer, partition)
    gathered = gather(
        partition,
        partition,
        landed,
        landing,
        table,
        ingest.columns,
        ingest.key,
        schema,
        check,
        use_case.migrations,
    )
    published = _publish(use_case, "raw", table, partition, gathered, gathered.rows, writer)
    rows = gathered.rows.num_rows
    log.info("%s: %d rows of %s from %d files", use_case.name, rows, partition, gathered.files)
    return RowsIngested(
        partition,
        rows,
        gathered.files,
        gathered.gone[:SHOWN],
        published.version,
        published.partition_version,
        published.changed,
    )


def ingest_labels(
    use_case: UseCase,
    partition: str,
    landing: Landing,
    lake: Lake,
    writer: Writer,
    inventory: Inventory | None = None,
) -> LabelsIngested:
    """Publish the labels of one partition, read off its landed outcomes.

    Of several outcomes of one row that of `ingest.corrections` stands, also where it is missing.

    Raises
    ------
    ConfigError
        The use case has no labels.
    DataContractError
        A file is not as declared, a key is incomplete, or repeated within a file, or rows are of
        another partition.
    """
    labels, ingest = use_case.labels, use_case.ingest
    if labels is None:
        raise ConfigError(f"{use_case.name}: a {use_case.task} use case has no labels to ingest.")
    subject = f"{use_case.name}: outcomes of {partition}"

    def make(outcomes: pa.Table, path: str) -> pa.Table:
        if ingest.partition.column in labels.columns:
            _check_partition(outcomes, ingest.partition, partition, f"{subject} in {path}")
        return make_labels(outcomes, use_case, labels, f"{subject} in {path}")

    table = lake.table(use_case.name, "labels")
    schema = labels_schema(use_case, labels).append(_FILE_FIELD)
    landed = inventory or take(use_case, "labels", landing, lake, writer, partition)
    gathered = gather(
        partition,
        partition,
        landed,
        landing,
        table,
        labels.columns,
        ingest.key,
        schema,
        make,
        use_case.migrations,
    )
    if gathered.gone:
        _check_rule(use_case, partition, table, gathered.gone)
    by = ingest.corrections.column
    rows = gathered.rows.take(
        standing(gathered.rows, ingest.key, by if by in labels.columns else None)
    )
    made = with_outcome(rows, labels, subject).combine_chunks()
    without = rows.num_rows - made.num_rows
    facts: dict[str, Fact] = {"without_outcome": without}
    published = _publish(use_case, "labels", table, partition, gathered, made, writer, facts)
    share = None if labels.rule is None else float(pc.mean(made["label"]).as_py())
    log.info("%s: %d labels, %d rows without outcome", subject, made.num_rows, without)
    return LabelsIngested(
        partition,
        made.num_rows,
        without,
        share,
        gathered.gone[:SHOWN],
        published.version,
        published.partition_version,
        published.changed,
    )


def ingest_reference(
    use_case: UseCase,
    name: str,
    partition: str,
    landing: Landing,
    lake: Lake,
    writer: Writer,
    inventory: Inventory | None = None,
) -> ReferenceIngested:
    """Publish one partition of a reference, `ALL` of one that lands whole.

    Raises
    ------
    DataContractError
        A file is not as declared, or a key is incomplete, or repeated within a file.
    """
    reference, stage = use_case.ingest.references[name], f"reference_{name}"
    within = reference.partitioned and use_case.ingest.partition.column in reference.columns
    subject = f"{use_case.name}: reference {name!r}, partition {partition!r}"

    def check(rows: pa.Table, path: str) -> pa.Table:
        check_keys(rows, reference.unique, f"{subject} in {path}")
        if within:
            _check_partition(rows, use_case.ingest.partition, partition, f"{subject} in {path}")
        return rows

    table, schema = lake.table(use_case.name, stage), _schema(reference.columns)
    wanted = WHOLE if partition == ALL else partition
    landed = inventory or take(use_case, stage, landing, lake, writer, wanted)
    gathered = gather(
        partition,
        wanted,
        landed,
        landing,
        table,
        reference.columns,
        reference.unique,
        schema,
        check,
        use_case.migrations,
    )
    rows = gathered.rows.take(standing(gathered.rows, reference.unique)).combine_chunks()
    published = _publish(use_case, stage, table, partition, gathered, rows, writer)
    log.info("%s: %d rows", subject, rows.num_rows)
    return ReferenceIngested(
        name,
        partition,
        rows.num_rows,
        published.version,
        published.partition_version,
        published.changed,
    )


def _publish(
    use_case: UseCase,
    stage: str,
    table: LakeTable,
    partition: str,
    gathered: Gathered,
    rows: pa.Table,
    writer: Writer,
    facts: Mapping[str, Fact] | None = None,
) -> Published:
    return table.publish(
        rows,
        partition=partition,
        schema=rows.schema,
        writer=writer,
        consumed={LANDING: gathered.fingerprint, DEFINITION: definition_of(use_case, stage)},
        facts={"files": gathered.files, "files_gone": len(gathered.gone), **(facts or {})},
        origin=[FILE],
        migrations=use_case.migrations,
    )


def _check_rule(use_case: UseCase, partition: str, table: LakeTable, gone: list[str]) -> None:
    """Refuse to put labels of two rules side by side: outcomes that are gone cannot be read again.

    Raises
    ------
    DataContractError
        The labels that are there were made by another definition.
    """
    made = table.made_from({partition: [DEFINITION]})[partition][DEFINITION]
    if made not in (None, definition_of(use_case, "labels")):
        raise DataContractError(
            f"{use_case.name}: labels of {partition} must be made by one rule, but the rule has "
            f"changed, and {len(gone)} of the landed files are gone: "
            f"{bounded(', '.join(gone), 500)}. Restore these files, or retract the partition and "
            "land its outcomes again."
        )


def _schema(columns: Columns) -> pa.Schema:
    fields = [pa.field(name, ARROW_TYPES[kind]) for name, kind in columns.items()]
    return pa.schema([*fields, _FILE_FIELD])


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
