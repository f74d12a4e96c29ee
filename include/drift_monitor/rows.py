"""The `monitoring` table: one row a finding, the same columns for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from include.drift_monitor.drift import PREDICTION, Shift
from include.drift_monitor.performance import Performance
from include.lake.frames import arrow_schema

SCHEMA_COLUMNS = {
    "kind": "string",  # feature_drift | prediction_drift | performance | summary
    "name": "string",
    "value": "float64",
    "threshold": "float64",
    "p_value": "float64",
    "flagged": "bool",
    "model_version": "string",
    "rows_reference": "int64",
    "rows_current": "int64",
    "verdict": "string",
    "computed_at": "timestamp",
}


@dataclass(frozen=True)
class Findings:
    """What one look at a partition found, before it is written down.

    `rows` are the partition's; `rows_reference` and `rows_current` what the drift tests saw
    (samples), `rows_labelled` what the performance was measured on, `rows_holdout` what it is
    compared with.
    """

    verdict: str
    reasons: list[str]
    rows: int
    model_version: str | None = None
    shifts: list[Shift] = field(default_factory=list)
    min_effect: float = 0.0
    rows_reference: int | None = None
    rows_current: int | None = None
    metric: str | None = None
    performance: Performance | None = None
    performance_verdict: str | None = None
    worst_allowed: float | None = None
    rows_holdout: int | None = None
    rows_labelled: int | None = None

    @property
    def drifted_features(self) -> list[str]:
        """Names of the features that drifted."""
        return [shift.name for shift in self.shifts if shift.name != PREDICTION and shift.drifted]

    @property
    def prediction_shift(self) -> Shift | None:
        """How far the predictions moved; None when that was not tested."""
        return next((shift for shift in self.shifts if shift.name == PREDICTION), None)


def to_table(findings: Findings) -> pa.Table:
    """Write findings as rows of the `monitoring` table.

    `value` and `threshold` by kind: drift, the Jensen-Shannon distance and the smallest that counts
    (`p_value` corrected for all features); performance, the metric and the worst value allowed;
    summary, the share of drifted features.
    """
    shared = {
        "model_version": findings.model_version,
        "verdict": findings.verdict,
        "computed_at": datetime.now(UTC),
    }
    return pa.Table.from_pylist(
        [row | shared for row in _rows(findings)], schema=arrow_schema(SCHEMA_COLUMNS)
    )


def _rows(findings: Findings) -> Iterator[dict[str, object]]:
    tested = [shift for shift in findings.shifts if shift.name != PREDICTION]
    yield {
        "kind": "summary",
        "name": "drifted_features",
        "value": len(findings.drifted_features) / len(tested) if tested else None,
        "flagged": findings.verdict in ("drift", "decay"),
        "rows_reference": findings.rows_reference,
        "rows_current": findings.rows,
    }
    for shift in findings.shifts:
        yield {
            "kind": "prediction_drift" if shift.name == PREDICTION else "feature_drift",
            "name": shift.name,
            "value": shift.distance,
            "threshold": findings.min_effect,
            "p_value": shift.p_value,
            "flagged": shift.drifted,
            "rows_reference": findings.rows_reference,
            "rows_current": findings.rows_current,
        }
    if findings.performance is not None:
        yield {
            "kind": "performance",
            "name": findings.metric,
            "value": findings.performance.value,
            "threshold": findings.worst_allowed,
            "flagged": findings.performance.verdict == "decay",
            "rows_reference": findings.rows_holdout,
            "rows_current": findings.rows_labelled,
        }
