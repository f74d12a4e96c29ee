"""Operators of batch prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.operators.base import FindPartitionsOperator, PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.batch_predict.predict import Predicted


class FindUnscoredOperator(FindPartitionsOperator):
    """Find the feature partitions that the champion has not scored and has not learned from.

    **Idempotent**: reads only. **XCom**: the partition keys. **Retries**: when MLflow or the lake
    does not answer.
    """

    def unprocessed(self) -> list[str]:
        """List the partitions without predictions that the champion does not know."""
        from include.batch_predict.find import unscored

        return unscored(self.config, self.lake, self.registry)


class PredictPartitionOperator(PartitionOperator):
    """Score one partition of features with the champion.

    Without a champion nothing is published, and the event is still emitted, so that the monitor
    can say so and the first training be asked for. **Idempotent**: replaces the partition.
    **XCom**: partition, rows, model version, mean score. **Retries**: when MLflow or the lake
    does not answer.
    """

    def process(self, context: Context) -> Predicted:
        """Score and publish."""
        from include.batch_predict.predict import predict_partition

        return predict_partition(
            self.config, self.partition, self.lake, self.registry, self.writer(context)
        )
