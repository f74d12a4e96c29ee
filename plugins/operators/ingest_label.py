"""Operators of the phase ingest and label.

Ingestion alone finds its partitions when it runs: what has landed, and is not in the lake as it
landed. A file that is refused does not stop the others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import ConfigError, DataContractError
from plugins.operators.base import (
    PhaseOperator,
    asked_by_a_person,
    emit,
    errors_for_airflow,
    facts_of,
    unknown,
)

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias, Context

    from include.due.state import State
    from include.due.wanted import Wanted
    from include.ingest_label.landing import Landing

MOST_AT_ONCE = 500
"""Partitions of a table in one run: about a minute of work. The next run takes the rest."""
REFUSED = "refused"
"""XCom key: words by partition."""
_SHOWN = 20


class IngestOperator(PhaseOperator):
    """Base of the operators that take landed files into one kind of table.

    Works on what is new; with a partition named, on that one whether it is new or not. Emits one
    event for each partition whose content changed, and is skipped when there is none. **XCom**:
    counts, and the facts of the first partitions; under `refused` the words by partition.
    **Idempotent**: replaces partitions. **Retries**: when the landing area or the lake does not
    answer; a malformed file is refused at once, and remembered until it changes.

    :param partition: only this partition (templated)
    :param more: alias under which the landing asset is emitted when something is left for the next
        run
    :param landing: the landing asset
    """

    takes_partition_key = False
    template_fields: Sequence[str] = ("partition",)

    def __init__(
        self,
        *,
        partition: str = "{{ params.partition or '' }}",
        more: AssetAlias | None = None,
        landing: Asset | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.more = more
        self.landing_asset = landing

    def execute(self, context: Context) -> dict[str, Any]:
        """Find what is new, publish it, emit, and leave the refused ones to `report_refused`."""
        done: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        with errors_for_airflow():
            self._tell_ignored()
            wanted = self.wanted_by_stage(self.lake_hook.landing)
            todo = self._todo(wanted, asked=asked_by_a_person(context))
            self.log.info("To ingest: %s", _listed([item for _, item in todo]) or "nothing new")
            for stage, key in todo[:MOST_AT_ONCE]:
                try:
                    done.append(facts_of(self.ingest(stage, key, context)))
                except (ConfigError, DataContractError) as error:
                    self.log.error("%s of %s is refused: %s", stage, key, error)
                    refused[f"{stage} {key}"] = str(error)
                    self._remember(stage, key, wanted, error, context)
        if refused:
            context["ti"].xcom_push(key=REFUSED, value=dict(list(refused.items())[:_SHOWN]))
        self._leave_the_rest(len(todo) - MOST_AT_ONCE, context)
        changed = [facts for facts in done if facts["changed"]]
        if not changed:
            raise AirflowSkipException(
                f"Nothing new: {len(done)} ingested with the content they had, "
                f"{len(refused)} refused."
            )
        keys = self.keys_to_emit([facts["partition"] for facts in changed])
        emit(context, self._assets(), keys, {})
        return {"ingested": len(done), "changed": len(changed), "first": changed[:_SHOWN]}

    def keys_to_emit(self, changed: Sequence[str]) -> list[str]:
        """Choose the partitions whose event starts something."""
        return sorted(set(changed))

    @abstractmethod
    def patterns(self) -> list[str]:
        """List the landing patterns that are read."""

    @abstractmethod
    def wanted_by_stage(self, landing: Landing) -> dict[str, Wanted]:
        """Say, for each table, what each of its partitions would be made from now."""

    @abstractmethod
    def ingest(self, stage: str, key: str, context: Context) -> Any:
        """Publish one partition of a table."""

    def _todo(self, wanted: dict[str, Wanted], *, asked: bool) -> list[tuple[str, str]]:
        from include.due.state import states

        found: list[tuple[str, str]] = []
        for stage, of_stage in wanted.items():
            if self.partition:
                found += [(stage, key) for key in of_stage if key == self.partition]
                continue
            standing = states(self.use_case, stage, of_stage, self.lake)
            found += [(stage, key) for key, state in standing.items() if _takes(state, asked)]
        if self.partition and not found:
            self._check_landed()
        return found

    def _tell_ignored(self) -> None:
        """Say once a run what lies in the landing area and is not taken."""
        grain = self.config.ingest.partition.grain
        for pattern in self.patterns():
            for sentence in self.lake_hook.landing.ignored(pattern, grain):
                self.log.warning("%s", sentence)

    def _check_landed(self) -> None:
        """Refuse a partition of which nothing has landed, in any table."""
        from include.ingest_label.ingest import wanted_labels, wanted_raw

        landing = self.lake_hook.landing
        rows, outcomes = (sorted(f(self.config, landing)) for f in (wanted_raw, wanted_labels))
        if self.partition not in {*rows, *outcomes}:
            place = f"the landing area, {landing.uri}/{self.config.ingest.landing}"
            raise unknown("Partition", self.partition, place, rows)

    def _remember(
        self,
        stage: str,
        key: str,
        wanted: dict[str, Wanted],
        error: Exception,
        context: Context,
    ) -> None:
        from include.due.state import refuse

        sources, writer = wanted[stage][key], self.writer(context)
        refuse(self.use_case, stage, key, sources, str(error), self.lake, writer)

    def _assets(self) -> list[Any]:
        return [outlet for outlet in self.outlets if outlet != self.more]

    def _leave_the_rest(self, count: int, context: Context) -> None:
        if count > 0 and self.more is not None and self.landing_asset is not None:
            self.log.info("%d partitions are left for the next run.", count)
            context["outlet_events"][self.more].add(self.landing_asset, extra={"left": count})


class IngestRowsOperator(IngestOperator):
    """Publish landed rows into the raw table."""

    def patterns(self) -> list[str]:
        """List the landing patterns that are read."""
        return [self.config.ingest.landing]

    def wanted_by_stage(self, landing: Landing) -> dict[str, Wanted]:
        """Say what each partition of `raw` would be made from now."""
        from include.ingest_label.ingest import wanted_raw

        return {"raw": wanted_raw(self.config, landing)}

    def ingest(self, stage: str, key: str, context: Context) -> Any:
        """Read, check and publish one partition."""
        from include.ingest_label.ingest import ingest_rows

        landing = self.lake_hook.landing
        return ingest_rows(self.config, key, landing, self.lake, self.writer(context))


class IngestLabelsOperator(IngestOperator):
    """Read labels off landed outcomes and publish them."""

    def patterns(self) -> list[str]:
        """List the landing patterns that are read."""
        return [self.config.labels.landing] if self.config.labels else []

    def wanted_by_stage(self, landing: Landing) -> dict[str, Wanted]:
        """Say what each partition of `labels` would be made from now."""
        from include.ingest_label.ingest import wanted_labels

        return {"labels": wanted_labels(self.config, landing)}

    def ingest(self, stage: str, key: str, context: Context) -> Any:
        """Read the outcomes of one partition, make labels, publish them."""
        from include.ingest_label.ingest import ingest_labels

        landing = self.lake_hook.landing
        return ingest_labels(self.config, key, landing, self.lake, self.writer(context))


class IngestReferencesOperator(IngestOperator):
    """Publish the reference tables that have landed.

    One that lands by partition emits the partitions that are clean already: their features were
    built without it, or wait for it. Those that come with it are built with it anyway.
    """

    def patterns(self) -> list[str]:
        """List the landing patterns that are read."""
        return [reference.landing for reference in self.config.ingest.references.values()]

    def keys_to_emit(self, changed: Sequence[str]) -> list[str]:
        """Choose the partitions whose features are to be built again."""
        clean = self.lake.table(self.use_case, "clean").partitions()
        return sorted(set(changed) & set(clean))

    def wanted_by_stage(self, landing: Landing) -> dict[str, Wanted]:
        """Say what each partition of each reference would be made from now."""
        from include.ingest_label.ingest import wanted_reference

        names = self.config.ingest.references
        return {f"reference_{name}": wanted_reference(self.config, name, landing) for name in names}

    def ingest(self, stage: str, key: str, context: Context) -> Any:
        """Publish one partition of one reference."""
        from include.ingest_label.ingest import ingest_reference

        name, landing = stage.removeprefix("reference_"), self.lake_hook.landing
        return ingest_reference(self.config, name, key, landing, self.lake, self.writer(context))


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
            f"{len(refused)} refused; the others were ingested. Each is tried again when its files "
            "or its definition change:\n" + "\n".join(lines)
        )


class RetractOperator(PhaseOperator):
    """Take one landed partition back: out of the landing area and out of the lake, with a record.

    Its files are moved aside, not deleted. **Idempotent**: what is gone already is left. **XCom**:
    what was moved and cleared. **Retries**: when the landing area or the lake does not answer.

    :param partition: which partition (templated)
    :param reason: why, kept in the record (templated)
    """

    takes_partition_key = False
    template_fields: Sequence[str] = ("partition", "reason")

    def __init__(
        self,
        *,
        partition: str = "{{ params.partition or '' }}",
        reason: str = "{{ params.reason or '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.reason = reason

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the files aside, clear the tables, record it."""
        from include.ingest_label.retract import retract
        from plugins.operators.base import person_of

        with errors_for_airflow():
            key = self.checked_key(self.partition)
            retracted = retract(
                self.config,
                key,
                reason=self.reason,
                who=person_of(context),
                landing=self.lake_hook.landing,
                lake=self.lake,
                writer=self.writer(context),
            )
        self.log.info("%s", retracted)
        return facts_of(retracted)


def _takes(state: State, asked: bool) -> bool:
    """Whether a run takes a partition: one that is due; for a person also one that was refused."""
    return state.due or (asked and state.status == "refused")


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
