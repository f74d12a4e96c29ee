"""Rows, labels and references from the landing into the lake."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.due.stages import ALL, LANDING, REFERENCE, tables_of
from include.due.wanted import Wanted
from include.errors import DataContractError, bounded
from include.ingest_label.gathering import Gathered, gather
from include.ingest_label.intake import Intake, labels_intake, reference_intake, rows_intake
from include.ingest_label.inventory import Inventory, look, take
from include.ingest_label.landed_labels import LandedLabels, kept_labels
from include.ingest_label.landing import Landing
from include.ingest_label.outcomes import check_classes, with_outcome
from include.labelling.contract import is_class
from include.labelling.history import LabelHistory
from include.labelling.publishing import publish_labels
from include.lake.corrections import standing
from include.lake.records import Fact
from include.lake.schemas import FILE
from include.lake.table import Lake, Published, Writer
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)

SHOWN = 20


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
    """What `ingest_labels` published.

    `positive_share` is that of class 1, where there are two; `class_shares` has those of three
    classes or more, by name.
    """

    partition: str
    rows: int
    without_outcome: int
    positive_share: float | None
    gone: list[str]
    version: int
    partition_version: int
    changed: bool
    class_shares: dict[str, float] = field(default_factory=dict)


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
    labels = ["labels"] if use_case.labels is not None and use_case.labels.landed else []
    return ["raw", *labels, *references]


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
    intake = rows_intake(use_case, partition, lake)
    gathered = _gathered(intake, landing, lake, writer, inventory)
    published = _publish(intake, gathered, gathered.rows, writer)
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
    intake, labels = labels_intake(use_case, partition, lake), use_case.labels
    assert labels is not None  # noqa: S101  for mypy: the intake refuses it
    history = LabelHistory(use_case, lake)
    several = len(labels.strategies) > 1
    kept = partial(kept_labels, intake, history) if several else None
    gathered = _gathered(intake, landing, lake, writer, inventory, kept)
    if gathered.gone:
        _check_rule(intake, gathered.gone)
    by = use_case.ingest.corrections.column
    rows = gathered.rows.take(
        standing(gathered.rows, intake.key, by if by in labels.columns else None)
    )
    made = with_outcome(rows, labels, intake.subject).combine_chunks()
    check_classes(made, labels, intake.subject)
    without = rows.num_rows - made.num_rows
    published = publish_labels(
        LandedLabels(use_case, labels, made),
        history,
        partition,
        writer,
        consumed=_consumed(intake, gathered),
        facts={**_facts(gathered), "without_outcome": without},
    )
    two = is_class(labels) and not use_case.class_names
    share = float(pc.mean(made["label"]).as_py()) if two else None
    log.info("%s: %d labels, %d rows without outcome", intake.subject, made.num_rows, without)
    return LabelsIngested(
        partition,
        made.num_rows,
        without,
        share,
        gathered.gone[:SHOWN],
        published.version,
        published.partition_version,
        published.changed,
        {
            name: float(pc.mean(pc.equal(made["label"], number).cast(pa.float64())).as_py())
            for number, name in enumerate(use_case.class_names)
        },
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
    intake = reference_intake(use_case, name, partition, lake)
    gathered = _gathered(intake, landing, lake, writer, inventory)
    rows = gathered.rows.take(standing(gathered.rows, intake.key)).combine_chunks()
    published = _publish(intake, gathered, rows, writer)
    log.info("%s: %d rows", intake.subject, rows.num_rows)
    return ReferenceIngested(
        name,
        partition,
        rows.num_rows,
        published.version,
        published.partition_version,
        published.changed,
    )


def _gathered(
    intake: Intake,
    landing: Landing,
    lake: Lake,
    writer: Writer,
    inventory: Inventory | None,
    kept: Callable[[], pa.Table] | None = None,
) -> Gathered:
    looked = (intake.use_case, intake.stage, landing, lake, writer, intake.landed)
    return gather(intake, inventory or take(*looked), landing, kept)


def _consumed(intake: Intake, gathered: Gathered) -> dict[str, int]:
    definition = definition_of(intake.use_case, intake.stage)
    return {LANDING: gathered.fingerprint, DEFINITION: definition}


def _facts(gathered: Gathered) -> dict[str, Fact]:
    return {"files": gathered.files, "files_gone": len(gathered.gone)}


def _publish(intake: Intake, gathered: Gathered, rows: pa.Table, writer: Writer) -> Published:
    return intake.table.publish(
        rows,
        partition=intake.partition,
        schema=rows.schema,
        writer=writer,
        consumed=_consumed(intake, gathered),
        facts=_facts(gathered),
        origin=[FILE],
        migrations=intake.use_case.migrations,
    )


def _check_rule(intake: Intake, gone: list[str]) -> None:
    """Refuse to put labels of two rules side by side: outcomes that are gone cannot be read again.

    Raises
    ------
    DataContractError
        The labels that are there were made by another definition.
    """
    name, partition = intake.use_case.name, intake.partition
    made = intake.table.made_from({partition: [DEFINITION]})[partition][DEFINITION]
    if made not in (None, definition_of(intake.use_case, intake.stage)):
        raise DataContractError(
            f"{name}: labels of {partition} must be made by one rule, but the rule has "
            f"changed, and {len(gone)} of the landed files are gone: "
            f"{bounded(', '.join(gone), 500)}. Restore these files, or retract the partition and "
            "land its outcomes again."
        )
