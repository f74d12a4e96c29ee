"""Operators of the phase retrain trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from plugins.operators.base import (
    PARTITION_KEY,
    PhaseOperator,
    asked_by_a_person,
    errors_for_airflow,
    facts_of,
    person_of,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.registry.ledger import Promotion

_EARLIER_PHASES = ("ingest_label", "validate_clean", "label", "feature")
_ACTIVE = ["queued", "running"]


class DecideRetrainingOperator(PhaseOperator):
    """Decide whether a training is due, and record the decision with its reasons in the lake.

    **Idempotent**: the same facts give the same decision, and a training that was asked for is
    not asked for again. **XCom**: ask, as_of, reasons, signals. **Retries**: when MLflow or the
    lake does not answer.

    :param partition: partition key (templated; by default the run's)
    :param ask: ask for a training whatever the signals say (templated)
    """

    template_fields: Sequence[str] = ("partition", "ask")

    def __init__(
        self,
        *,
        partition: str = PARTITION_KEY,
        ask: str = "{{ params.ask }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.partition = partition
        self.ask = ask

    def execute(self, context: Context) -> dict[str, Any]:
        """Gather the facts, decide, record."""
        from include.retrain_trigger.decide import asked_by
        from include.retrain_trigger.gather import decide
        from include.retrain_trigger.records import record

        with errors_for_airflow():
            writer = self.writer(context)
            # A cleared run decides anew; a retry gets the decision that its first attempt recorded.
            cleared = context["dag_run"].clear_number
            writer = replace(writer, run_id=f"{writer.run_id}#{cleared}") if cleared else writer
            key = self.checked_key(self.partition)
            champion = self.ledger.current()
            if champion is not None and not asked_by_a_person(context):
                self._skip_unless_due(key, champion)
            decision = decide(
                self.config,
                key,
                self.lake,
                self.registry,
                champion,
                run_id=writer.run_id,
                active=[] if champion else self._active_phases(context),
            )
            if self.ask == "True":
                decision = asked_by(person_of(context), decision, key)
            record(self.config, decision, self.lake, writer)
        self.log.info(
            "As of %s: %s", decision.as_of, "retrain" if decision.ask else "do not retrain"
        )
        for reason in decision.reasons:
            self.log.info("- %s", reason)
        return facts_of(decision)

    def _skip_unless_due(self, key: str, champion: Promotion) -> None:
        from include.due.state import states
        from include.due.wanted import wanted_decisions

        wanted = wanted_decisions(self.config, self.lake, [key])
        known = key <= champion.known_up_to  # it is scored and monitored no more
        if key not in wanted and known and "new_labels" in self.config.retrain.when:
            return
        if key not in wanted:
            raise AirflowSkipException(
                f"Champion {champion.version} serves, and {key} has not been monitored: the "
                "monitor's report decides."
            )
        state = states(self.use_case, "decisions", {key: wanted[key]}, self.lake)[key]
        if not state.due:
            raise AirflowSkipException(f"Decision on {key}: {state.because}.")

    def _active_phases(self, context: Context) -> list[str]:
        """Name the earlier phases that run: what they bring belongs into a first training."""
        ti = context["ti"]
        ids = [f"{self.use_case}__{phase}" for phase in _EARLIER_PHASES]
        return [dag_id for dag_id in ids if ti.get_dr_count(dag_id=dag_id, states=_ACTIVE)]


class RequestTrainingOperator(PhaseOperator):
    """Emit the training request when the decision asks for one; otherwise be skipped, which emits
    nothing.

    **Idempotent**: training twice for the same data does nothing the second time. **XCom**: none.
    **Retries**: nothing of its own can fail.

    :param decision: what `DecideRetrainingOperator` returned (templated)
    """

    template_fields: Sequence[str] = ("decision",)

    def __init__(self, *, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision

    def execute(self, context: Context) -> None:
        """Ask, or skip with the reasons."""
        if not self.decision["ask"]:
            raise AirflowSkipException("; ".join(self.decision["reasons"]))
        self.emit(context, self.decision["as_of"], {"reasons": self.decision["reasons"][:5]})
