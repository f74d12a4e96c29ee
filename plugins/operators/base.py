"""What every phase's operator has in common: use case, hooks, writer, partition key.

A run owns its partition key. Whatever started it, it does the work of that key and of no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from structlog.contextvars import bind_contextvars

from include.errors import ConfigError, DataContractError, FlywheelError, ServiceUnavailable
from include.partitions import check_key
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from include.lake.table import Lake, Writer
    from include.registry.client import Registry
    from include.registry.ledger import Ledger
    from include.use_cases.schema import UseCase

PARTITION_KEY = "{{ dag_run.partition_key or '' }}"
"""The run's partition key, as a template; empty in a run without one."""

REVISION = "flywheel_code_version"
"""Airflow's variable that names the revision of the code; the first job of a cluster sets it."""

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
        """Refuse a run whose `conf` has unknown keys, or that has a key where its Dag takes none.

        Airflow's REST API does not check the keys of `conf`, so a misspelt one would be ignored
        without a word.
        """
        super().pre_execute(context)
        vars(self).pop("_token", None)  # `Dag.test` runs a retry with the same operator
        run, known = context["dag_run"], sorted(context["dag"].params)
        if run.partition_key:  # beside dag_id, run_id and task_id, which Airflow's lines carry
            bind_contextvars(partition=run.partition_key)
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
        check_revision(self.lake_hook.settings.code_version)

    @cached_property
    def config(self) -> UseCase:
        """The use case, read anew in each task."""
        from include.use_cases.loader import get

        return get(self.use_case)

    @cached_property
    def lake_hook(self) -> LakeHook:
        """The hook to the lake and the landing area."""
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
        """Return the run's partition key; a run without one fails, because no key is ever guessed.

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
        """Describe this attempt for the lake's commits.

        Ask before reading what the work is made from. The lake numbers attempts in the order in
        which they ask, so what began later has a higher token, whatever the workers' clocks say: a
        task that was presumed dead and finishes late cannot overwrite what its retry published.
        """
        from include.lake.table import Writer
        from include.provenance import code_version

        ti = context["ti"]
        return Writer(
            run_id=run_of(ti),
            attempt=ti.try_number,
            token=self._token,
            code_version=code_version(),
        )

    @cached_property
    def _token(self) -> int:
        from include.lake.attempts import next_token

        return next_token(self.lake, self.use_case)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell Airflow's OpenLineage provider what this task read and published."""
        from plugins.lineage import lineage_of, tables_behind

        stages = tables_behind(self.outlets, self.config)
        settings = self.lake_hook.settings
        return lineage_of(run_of(task_instance), stages, self.config, self.lake, settings)

    def emit(self, context: Context, partition: str, facts: dict[str, Any]) -> None:
        """Emit one event for `partition` on each outlet of this task, with a few small facts."""
        emit(context, self.outlets, [partition], {"partition": partition, **facts})


def check_revision(ours: str) -> None:
    """Refuse to work with another revision of the code than the cluster was started with.

    A process that has no revision of its own (`FLYWHEEL_CODE_VERSION`, which an image has) works
    with the code beside it, as on one machine.

    :param ours: the revision of this process, or ''
    """
    theirs = Variable.get(REVISION, default=None) if ours else None
    if theirs not in (None, ours):
        raise ServiceUnavailable(
            f"This worker runs revision {ours} of the code, and the cluster was started with "
            f"{theirs}. Nothing was done. Another worker may take the next try; start this one "
            "from the image of the others."
        )


def run_of(ti: Any) -> str:
    """Name a task's run as each of its commits does."""
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"


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
    """Let Airflow retry only where a retry may help.

    A service that did not answer is retried, and so is any exception that Flywheel does not raise
    itself. Config and data errors fail at once, with their message. An attempt that a later one
    has overtaken is skipped: the later result stands.
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
        "Start the Dag with one of these."
    )
