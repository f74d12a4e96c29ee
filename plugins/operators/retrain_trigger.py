"""Operators of the phase retrain trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import DataContractError
from plugins.operators.base import PhaseOperator, facts_of, failures_in_airflows_words

if TYPE_CHECKING:
    from airflow.sdk import Context


class DecideRetrainingOperator(PhaseOperator):
    """Decide whether a training is due, and record the decision with its reasons in the lake.

    **Idempotent**: the same facts give the same decision, and a training that was asked for is
    not asked for again. **XCom**: ask, as_of, reasons, signals. **Retries**: when MLflow or the
    lake does not answer.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Gather the facts, decide, record."""
        from include.retrain_trigger.gather import decide, record

        writer = self.writer(context)
        with failures_in_airflows_words():
            decision = decide(self.config, self.lake, self.registry, writer.run_id)
            if context["params"].get("ask") and not decision.ask:
                if not decision.as_of:
                    raise DataContractError("; ".join(decision.reasons) + ". Land data first.")
                reasons = ["asked for by hand, against:", *decision.reasons]
                decision = replace(decision, ask=True, reasons=reasons)
            record(self.config, decision, self.lake, writer)
        self.log.info(
            "As of %s: %s", decision.as_of, "retrain" if decision.ask else "do not retrain"
        )
        for reason in decision.reasons:
            self.log.info("- %s", reason)
        return facts_of(decision)


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
