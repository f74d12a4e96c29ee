"""Operators of the phase ingest and label.

Ingestion alone finds its partitions when it runs: what has landed, and is not in the lake as it
landed. A file that is refused does not stop the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.due.stages import ALL, REFERENCE, tables_of
from plugins.operators.base import PhaseOperator
from plugins.operators.landed import REFUSED, IngestOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.ingest_label.inventory import Inventory


class IngestRowsOperator(IngestOperator):
    """Publish landed rows into the raw table.

    **Idempotent**: replaces partitions. **XCom**: counts, and the facts of the first partitions.
    **Retries**: when the landing area or the lake does not answer.
    """

    def stages(self) -> list[str]:
        """Name the tables that files are taken into."""
        return ["raw"]

    def ingest(self, inventory: Inventory, key: str, context: Context) -> Any:
        """Read, check and publish one partition."""
        from include.ingest_label.ingest import ingest_rows

        landing, writer = self.lake_hook.landing, self.writer(context)
        return ingest_rows(self.config, key, landing, self.lake, writer, inventory)


class IngestLabelsOperator(IngestOperator):
    """Read labels off landed outcomes and publish them.

    Emits the partitions that have features: those may be trained on or monitored now. Labels that
    come with their rows, or before them, are found when the features are there.

    **Idempotent**: replaces partitions. **XCom**: counts, and the facts of the first partitions.
    **Retries**: when the landing area or the lake does not answer.
    """

    def stages(self) -> list[str]:
        """Name the tables that files are taken into."""
        return ["labels"]

    def keys_to_emit(self, changed: Sequence[str]) -> list[str]:
        """Choose the partitions of which something is to be decided or monitored now."""
        features = self.lake.table(self.use_case, "features").partitions()
        return sorted(set(changed) & set(features))

    def ingest(self, inventory: Inventory, key: str, context: Context) -> Any:
        """Read the outcomes of one partition, make labels, publish them."""
        from include.ingest_label.ingest import ingest_labels

        landing, writer = self.lake_hook.landing, self.writer(context)
        return ingest_labels(self.config, key, landing, self.lake, writer, inventory)


class IngestReferencesOperator(IngestOperator):
    """Publish the reference tables that have landed.

    One that lands by partition emits the partitions that are clean already: their features were
    built without it, or wait for it. One that lands whole emits those that wait for it. Partitions
    that come with it are built with it anyway.

    **Idempotent**: replaces partitions. **XCom**: counts, and the facts of the first partitions.
    **Retries**: when the landing area or the lake does not answer.
    """

    def stages(self) -> list[str]:
        """Name the tables that files are taken into."""
        return tables_of(REFERENCE, self.config.ingest.references)

    def keys_to_emit(self, changed: Sequence[str]) -> list[str]:
        """Choose the partitions whose features are to be built again."""
        clean = set(self.lake.table(self.use_case, "clean").partitions())
        if ALL not in changed:
            return sorted(set(changed) & clean)
        built = self.lake.table(self.use_case, "features").partitions()
        return sorted((set(changed) & clean) | (clean - set(built)))

    def ingest(self, inventory: Inventory, key: str, context: Context) -> Any:
        """Publish one partition of one reference."""
        from include.ingest_label.ingest import ingest_reference

        name, writer = inventory.stage.removeprefix("reference_"), self.writer(context)
        landing = self.lake_hook.landing
        return ingest_reference(self.config, name, key, landing, self.lake, writer, inventory)


class ReportRefusedOperator(PhaseOperator):
    """Fail with the words of everything that the run refused; be skipped when that is nothing.

    The tasks before it publish and emit what is good; this one makes the run red. **Idempotent**:
    reads only. **XCom**: none. **Retries**: nothing that a retry helps.

    :param task_ids: the tasks that may have refused something
    """

    takes_partition_key = False

    def __init__(self, *, task_ids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.task_ids = list(task_ids)

    def execute(self, context: Context) -> None:
        """Gather the refusals."""
        pulled = context["ti"].xcom_pull(task_ids=self.task_ids, key=REFUSED)
        found = [pulled] if isinstance(pulled, dict) else pulled or []
        refused = {item: words for one in found if one for item, words in one.items()}
        if not refused:
            raise AirflowSkipException("Nothing was refused.")
        lines = [f"- {item}: {words}" for item, words in refused.items()]
        raise AirflowFailException(
            "These were refused; the others were ingested. Each is tried again when its files or "
            "its definition change:\n" + "\n".join(lines)
        )
