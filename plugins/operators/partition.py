"""Base of the operators that make one partition of a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.due.stages import STAGES
from include.errors import ConfigError, DataContractError, FlywheelError, SettingsError
from plugins.operators.base import (
    PARTITION_KEY,
    PhaseOperator,
    asked_by_a_person,
    errors_for_airflow,
    facts_of,
    run_of,
    unknown,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.due.wanted import Wanted
    from include.lake.table import LakeTable


class PartitionOperator(PhaseOperator):
    """Base of the operators that make one partition of a table: the one that the run's key names.

    Started by an event it works if the partition is due, and is skipped otherwise, because a task
    that succeeds starts what comes after it. Asked for by a person (form, REST, materialize, clear)
    it always works. Where the outcome has the same content as before, the task is skipped after the
    work, and starts nothing. A refusal is remembered until the input or the definition changes.

    :param partition: partition key (templated; by default the run's)
    """

    stage: str
    """The table that is made, such as `clean`."""
    remembers_refusals = True
    """Whether what is refused depends on `wanted` alone, so that it is not tried unchanged."""

    template_fields: Sequence[str] = ("partition",)

    def __init__(self, *, partition: str = PARTITION_KEY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition

    @property
    def source(self) -> str:
        """The table that gives its partitions, such as `raw`."""
        return STAGES[self.stage].made_from[0]

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the partition if it is due or asked for, and emit the asset event."""
        with errors_for_airflow():
            key = self.checked_key(self.partition)
            self.writer(context)  # the attempt takes its number before it reads anything
            wanted = self.wanted(key)
            if key not in wanted:
                self.not_wanted(key, asked=asked_by_a_person(context))
            # An earlier attempt of this very task that died before its event was emitted.
            half_done = published_by_this_run(
                self.lake.table(self.use_case, self.stage), key, context
            )
            if not half_done and not asked_by_a_person(context):
                self._skip_unless_due(key, wanted)
            try:
                done = facts_of(self.process(context))
            except SettingsError:  # says nothing of the partition, which stays due
                raise
            except (ConfigError, DataContractError) as error:
                if self.remembers_refusals:
                    self._remember_refusal(key, wanted, error, context)
                raise
        self.log.info("%s", done)
        if not done["changed"] and not half_done:
            raise AirflowSkipException(
                f"{self.stage} of {key} has the same content as before: nothing new was published, "
                "and nothing is started."
            )
        shown = ("rows", "rows_clean", "version")
        facts: dict[str, Any] = {name: done[name] for name in shown if name in done}
        self.emit(context, key, facts)
        return done

    def not_wanted(self, key: str, *, asked: bool) -> None:
        """Say why there is nothing to make for a key: an error for a person, a skip for an event.

        An event can come before what it is made from: a reference table before its rows.
        """
        present = self.lake.table(self.use_case, self.source).partitions()
        error = unknown("Partition", key, f"{self.use_case}.{self.source}", present)
        if asked:
            raise error
        raise AirflowSkipException(f"Nothing to make {self.stage} of {key} from yet: {error}")

    def _skip_unless_due(self, key: str, wanted: Wanted) -> None:
        from include.due.state import states

        state = states(self.use_case, self.stage, {key: wanted[key]}, self.lake)[key]
        self.log.info("%s of %s is %s", self.stage, key, state.because)
        self.check_ready(key, wanted)
        if not state.due:
            raise AirflowSkipException(f"{self.stage} of {key}: {state.because}.")

    def check_ready(self, key: str, wanted: Wanted) -> None:
        """Skip while something is missing whose arrival starts this phase again."""

    def _remember_refusal(
        self, key: str, wanted: Wanted, error: FlywheelError, context: Context
    ) -> None:
        from include.due.state import refuse

        refuse(
            self.use_case, self.stage, key, wanted[key], str(error), self.lake, self.writer(context)
        )

    @abstractmethod
    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now; nothing if there is nothing to make."""

    @abstractmethod
    def process(self, context: Context) -> Any:
        """Do the phase's work on `self.partition`; return its dataclass of facts.

        One of them is `changed`: whether the content differs from what was there.
        """


def published_by_this_run(table: LakeTable, key: str, context: Context) -> bool:
    """Tell whether an earlier attempt of this very task has published, and emitted no event.

    A cleared run counts its attempts on: its earlier ones emitted their events.
    """
    if context["ti"].try_number <= 1 or context["dag_run"].clear_number:
        return False
    return key in table.partitions() and table.facts(key).get("run_id") == run_of(context["ti"])
