"""Operators of the phase deploy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSkipException

from plugins.hooks.serving import ServingHook
from plugins.operators.base import (
    PhaseOperator,
    emit,
    facts_of,
    failures_in_airflows_words,
    unknown,
)
from plugins.triggers.served_version import ServedVersionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompareModelsOperator(PhaseOperator):
    """Score champion and challenger on the same rows and reach a verdict.

    A verdict of no is a result: nothing fails. **Idempotent**: reads only. **XCom**: version,
    promote, reasons, metrics. **Retries**: when MLflow or the lake does not answer.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the challenger, or the model version that the form names."""
        from include.deploy.compare import compare

        with failures_in_airflows_words():
            version = self._version(context["params"].get("version"))
            verdict = facts_of(compare(self.config, version, self.lake, self.registry))
            as_of = self.registry.details(self.use_case, version)["tags"]["as_of"]
        self.log.info(
            "Model version %s: %s", version, "promote" if verdict["promote"] else "do not promote"
        )
        for reason in verdict["reasons"]:
            self.log.info("- %s", reason)
        return {"version": version, "as_of": as_of, **verdict}

    def _version(self, named: str | None) -> str:
        if named:
            versions = self.registry.versions(self.use_case)
            if named not in versions:
                raise unknown("Model version", named, f"the model {self.use_case!r}", versions)
            return named
        challenger = self.registry.version_of(self.use_case, "challenger")
        if challenger is None:
            raise AirflowSkipException(
                f"Model {self.use_case!r} has no challenger: nothing to deploy."
            )
        return challenger


class ApplyVerdictOperator(PhaseOperator):
    """Move the registry's aliases as the verdict says.

    **Idempotent**: aliases that stand are left. **XCom**: version, champion. **Retries**: when
    MLflow does not answer.

    :param verdict: what `CompareModelsOperator` returned (templated)
    """

    template_fields: Sequence[str] = ("verdict",)

    def __init__(self, *, verdict: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdict = verdict

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote or reject."""
        from include.deploy.apply import apply

        version = self.verdict["version"]
        with failures_in_airflows_words():
            champion = apply(self.config, version, self.verdict, self.registry)
        return {"version": version, "champion": champion}


class ConfirmServingSensor(BaseSensorOperator):
    """Wait until the serving application answers with a model version; emit the new champion.

    Waits deferred: no worker slot is held. **Idempotent**: reads only, but for its event.
    **XCom**: none. **Retries**: when the application does not answer at first.

    :param use_case: name of the use case
    :param version: model version that must answer (templated)
    :param partition: partition key of the event (templated)
    :param serving_conn_id: Airflow connection of the serving application
    """

    template_fields: Sequence[str] = ("version", "partition")

    def __init__(
        self,
        *,
        use_case: str,
        version: str,
        partition: str,
        serving_conn_id: str = ServingHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        # Serving looks for a new champion every 2 s and loads it in a few more.
        kwargs.setdefault("timeout", 600)
        super().__init__(**kwargs)
        self.use_case = use_case
        self.version = version
        self.partition = partition
        self.serving_conn_id = serving_conn_id

    def execute(self, context: Context) -> None:
        """Ask once; if the version does not answer yet, leave the asking to the triggerer."""
        hook = ServingHook(self.serving_conn_id)
        served = hook.served_version(self.use_case)
        self.log.info("%s serves version %s; wanted is %s", self.use_case, served, self.version)
        if served == self.version:
            self.announce(context)
            return
        self.defer(
            trigger=ServedVersionTrigger(hook.url(), self.use_case, self.version),
            method_name="announce",
            timeout=timedelta(seconds=self.timeout),
        )

    def announce(self, context: Context, event: str | None = None) -> None:
        """Emit the champion that answers."""
        facts = {"partition": self.partition, "model_version": self.version}
        emit(context, self.outlets, [self.partition], facts)
