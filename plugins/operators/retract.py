"""Operator that takes a landed partition back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plugins.operators.base import PhaseOperator, errors_for_airflow, facts_of, person_of

if TYPE_CHECKING:
    from airflow.sdk import Context


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
        from include.lake.attempts import next_token

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
                token=lambda: next_token(self.lake, self.use_case),
            )
        self.log.info("%s", retracted)
        return facts_of(retracted)
