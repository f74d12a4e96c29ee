"""What every phase's operator has in common: use case, hooks, writer, and what a run is asked for.

A run owns its partition key. Whatever started it, it does the work of that key and of no other.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import ConfigError, DataContractError, FlywheelError, ServiceUnavailable
from include.partitions import check_key
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.due.wanted import Wanted
    from include.lake.table import Lake, Writer
    from include.registry.client import Registry
    from include.registry.ledger import Ledger
    from include.use_cases.schema import UseCase

PARTITION_KEY = "{{ dag_run.partition_key or '' }}"
"""The run's partition key, as a template; empty in a run without one."""

_BY_A_PERSON = ("manual", "asset_materialization", "operator_triggered", "backfill")


class PhaseOperator(BaseOperator):
    """Base of the phase operators.

    :param use_case: name of the use case
    :param mlflow_conn_id: Airflow connection of the MLflow server
    """

    takes_partition_key = True
    """Whether a run of this operator's Dag has a partition key."""

    def __init__(
        self, *, use_case: str, mlflow_conn_id: str = MlflowHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.use_case = use_case
        self.mlflow_conn_id = mlflow_conn_id

    def pre_execute(self, context: Any) -> None:
        """Refuse a run that was asked for with what its Dag does not know.

        Airflow's REST API passes any key of `conf` on unchecked, and a misspelt one would be a wish
        that is silently ignored.
        """
        super().pre_execute(context)
        run, known = context["dag_run"], sorted(context["dag"].params)
        unknown_keys = sorted(set(run.conf or {}) - set(known))
        problem = None
        if unknown_keys:
            problem = (
                f"conf holds {unknown_keys}, which this Dag does not know; it knows "
                f"{known or 'none'}. Start it again without them."
            )
        elif run.partition_key and not self.takes_partition_key:
            problem = (
                f"this Dag has no partition key, got {run.partition_key!r}. Start it again without "
                f"one; its form has {known or 'no fields'}."
            )
        if problem:
            raise AirflowFailException(f"{run.dag_id}: {problem}")

    @cached_property
    def config(self) -> UseCase:
        """The use case, read anew in each task."""
        from include.use_cases.loader import get

        return get(self.use_case)

    @cached_property
    def lake_hook(self) -> LakeHook:
        """The way to the lake."""
        return LakeHook()

    @property
    def lake(self) -> Lake:
        """The lake."""
        return self.lake_hook.lake

    @cached_property
    def registry(self) -> Registry:
        """The model registry."""
        return MlflowHook(self.mlflow_conn_id).registry

    @cached_property
    def ledger(self) -> Ledger:
        """The promotion ledger: which model version serves."""
        from include.registry.ledger import Ledger

        return Ledger(self.lake, self.use_case, self.lake_hook.settings.verify_key)

    def checked_key(self, key: str) -> str:
        """Give the run's partition key back when it is one; a run without one guesses nothing.

        :param key: the rendered partition key
        """
        if not key:
            raise ConfigError(
                f"{self.dag_id}: the run must have a partition key, such as 2013-04, and has none. "
                "Start it with one (`partition_key` in the form or in REST). Airflow drops the key "
                "of runs that TriggerDagRunOperator starts or `airflow partitions clear` clears."
            )
        return check_key(key, self.config.ingest.partition.grain)

    def writer(self, context: Context) -> Writer:
        """Say who publishes. The token is the attempt's start in milliseconds: a later attempt's
        is higher.

        So a task that was presumed dead and finishes late cannot overwrite what its retry has
        published.
        """
        from include.lake.table import Writer
        from include.provenance import code_version

        ti = context["ti"]
        return Writer(
            run_id=f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}",
            attempt=ti.try_number,
            token=int(ti.start_date.timestamp() * 1000),
            code_version=code_version(),
        )

    def emit(self, context: Context, partition: str, facts: dict[str, Any]) -> None:
        """Emit one event for `partition` on each outlet of this task, with a few small facts."""
        emit(context, self.outlets, [partition], {"partition": partition, **facts})


