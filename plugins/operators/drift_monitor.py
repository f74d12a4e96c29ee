"""Operators of the phase drift monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.operators.base import FindPartitionsOperator, PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.drift_monitor.monitor import Monitored


class FindUnmonitoredOperator(FindPartitionsOperator):
    """Find the partitions whose features, predictions or labels are newer than their monitoring.

    **Idempotent**: reads only. **XCom**: the partition keys. **Retries**: when the lake does not
    answer.
    """

    def unprocessed(self) -> list[str]:
        """List the partitions to monitor."""
        from include.drift_monitor.monitor import unmonitored

        return unmonitored(self.config, self.lake)


class MonitorPartitionOperator(PartitionOperator):
    """Measure drift of one partition and, once its labels are there, the performance of its
    predictions.

    Drift or decay is a verdict, not a failure: the task stays green. **Idempotent**: replaces the
    partition, and its report. **XCom**: verdict, reasons, figures, the report's run id.
    **Retries**: when MLflow or the lake does not answer.
    """

    def process(self, context: Context) -> Monitored:
        """Measure, publish, report."""
        import tempfile
        from pathlib import Path

        from include.drift_monitor.monitor import monitor_partition

        with tempfile.TemporaryDirectory(prefix="flywheel-") as folder:
            return monitor_partition(
                self.config,
                self.partition,
                self.lake,
                self.registry,
                self.writer(context),
                Path(folder),
            )
