"""Monitor a partition: did its predictions move, and did they come true as promised.

The verdict is about predictions: 'decay' before 'drift' before 'stable'. Drifted features are
reported and alarm nobody: on real bookings their share was the same for a healthy model and a
decayed one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.drift_monitor.current import read_current
from include.drift_monitor.examine import examine
from include.drift_monitor.report import log_report
from include.drift_monitor.rows import Findings, to_table
from include.due.definitions import DEFINITION, definition_of
from include.due.wanted import ABSENT
from include.lake.table import Input, Lake, Published, Writer
from include.registry.client import Registry
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Monitored:
    """What was found in one partition.

    `verdict` is 'too_few_rows', 'stable', 'drift' or 'decay'; `performance_verdict` 'no_labels',
    'too_few_rows', 'undefined', 'stable' or 'decay', None where there is nothing to judge.
    """

    partition: str
    verdict: str
    drifted_features: list[str]
    prediction_drift: bool | None
    performance: float | None
    performance_reference: float | None
    performance_verdict: str | None
    model_version: str | None
    rows: int
    reasons: list[str]
    version: int
    partition_version: int
    report_run_id: str | None
    changed: bool


def monitor_partition(
    use_case: UseCase,
    partition: str,
    lake: Lake,
    registry: Registry,
    writer: Writer,
    report_dir: Path,
) -> Monitored:
    """Monitor one partition and publish `monitoring`.

    Of the models that scored the partition, the one that did so last is monitored. Compared are its
    features and predictions with its reference, and, where outcomes have come, these very
    predictions (never new ones) with the outcomes. Called again with the same inputs it finds the
    same and writes the same rows.

    Parameters
    ----------
    use_case : UseCase
        Its `monitor` section has the thresholds.
    partition : str
        A partition of the `features` table.
    lake, registry : Lake, Registry
        Where data and models are.
    writer : Writer
        Goes into the commit.
    report_dir : Path
        Where the HTML report is made before it is uploaded.

    Raises
    ------
    DataContractError
        If the partition has no features or no predictions, or the model cannot be trusted.
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    current = read_current(use_case, partition, lake, registry)
    findings, snapshot = examine(use_case, current)
    run_id = log_report(
        use_case,
        partition,
        registry,
        snapshot=snapshot,
        metrics=_metrics(findings),
        tags={
            "flywheel.verdict": findings.verdict,
            "flywheel.model_version": current.model.version,
        },
        report_dir=report_dir,
    )
    # Published last: a partition counts as monitored only when its report is there.
    data = to_table(findings)
    published = lake.table(use_case.name, "monitoring").publish(
        data,
        partition=partition,
        schema=data.schema,
        writer=writer,
        inputs=current.inputs,
        consumed=_beside_inputs(use_case, current.inputs),
        volatile=("computed_at",),
        facts={
            "verdict": findings.verdict,
            "reasons": "; ".join(findings.reasons),
            "model_version": current.model.version,
        },
    )
    log.info(
        "%s %s, predicted by model version %s: %s: %s",
        *(use_case.name, partition, findings.model_version, findings.verdict, findings.reasons),
    )
    return _monitored(partition, findings, published, run_id)


def _beside_inputs(use_case: UseCase, inputs: Sequence[Input]) -> dict[str, int]:
    """Note the definition, and labels that have not come.

    A source that a publish does not name keeps the version that an earlier publish read.
    """
    made = {DEFINITION: definition_of(use_case, "monitoring")}
    labels = f"{use_case.name}.labels"
    if use_case.labels is not None and labels not in {one.table for one in inputs}:
        made[labels] = ABSENT
    return made


def _monitored(
    partition: str, findings: Findings, published: Published, run_id: str | None
) -> Monitored:
    shift, performance = findings.prediction_shift, findings.performance
    return Monitored(
        partition=partition,
        verdict=findings.verdict,
        drifted_features=findings.drifted_features,
        prediction_drift=shift.drifted if shift else None,
        performance=performance.value if performance else None,
        performance_reference=performance.reference if performance else None,
        performance_verdict=findings.performance_verdict,
        model_version=findings.model_version,
        rows=findings.rows,
        reasons=findings.reasons,
        version=published.version,
        partition_version=published.partition_version,
        report_run_id=run_id,
        changed=published.changed,
    )


def _metrics(findings: Findings) -> dict[str, float]:
    """Return what the run's charts show; what was not measured is absent."""
    metrics: dict[str, float] = {"rows": findings.rows}
    if shift := findings.prediction_shift:
        metrics["prediction_distance"] = shift.distance
        metrics["prediction_p_value"] = shift.p_value
        metrics["drifted_features"] = len(findings.drifted_features)
    if performance := findings.performance:
        metrics[str(findings.metric)] = performance.value
        metrics[f"{findings.metric}_drop"] = performance.drop
    return metrics