def asked_by_a_person(context: Context) -> bool:
    """Tell whether a person wants this run's work done, whether it is due or not.

    The form and REST start a `manual` run, "materialize" an `asset_materialization`; clearing a run
    or a task raises the run's `clear_number`. (A retry does not: `try_number` would not tell.)
    """
    run = context["dag_run"]
    kind = str(getattr(run.run_type, "value", run.run_type))
    return kind in _BY_A_PERSON or bool(run.clear_number)


def person_of(context: Context) -> str:
    """Name who started the run: a user of Airflow, or the Dag itself."""
    run = context["dag_run"]
    return str(run.triggering_user_name or run.dag_id)


def emit(
    context: Context, outlets: Sequence[Any], partitions: Sequence[str], extra: dict[str, Any]
) -> None:
    """Emit one event per partition on each outlet.

    :param extra: small facts; Airflow gives the same to all partitions of one emission
    """
    for outlet in outlets:
        event = context["outlet_events"][outlet]
        event.add_partitions(list(partitions))
        event.extra = extra


@contextmanager
def errors_for_airflow() -> Iterator[None]:
    """Let only what a retry may help be retried: a service that did not answer, or a surprise.

    Config and data errors fail at once, with their words. An attempt that a later one has
    overtaken is skipped: the later result stands.
    """
    from include.lake.errors import StaleAttempt

    try:
        yield
    except ServiceUnavailable:
        raise
    except StaleAttempt as error:
        raise AirflowSkipException(str(error)) from error
    except FlywheelError as error:
        raise AirflowFailException(str(error)) from error


def facts_of(done: Any) -> dict[str, Any]:
    """Give a dataclass of facts as XCom takes it.

    XCom is strict JSON: a metric that is not defined (NaN) would fail the task after its work is
    done. It travels as None.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    facts: dict[str, Any] = plain(asdict(done))
    return facts


def unknown(what: str, wanted: str, place: str, present: Sequence[str]) -> DataContractError:
    """Make the error for a form or REST call that names what does not exist: it says what does."""
    return DataContractError(
        f"{what} {wanted!r} is not in {place}. There is: {', '.join(present) or 'nothing yet'}. "
        f"Start the Dag with one of these."
    )


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
    source: str
    """The table that it is mainly made from, such as `raw`."""

    template_fields: Sequence[str] = ("partition",)

    def __init__(self, *, partition: str = PARTITION_KEY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the partition if it is due or asked for, and emit the asset event."""
        with errors_for_airflow():
            key = self.checked_key(self.partition)
            wanted = self.wanted()
            if key not in wanted:
                self.not_wanted(key, asked=asked_by_a_person(context))
            # An earlier attempt of this very task that died before its event was emitted.
            half_done = self._published_by_this_run(key, context)
            if not half_done and not asked_by_a_person(context):
                self._skip_unless_due(key, wanted)
            try:
                done = facts_of(self.process(context))
            except (ConfigError, DataContractError) as error:
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

    def _published_by_this_run(self, key: str, context: Context) -> bool:
        # A cleared run counts its attempts on: its earlier ones emitted their events.
        if context["ti"].try_number <= 1 or context["dag_run"].clear_number:
            return False
        table = self.lake.table(self.use_case, self.stage)
        if table.partition_version(key) is None:
            return False
        return bool(table.facts(key).get("run_id") == self.writer(context).run_id)

    def _remember_refusal(
        self, key: str, wanted: Wanted, error: FlywheelError, context: Context
    ) -> None:
        from include.due.state import refuse

        refuse(
            self.use_case, self.stage, key, wanted[key], str(error), self.lake, self.writer(context)
        )

    @abstractmethod
    def wanted(self) -> Wanted:
        """Say which partitions the table should hold, and what each would be made from now."""

    @abstractmethod
    def process(self, context: Context) -> Any:
        """Do the phase's work on `self.partition`; return its dataclass of facts.

        One of them is `changed`: whether the content differs from what was there.
        """
