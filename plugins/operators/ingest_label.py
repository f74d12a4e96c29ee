"""Operators of the phase ingest and label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk.exceptions import AirflowSkipException

from plugins.operators.base import (
    PartitionOperator,
    PhaseOperator,
    emit,
    facts_of,
    failures_in_airflows_words,
    unknown,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.ingest_label.ingest import LabelsIngested, RowsIngested


class FindLandedOperator(PhaseOperator):
    """Find landed files that are not in the lake in their present version.

    **Idempotent**: reads only. **XCom**: the partition keys, a list of strings; empty when
    nothing is new, which skips the mapped tasks after it. **Retries**: when the landing area or
    the lake does not answer.

    :param what: `raw` for rows, `labels` for outcomes
    """

    def __init__(self, *, what: Literal["raw", "labels"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.what = what

    def execute(self, context: Context) -> list[str]:
        """Look, and list."""
        params = context["params"]
        with failures_in_airflows_words():
            found = self._find(params.get("partition"), force=bool(params.get("force")))
        self.log.info("To ingest into %s: %s", self.what, ", ".join(found) or "nothing new")
        return found

    def _find(self, partition: str | None, *, force: bool) -> list[str]:
        from include.ingest_label.ingest import (
            find_unprocessed,
            landed_outcomes,
            landed_partitions,
        )

        landing = self.lake_hook.landing
        rows, outcomes = (f(self.config, landing) for f in (landed_partitions, landed_outcomes))
        if partition is not None and partition not in {*rows, *outcomes}:
            place = f"the landing area, {landing.uri}/{self.config.ingest.landing}"
            raise unknown("Partition", partition, place, rows)
        landed = rows if self.what == "raw" else outcomes
        if force:
            return [one for one in landed if one == (partition or landed[-1])]
        work = find_unprocessed(self.config, landing, self.lake)
        found = work.raw if self.what == "raw" else work.labels
        return [one for one in found if partition in (None, one)]


class IngestReferencesOperator(PhaseOperator):
    """Publish the reference tables whose landed files have changed.

    Is skipped when none has, which emits nothing. One that lands partition by partition emits its
    partitions: features that were built without it, or waited for it, are due. **Idempotent**:
    unchanged files are not published again. **XCom**: a list of small facts, one per published
    reference. **Retries**: when the landing area or the lake does not answer.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Publish what has changed."""
        from include.ingest_label.ingest import ingest_references

        with failures_in_airflows_words():
            published = ingest_references(
                self.config, self.lake_hook.landing, self.lake, self.writer(context)
            )
        if not published:
            raise AirflowSkipException("No reference table has changed.")
        references = self.config.ingest.references
        renewed = {one.partition for one in published if references[one.name].partitioned}
        names = sorted({one.name for one in published})
        emit(context, self.outlets, sorted(renewed), {"references": names})
        return [facts_of(one) for one in published]


class IngestRowsOperator(PartitionOperator):
    """Publish one landed partition into the raw table.

    **Idempotent**: replaces the partition. **XCom**: partition, rows, version. **Retries**: when
    the landing area or the lake does not answer; a malformed file fails at once.
    """

    def process(self, context: Context) -> RowsIngested:
        """Read, check and publish the partition."""
        from include.ingest_label.ingest import ingest_rows

        return ingest_rows(
            self.config, self.partition, self.lake_hook.landing, self.lake, self.writer(context)
        )


class IngestLabelsOperator(PartitionOperator):
    """Publish the labels read off one partition's landed outcomes.

    **Idempotent**: replaces the partition. **XCom**: partition, rows, rows without an outcome,
    version.
    **Retries**: when the landing area or the lake does not answer; a malformed file fails at once.
    """

    def process(self, context: Context) -> LabelsIngested:
        """Read the outcomes, make labels, publish them."""
        from include.ingest_label.ingest import ingest_labels

        return ingest_labels(
            self.config, self.partition, self.lake_hook.landing, self.lake, self.writer(context)
        )
