"""Base of the operators that take landed files into the lake."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import ConfigError, DataContractError, FileUnavailable, SettingsError
from plugins.operators.base import (
    PhaseOperator,
    asked_by_a_person,
    emit,
    errors_for_airflow,
    facts_of,
    run_of,
    unknown,
)

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias, Context

    from include.due.state import State
    from include.due.wanted import Wanted
    from include.ingest_label.inventory import Inventory

MOST_AT_ONCE = 500
"""Partitions of a table in one run: about a minute of work. The next run takes the rest."""
REFUSED = "refused"
"""XCom key: words by partition."""
_SHOWN = 20
_MOST_COMMITS = 4 * MOST_AT_ONCE  # of the attempts of one task


class IngestOperator(PhaseOperator):
    """Base of the operators that take landed files into one kind of table.

    Works on what is new; with a partition named, on that one whether it is new or not. Emits one
    event for each partition whose content changed, and is skipped when there is none. **XCom**:
    counts, and the facts of the first partitions; under `refused` the words by partition.
    **Idempotent**: replaces partitions. **Retries**: when the landing area or the lake does not
    answer, or nothing but unreadable files is new; a malformed file is refused at once, and
    remembered until it changes. What still changes is left for the run that its own event starts.

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
        with errors_for_airflow():
            inventories = self._take_inventories(context)
            unread = self._left(inventories)
            wanted = self._wanted(inventories)
            published, refused = self._by_earlier_attempts(wanted, context)
            todo = self._todo(wanted, asked=asked_by_a_person(context))
            self.log.info("To ingest: %s", _listed([item for _, item in todo]) or "nothing new")
            for stage, key in todo[:MOST_AT_ONCE]:
                refused.pop(f"{stage} {key}", None)
                try:
                    done.append(facts_of(self.ingest(inventories[stage], key, context)))
                except FileUnavailable as error:  # it stays due, and the others go on
                    self.log.warning("%s of %s is left for a later run: %s", stage, key, error)
                    unread.append(error)
                except SettingsError:  # says nothing of the files
                    raise
                except (ConfigError, DataContractError) as error:
                    self.log.error("%s of %s is refused: %s", stage, key, error)
                    refused[f"{stage} {key}"] = str(error)
                    self._remember(stage, key, wanted, error, context)
            if not (done or published):
                self._retry_for(unread)
        if refused:
            context["ti"].xcom_push(key=REFUSED, value=self._shown(refused))
        left = self._leave_the_rest(len(todo) - MOST_AT_ONCE, context)
        changed = [facts for facts in done if facts["changed"]]
        keys = {facts["partition"] for facts in changed} | published
        # A skipped task emits nothing, and what is left waits for the next run.
        if not keys and not left:
            raise AirflowSkipException(
                f"Nothing new: {len(done)} ingested with the content they had, "
                f"{len(refused)} refused, {len(unread)} left for a later run."
            )
        emit(context, self._assets(), self.keys_to_emit(sorted(keys)), {})
        return {"ingested": len(done), "changed": len(changed), "first": changed[:_SHOWN]}

    def keys_to_emit(self, changed: Sequence[str]) -> list[str]:
        """Choose the partitions whose event starts something."""
        return sorted(set(changed))

    @abstractmethod
    def stages(self) -> list[str]:
        """Name the tables that files are taken into."""

    @abstractmethod
    def ingest(self, inventory: Inventory, key: str, context: Context) -> Any:
        """Publish one partition of a table."""

    def _take_inventories(self, context: Context) -> dict[str, Inventory]:
        """Look at what has landed: one listing for each pattern, which the whole run uses."""
        from include.ingest_label.inventory import take

        landing, writer = self.lake_hook.landing, self.writer(context)
        found = {
            stage: take(self.config, stage, landing, self.lake, writer) for stage in self.stages()
        }
        for sentence in (each for one in found.values() for each in one.ignored):
            self.log.warning("%s", sentence)
        return found

    def _wanted(self, inventories: dict[str, Inventory]) -> dict[str, Wanted]:
        from include.ingest_label.ingest import wanted_of

        return {stage: wanted_of(self.config, one) for stage, one in inventories.items()}

    def _left(self, inventories: dict[str, Inventory]) -> list[FileUnavailable]:
        """Name what is left for a later run: it comes with its own event, or housekeeping's."""
        left: list[FileUnavailable] = []
        for stage, inventory in inventories.items():
            for key, error in inventory.left.items():
                if self.partition in ("", key):
                    self.log.warning("%s of %s is left for a later run: %s", stage, key, error)
                    left.append(error)
        return left

    def _retry_for(self, unread: list[FileUnavailable]) -> None:
        """Let Airflow retry where all that is new cannot be read; not where it still changes."""
        from include.ingest_label.listing import StillChanging

        for error in unread:
            if not isinstance(error, StillChanging):
                raise error

    def _by_earlier_attempts(
        self, wanted: dict[str, Wanted], context: Context
    ) -> tuple[set[str], dict[str, str]]:
        """Find what this very task published and refused before it had to be tried again.

        Both are up to date by now, but the events were not sent and the refusals not reported.
        """
        from include.due.state import standing_refusals

        if context["ti"].try_number <= 1:
            return set(), {}
        run_id = run_of(context["ti"])
        published: set[str] = set()
        refused: dict[str, str] = {}
        refusals = self.lake.table(self.use_case, "refusals")
        for stage, of_stage in wanted.items():
            for commit in self.lake.table(self.use_case, stage).history(_MOST_COMMITS):
                if commit.get("run_id") == run_id and commit["partition"] in of_stage:
                    published.add(commit["partition"])
            for key, words in standing_refusals(self.use_case, stage, of_stage, self.lake).items():
                if refusals.facts(f"{stage}.{key}").get("run_id") == run_id:
                    refused[f"{stage} {key}"] = words
        return published, refused

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

    def _check_landed(self) -> None:
        """Refuse a partition of which nothing has landed, in any table."""
        from include.ingest_label.ingest import landed_stages

        landing, grain = self.lake_hook.landing, self.config.ingest.partition.grain
        for stage in landed_stages(self.config):
            if landing.files(str(self.config.landing_of(stage)), self.partition, grain):
                return
        rows = self.config.ingest.landing
        place = f"the landing area, {landing.uri}/{rows}"
        raise unknown("Partition", self.partition, place, sorted(landing.partitions(rows, grain)))

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

    def _shown(self, refused: dict[str, str]) -> dict[str, str]:
        shown = dict(list(refused.items())[:_SHOWN])
        if more := len(refused) - len(shown):
            shown[f"{more} more"] = f"see the log of {self.task_id}"
        return shown

    def _leave_the_rest(self, count: int, context: Context) -> bool:
        if count <= 0 or self.more is None or self.landing_asset is None:
            return False
        self.log.info("%d partitions are left for the next run.", count)
        context["outlet_events"][self.more].add(self.landing_asset, extra={"left": count})
        return True


def _takes(state: State, asked: bool) -> bool:
    """Whether a run takes a partition: one that is due; for a person also one that was refused."""
    return state.due or (asked and state.status == "refused")


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
