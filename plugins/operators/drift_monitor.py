"""Operator of the phase drift monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from plugins.links import DriftReportLink
from plugins.measure import send
from plugins.operators.partition import PartitionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.drift_monitor.monitor import Monitored
    from include.due.wanted import Wanted


class MonitorPartitionOperator(PartitionOperator):
    """Measure drift of one partition and, once its labels are there, the performance of its
    predictions.

    Drift or decay is a verdict, not a failure: the task stays green. Skipped when nothing was
    predicted for the partition. **Idempotent**: replaces the partition, and its report. **XCom**:
    verdict, reasons, figures, the report's run id. **Retries**: when MLflow or the lake does not
    answer.
    """

    stage = "monitoring"
    # What is refused here is the model's package, which may be put right: the partition stays due.
    remembers_refusals = False
    operator_extra_links = (DriftReportLink(),)

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        from include.due.wanted import wanted_monitoring

        return wanted_monitoring(self.config, self.lake, [key])

    def not_wanted(self, key: str, *, asked: bool) -> None:
        """Skip where nothing was predicted: such labels are for training only."""
        stages = ("features", "labels")
        tables = [self.lake.table(self.use_case, stage) for stage in stages]
        if any(key in table.partitions() for table in tables):
            raise AirflowSkipException(f"Nothing was predicted for {key}: nothing to monitor.")
        super().not_wanted(key, asked=asked)

    def process(self, context: Context) -> Monitored:
        """Measure, publish, report."""
        import tempfile
        from pathlib import Path

        from include.drift_monitor.monitor import monitor_partition

        with tempfile.TemporaryDirectory(prefix="flywheel-") as folder:
            done = monitor_partition(
                self.config,
                self.partition,
                self.lake,
                self.registry,
                self.writer(context),
                Path(folder),
            )
        self.mlflow_run_id = done.report_run_id
        figures = {
            "rows": done.rows,
            "drifted_features": len(done.drifted_features),
            "prediction_drift": done.prediction_drift,
            "performance": done.performance,
            "performance_reference": done.performance_reference,
        }
        send(self.use_case, "monitor", figures)
        return done
