"""What every phase's operator has in common: the use case, the hooks, the writer, errors put in
Airflow's words.
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
from airflow.sdk.exceptions import AirflowFailException

from include.errors import DataContractError, FlywheelError, ServiceUnavailable
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.lake.table import Lake, Writer
    from include.registry.client import Registry
    from include.use_cases.schema import UseCase


class PhaseOperator(BaseOperator):
    """Base of the phase operators.

    :param use_case: name of the use case
    :param mlflow_conn_id: Airflow connection of the MLflow server
    """

    def __init__(
        self, *, use_case: str, mlflow_conn_id: str = MlflowHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.use_case = use_case
        self.mlflow_conn_id = mlflow_conn_id

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
def failures_in_airflows_words() -> Iterator[None]:
    """Let only what a retry may help be retried: a service that did not answer, or a surprise.

    Config, data and an attempt that a later one has overtaken fail at once, with their words.
    """
    try:
        yield
    except ServiceUnavailable:
        raise
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


def requested_key(context: Context) -> str | None:
    """Give the partition key that a person or a REST call named for this run.

    A key that came with an asset event is not one: such a run looks for everything that is
    unprocessed, and its key's input may well have been dealt with already.
    """
    run = context["dag_run"]
    key: str | None = context.get("partition_key")
    return key if str(getattr(run.run_type, "value", run.run_type)) == "manual" else None


def unknown(what: str, wanted: str, place: str, present: Sequence[str]) -> DataContractError:
    """Make the error for a form or REST call that names what does not exist: it says what does."""
    return DataContractError(
        f"{what} {wanted!r} is not in {place}. There is: {', '.join(present) or 'nothing yet'}. "
        f"Trigger the Dag with one of these, or leave it empty."
    )


class FindPartitionsOperator(PhaseOperator):
    """Find the partitions of one lake table that the next has not been made from in their present
    version.

    **Idempotent**: reads only. **XCom**: the partition keys, a list of strings; empty when
    nothing is to do, which skips the mapped tasks after it. **Retries**: when the lake does not
    answer.

    :param source: stage that is read, such as `raw`
    :param target: stage that is made of it, such as `clean`
    """

    def __init__(self, *, source: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target

    def execute(self, context: Context) -> list[str]:
        """Look, and list."""
        with failures_in_airflows_words():
            source = self.lake.table(self.use_case, self.source)
            return self.choose(context, source.partitions(), self.unprocessed())

    def unprocessed(self) -> list[str]:
        """List what is to do when nobody asks for anything in particular."""
        from include.lake.table import unprocessed

        return unprocessed(
            self.lake.table(self.use_case, self.source), self.lake.table(self.use_case, self.target)
        )

    def choose(
        self, context: Context, present: Sequence[str], unprocessed: Sequence[str]
    ) -> list[str]:
        """Choose from what is there, what is unprocessed, the key of the run and `force`."""
        key = requested_key(context)
        if key is not None and key not in present:
            raise unknown("Partition", key, f"{self.use_case}.{self.source}", present)
        if context["params"].get("force"):
            chosen = [key] if key else list(present[-1:])
            self.log.info("Asked to process again: %s", chosen or "there is nothing yet")
            return chosen
        if key is not None:
            chosen = [key] if key in unprocessed else []
            self.log.info(
                "%s: %s",
                key,
                "to be processed" if chosen else "already processed in its present version",
            )
            return chosen
        self.log.info("Unprocessed: %s", ", ".join(unprocessed) or "nothing")
        return list(unprocessed)


class PartitionOperator(PhaseOperator):
    """Base of the operators that process one partition; mapped over the partitions that were found.

    :param partition: partition key (templated)
    """

    template_fields: Sequence[str] = ("partition",)

    def __init__(self, *, partition: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition

    def execute(self, context: Context) -> dict[str, Any]:
        """Process the partition, log and return what was done, and emit the asset events."""
        with failures_in_airflows_words():
            done = facts_of(self.process(context))
        self.log.info("%s", done)
        self.emit(
            context,
            self.partition,
            {key: done[key] for key in ("rows", "rows_clean", "version") if key in done},
        )
        return done

    @abstractmethod
    def process(self, context: Context) -> Any:
        """Do the phase's work on `self.partition`; return its dataclass of facts."""
