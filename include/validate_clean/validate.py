"""One partition from raw to clean: bad rows set aside with their reasons, a bad batch refused."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.errors import DataContractError
from include.lake.table import Lake, Writer
from include.use_cases.loader import load_suite, root, shown
from include.use_cases.schema import UseCase
from include.validate_clean.cleaning import clean
from include.validate_clean.expectations import check

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cleaned:
    """What `validate_and_clean` published; `reasons` counts quarantined rows by expectation.

    `changed` is False where the clean rows are those that were there before.
    """

    partition: str
    rows_in: int
    rows_quarantined: int
    rows_clean: int
    rows_dropped: int
    duplicates_removed: int
    cells_filled: int
    noise_cells: int
    reasons: dict[str, int]
    version: int
    partition_version: int
    quarantine_version: int | None
    changed: bool


def validate_and_clean(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> Cleaned:
    """Validate one raw partition, set bad rows aside, clean the others and publish both.

    The quarantine comes first: who reads a clean partition never lacks the rows that are missing
    from it.

    Raises
    ------
    ConfigError
        The suite names what does not exist or cannot be computed.
    DataContractError
        The batch is refused: a batch expectation failed, or too large a share of rows did. Nothing
        is published then.
    """
    # Before the suite is read: one that is edited meanwhile leaves the partition due.
    definition = {DEFINITION: definition_of(use_case, "clean")}
    raw = lake.table(use_case.name, "raw")
    rows, source = raw.read_input(partition, list(use_case.ingest.columns))

    failed = _failed(rows, use_case, f"{use_case.name}: batch {partition}")
    good, bad = _split(rows, failed)
    result = clean(good, use_case.clean, use_case.ingest.key)
    rows_in = rows.num_rows
    del rows, good  # publishing needs their memory
    reasons = dict(sorted(Counter(name for names in failed.values() for name in names).items()))
    if result.rows.num_rows == 0:
        raise DataContractError(
            f"{use_case.name}: batch {partition} must have clean rows, but of {rows_in} "
            "none is left "
            f"(quarantined: {reasons}, dropped: {result.rows_dropped}). Look at the landed files."
        )

    quarantine = lake.table(use_case.name, "quarantine")
    quarantine_version = None
    if bad.num_rows:
        quarantine_version = quarantine.publish(
            bad,
            partition=partition,
            schema=bad.schema,
            writer=writer,
            inputs=[source],
            consumed=definition,
        ).version
    else:  # the rows that an earlier version set aside
        quarantine.clear(partition, writer)
    published = lake.table(use_case.name, "clean").publish(
        result.rows,
        partition=partition,
        schema=result.rows.schema,
        writer=writer,
        inputs=[source],
        consumed=definition,
        facts={"rows_quarantined": bad.num_rows, "duplicates_removed": result.duplicates_removed},
    )
    log.info(
        "%s: batch %s: %d rows, %d clean, %d quarantined %s",
        use_case.name, partition, rows_in, result.rows.num_rows, bad.num_rows, reasons,
    )  # fmt: skip
    return Cleaned(
        partition=partition,
        rows_in=rows_in,
        rows_quarantined=bad.num_rows,
        rows_clean=result.rows.num_rows,
        rows_dropped=result.rows_dropped,
        duplicates_removed=result.duplicates_removed,
        cells_filled=result.cells_filled,
        noise_cells=result.noise_cells,
        reasons=reasons,
        version=published.version,
        partition_version=published.partition_version,
        quarantine_version=quarantine_version,
        changed=published.changed,
    )


def _failed(rows: pa.Table, use_case: UseCase, subject: str) -> dict[int, list[str]]:
    """Position of each row to quarantine, and why; raises when the batch is to be refused."""
    origin = shown(root() / use_case.name / use_case.validation.suite)
    # Plain numpy types (integers with gaps as floats): some expectations cannot compute pandas'
    # nullable ones.
    checked = check(rows.to_pandas(), load_suite(use_case), origin)
    if checked.refusals:
        raise DataContractError(
            f"{subject} is refused by {origin}: {'; '.join(checked.refusals)}. "
            "Land the files again if they are wrong; correct the expectation if the world "
            "has changed."
        )
    failed = checked.rows
    for name in use_case.ingest.key:
        if rows[name].null_count:  # a row without its key can be joined with nothing
            positions = pc.indices_nonzero(pc.is_null(rows[name].combine_chunks()))
            for position in positions.to_pylist():
                failed.setdefault(position, []).append(f"key column missing ({name})")
    share, allowed = len(failed) / rows.num_rows, use_case.validation.max_quarantined_share
    if share > allowed:
        counts = Counter(name for names in failed.values() for name in names)
        raise DataContractError(
            f"{subject} is refused: at most {allowed:.1%} of rows may be quarantined "
            f"(validate.max_quarantined_share), got {share:.1%}, {len(failed)} of {rows.num_rows}: "
            f"{dict(counts.most_common())}. Look at the landed files before you raise the share."
        )
    return failed


def _split(rows: pa.Table, failed: dict[int, list[str]]) -> tuple[pa.Table, pa.Table]:
    """Good rows, and bad rows with their `reason`."""
    positions = sorted(failed)
    keep = [True] * rows.num_rows
    for position in positions:
        keep[position] = False
    reasons = pa.array(["; ".join(failed[position]) for position in positions], pa.string())
    bad = rows.take(pa.array(positions, pa.int64())).append_column("reason", reasons)
    return rows.filter(pa.array(keep, pa.bool_())), bad
