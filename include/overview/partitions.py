"""What became of each partition, from the rows that landed to the decision that was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.lake.table import Lake, LakeTable
from include.use_cases.schema import UseCase

_COUNTED = ("raw", "quarantine", "clean", "labels", "features", "predictions")


@dataclass(frozen=True)
class PartitionOverview:
    """One partition of a use case.

    Attributes
    ----------
    partition : str
        Its key.
    landed, quarantined, clean, labelled, features, predicted : int
        Rows of its tables; 0 where a phase has not run.
    verdict : str or None
        What the monitor says, such as `stable`; None before it has run.
    model_version : str or None
        Whose predictions were monitored.
    drifted : list of str
        Features that drifted.
    performance, worst_allowed : float or None
        The metric on the outcomes that have arrived, and the value from which it would be decay.
    outcomes : int or None
        Rows that `performance` was measured on.
    decision : {'retrain', 'wait'} or None
        Whether a training was asked for; None before a decision was taken.
    reasons : str
        Of the decision, in words.
    """

    partition: str
    landed: int
    quarantined: int
    clean: int
    labelled: int
    features: int
    predicted: int
    verdict: str | None
    model_version: str | None
    drifted: list[str]
    performance: float | None
    worst_allowed: float | None
    outcomes: int | None
    decision: str | None
    reasons: str

    @property
    def quarantined_share(self) -> float | None:
        """Share of the rows that landed; None where none did."""
        return self.quarantined / self.landed if self.landed else None


def partitions_of(
    use_case: UseCase, lake: Lake, last: int | None = None, until: str | None = None
) -> list[PartitionOverview]:
    """Tell what became of the newest partitions that landed, oldest first.

    Counts of rows come from the tables' logs. Of `monitoring` and `decisions` the rows of these
    partitions are read: the time does not grow with the history.

    Parameters
    ----------
    use_case : UseCase
        Whose.
    lake : Lake
        Holds the tables.
    last : int, optional
        How many; all by default.
    until : str, optional
        Only partitions before this key: the next page of a list.

    Raises
    ------
    ServiceUnavailable
        The store does not answer.
    """
    counts = {stage: lake.table(use_case.name, stage).row_counts() for stage in _COUNTED}
    keys = sorted(key for key in counts["raw"] if until is None or key < until)
    shown = keys if last is None else keys[max(0, len(keys) - last) :]
    monitoring = _rows(lake.table(use_case.name, "monitoring"), shown)
    decisions = _rows(lake.table(use_case.name, "decisions"), shown)
    return [
        PartitionOverview(
            partition=key,
            landed=counts["raw"][key],
            quarantined=counts["quarantine"].get(key, 0),
            clean=counts["clean"].get(key, 0),
            labelled=counts["labels"].get(key, 0),
            features=counts["features"].get(key, 0),
            predicted=counts["predictions"].get(key, 0),
            **_monitored(monitoring.get(key, [])),
            **_decided(decisions.get(key, [])),
        )
        for key in shown
    ]


def _rows(table: LakeTable, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    there = set(table.partitions()).intersection(keys)
    found: dict[str, list[dict[str, Any]]] = {}
    if there:
        for row in table.read(sorted(there)).to_pylist():
            found.setdefault(row["partition"], []).append(row)
    return found


def _monitored(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    performance = next((row for row in rows if row["kind"] == "performance"), None)
    return {
        "verdict": rows[0]["verdict"] if rows else None,
        "model_version": rows[0]["model_version"] if rows else None,
        "drifted": sorted(
            row["name"] for row in rows if row["kind"] == "feature_drift" and row["flagged"]
        ),
        "performance": performance["value"] if performance else None,
        "worst_allowed": performance["threshold"] if performance else None,
        "outcomes": performance["rows_current"] if performance else None,
    }


def _decided(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not rows:
        return {"decision": None, "reasons": ""}
    # A training that was asked for is what one wants to see, also when "wait" was said after it.
    asked = [row for row in rows if row["asks"]]
    shown = max(asked or rows, key=lambda row: row["decided_at"])
    return {"decision": "retrain" if asked else "wait", "reasons": shown["reasons"]}
