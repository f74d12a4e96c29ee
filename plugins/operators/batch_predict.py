"""Operators of batch prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.errors import DataContractError
from plugins.operators.base import PARTITION_KEY, PhaseOperator, errors_for_airflow
from plugins.operators.partition import PartitionOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from include.batch_predict.predict import Predicted
    from include.due.wanted import Wanted


class PredictPartitionOperator(PartitionOperator):
    """Score one partition with the champion.

    A new champion does not make the partition due again: it is scored anew when its features change
    or a person asks. What other versions predicted is kept. Skipped when there is no champion yet,
    and, started by an event, when the champion was trained or tested on partitions up to this one.
    A person who asks for such a partition is refused if the champion's training used it.
    **Idempotent**: replaces the champion's own predictions of the partition. **XCom**: partition,
    rows, model version, mean score. **Retries**: when MLflow or the lake does not answer.
    """

    stage = "predictions"
    # What is refused here is the model, and the next champion may do: the partition stays due.
    remembers_refusals = False

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        from include.due.wanted import wanted_predictions

        champion = self.ledger.current()
        known_up_to = champion.known_up_to if champion else None
        return wanted_predictions(self.config, self.lake, known_up_to, [key])

    def not_wanted(self, key: str, *, asked: bool) -> None:
        """Skip without a champion, or where it may have learned from the partition."""
        if key not in self.lake.table(self.use_case, self.source).partitions():
            super().not_wanted(key, asked=asked)
        champion = self.ledger.current()
        if champion is None:
            raise AirflowSkipException(f"There is no champion yet that could score {key}.")
        if not asked:  # of what a person asks for, `predict_partition` refuses what it must
            raise AirflowSkipException(
                f"Champion {champion.version} was trained and tested on partitions up to "
                f"{champion.known_up_to}: scoring {key} would overstate its performance."
            )

    def process(self, context: Context) -> Predicted:
        """Score and publish."""
        from include.batch_predict.predict import predict_partition

        champion = self.ledger.current()
        if champion is None:
            raise DataContractError(  # there was one when `wanted` looked
                f"{self.use_case}: the promotion ledger has no champion any more. Find out who "
                "changed the lake's table 'promotions', then clear this task."
            )
        return predict_partition(
            self.config,
            self.partition,
            champion.version,
            self.lake,
            self.registry,
            self.writer(context),
        )


class ReportUnscoredOperator(PhaseOperator):
    """Emit an event for a partition that was not scored because there is no champion, so that
    `retrain_trigger` considers a first training.

    Skipped when there is a champion, and while other partitions that landed have no features yet:
    the last of a backlog reports for all, or each would start a decision that waits for the others.

    **Idempotent**: reads only, but for its event. **XCom**: none. **Retries**: when the lake does
    not answer.

    :param partition: partition key (templated; by default the run's)
    """

    template_fields: Sequence[str] = ("partition",)

    def __init__(self, *, partition: str = PARTITION_KEY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition = partition

    def execute(self, context: Context) -> None:
        """Look whether there is a champion."""
        with errors_for_airflow():
            key = self.checked_key(self.partition)
            if self.ledger.current() is not None:
                raise AirflowSkipException("There is a champion: nothing to report.")
            if waits := self._without_features():
                raise AirflowSkipException(
                    f"What has landed has no features yet ({len(waits)}), such as {waits[0]}: the "
                    "last of them reports."
                )
        self.emit(context, key, {})

    def _without_features(self) -> list[str]:
        from include.retrain_trigger.gather import pending_partitions

        raw, features = (
            set(self.lake.table(self.use_case, stage).partitions()) for stage in ("raw", "features")
        )
        return pending_partitions(self.config, self.lake, raw - features)
