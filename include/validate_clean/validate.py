"""One partition from raw to clean: bad rows set aside with their reasons, a bad batch refused."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.errors import DataContractError
from include.lake.corrections import standing
from include.lake.reports import VALIDATION, write_report
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.loader import load_suite, root, shown
from include.use_cases.schema import UseCase
from include.validate_clean.cleaning import clean
from include.validate_clean.expectations import check
from include.validate_clean.report import validation_page

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
    rows_superseded: int
    cells_filled: int
    noise_cells: int
    reasons: dict[str, int]
    version: int
    partition_version: int
    quarantine_version: int | None
    changed: bool


def validate_and_clean(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> Cleaned:
    """Validate one raw partition, set bad rows aside, clean the others and publish both.

    Of the rows with one key that of `ingest.corrections` is judged, and no other.

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
    rows, source = raw.read_input(partition, arrow_schema(use_case.ingest.columns))

    # Before the suite judges: a correction that fails it must not let the row that it corrected
    # stand as if that were right.
    stands = standing(rows, use_case.ingest.key, use_case.ingest.corrections.column)
    judged = rows.take(stands)
    failed = _failed(judged, use_case, partition, lake)
    good, bad = _split(judged, failed)
    bad = _tell_superseded(bad, _others(rows, stands), use_case)
    result = clean(good, use_case.clean)
    rows_in, superseded = rows.num_rows, rows.num_rows - judged.num_rows
    del rows, judged, good  # publishing needs their memory
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
            migrations=use_case.migrations,
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
        migrations=use_case.migrations,
        writer=writer,
        inputs=[source],
        consumed=definition,
        facts={"rows_quarantined": bad.num_rows, "rows_superseded": superseded},
    )
    log.info(
        "%s: batch %s: %d rows, %d superseded, %d clean, %d quarantined %s",
        use_case.name, partition, rows_in, superseded, result.rows.num_rows, bad.num_rows, reasons,
    )  # fmt: skip
    return Cleaned(
        partition=partition,
        rows_in=rows_in,
        rows_quarantined=bad.num_rows,
        rows_clean=result.rows.num_rows,
        rows_dropped=result.rows_dropped,
        rows_superseded=superseded,
        cells_filled=result.cells_filled,
        noise_cells=result.noise_cells,
        reasons=reasons,
        version=published.version,
        partition_version=published.partition_version,
        quarantine_version=quarantine_version,
        changed=published.changed,
    )


def _failed(rows: pa.Table, use_case: UseCase, partition: str, lake: Lake) -> dict[int, list[str]]:
    """Position of each row to quarantine, and why; raises when the batch is to be refused.

    The validation result is kept first: of a refused batch it is what people look at.
    """
    subject = f"{use_case.name}: batch {partition}"
    origin = shown(root() / use_case.name / use_case.validation.suite)
    # Plain numpy types (integers with gaps as floats): some expectations cannot compute pandas'
    # nullable ones.
    checked = check(rows.to_pandas(), load_suite(use_case), origin)
    page = validation_page(f"{use_case.name}, {partition}", checked.results)
    write_report(lake, use_case.name, partition, VALIDATION, page)
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


def _others(rows: pa.Table, positions: pa.Array) -> pa.Table:
    keep = np.ones(rows.num_rows, bool)
    keep[positions.to_numpy()] = False
    return rows.filter(pa.array(keep))


def _tell_superseded(bad: pa.Table, superseded: pa.Table, use_case: UseCase) -> pa.Table:
    """Say in the reason of a quarantined row that it supersedes one which the suite lets pass."""
    if bad.num_rows == 0 or superseded.num_rows == 0:
        return bad
    key = use_case.ingest.key
    numbered = bad.select(key).append_column("_bad", pa.array(np.arange(bad.num_rows)))
    # A key that is incomplete joins with nothing.
    before = superseded.join(numbered, key, join_type="inner").combine_chunks()
    if before.num_rows == 0:
        return bad
    origin = shown(root() / use_case.name / use_case.validation.suite)
    frame = before.select(superseded.column_names).to_pandas()
    failing = check(frame, load_suite(use_case), origin).rows
    valid = {number for row, number in enumerate(before["_bad"].to_pylist()) if row not in failing}
    reasons = [
        reason + ("; supersedes a row that was valid" if number in valid else "")
        for number, reason in enumerate(bad["reason"].to_pylist())
    ]
    at = bad.schema.get_field_index("reason")
    return bad.set_column(at, "reason", pa.array(reasons, pa.string()))


def _split(rows: pa.Table, failed: dict[int, list[str]]) -> tuple[pa.Table, pa.Table]:
    """Good rows, and bad rows with their `reason`."""
    positions = sorted(failed)
    reasons = pa.array(["; ".join(failed[position]) for position in positions], pa.string())
    at = pa.array(positions, pa.int64())
    return _others(rows, at), rows.take(at).append_column("reason", reasons)
