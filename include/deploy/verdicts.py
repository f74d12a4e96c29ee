"""The table `verdicts`: every model version that the gate judged, promoted or not, and why.

MLflow's tags say the same of a rejected version, but in fewer words, and only while MLflow answers.
The promotion ledger decides what serves; this table decides nothing and is there to be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.registry.client import Registry
from include.use_cases.schema import UseCase

STAGE = "verdicts"
_COLUMNS = {
    "version": "string",
    "promoted": "bool",
    "algorithm": "string",
    "mlflow_run": "string",
    "verdict": "string",  # JSON
    "reasons": "string",
    "run_id": "string",
    "decided_at": "timestamp",
}


@dataclass(frozen=True)
class Judged:
    """One model version and its verdict.

    Attributes
    ----------
    version : str
        The version that the figures are of: a refit counts under the version it was made of.
    as_of : str
        Partition key of its training.
    promoted : bool
        Whether it, or its refit, became champion.
    algorithm, mlflow_run : str or None
        Its candidate's name in the YAML, and the MLflow run of its training; None where unknown.
    metric : str or None
        What the figures are of.
    value, champion, linear, dummy : float or None
        The metric on one holdout, of this version and of what it was compared with.
    effect, effect_low, confidence : float or None
        How much better it is than the champion, or than the dummy where nothing served; what it is
        surely better by; how sure. Positive is better, whichever way the metric reads.
    rows : int or None
        Rows of the holdout.
    holdout_partition : str or None
        The newest partition of the holdout.
    reasons : str
        In words, joined by semicolons.
    run_id : str
        The task that decided: `<dag>/<run>/<task>/<map index>`.
    decided_at : str
        ISO, UTC.
    """

    version: str
    as_of: str
    promoted: bool
    algorithm: str | None
    mlflow_run: str | None
    metric: str | None
    value: float | None
    champion: float | None
    linear: float | None
    dummy: float | None
    effect: float | None
    effect_low: float | None
    confidence: float | None
    rows: int | None
    holdout_partition: str | None
    reasons: str
    run_id: str
    decided_at: str


def record(
    use_case: UseCase,
    verdict: Mapping[str, Any],
    lake: Lake,
    registry: Registry,
    writer: Writer,
    *,
    promoted: bool,
) -> None:
    """Write a verdict beside the others of its as-of partition; a run's own is replaced.

    Parameters
    ----------
    use_case : UseCase
        Whose model.
    verdict : mapping
        As it travels between the tasks of deploy.
    lake, registry : Lake, Registry
        Where it is written, and where the version is.
    writer : Writer
        The attempt.
    promoted : bool
        What became of it.

    Raises
    ------
    ServiceUnavailable
        The store or MLflow does not answer.
    """
    version, as_of = str(verdict["evaluated_version"]), str(verdict["as_of"])
    table = lake.table(use_case.name, STAGE)
    earlier = table.read([as_of]).to_pylist() if as_of in table.partitions() else []
    figures = {name: value for name, value in verdict.items() if name != "reasons"}
    row = {
        "version": version,
        "promoted": promoted,
        "algorithm": registry.load(use_case.name, version).facts.get("candidate"),
        "mlflow_run": registry.details(use_case.name, version)["run_id"],
        "verdict": json.dumps(figures, sort_keys=True, allow_nan=False),
        "reasons": "; ".join(verdict["reasons"]),
        "run_id": writer.run_id,
        "decided_at": datetime.now(UTC),
    }
    rows = [old for old in earlier if _run(old["run_id"]) != _run(writer.run_id)]
    data = pa.Table.from_pylist(
        [{name: each[name] for name in _COLUMNS} for each in [*rows, row]],
        schema=arrow_schema(_COLUMNS),
    )
    table.publish(data, partition=as_of, schema=data.schema, writer=writer)


def verdicts_of(use_case: str, lake: Lake) -> list[Judged]:
    """Return all verdicts, the newest first; none before the first one.

    Raises
    ------
    ServiceUnavailable
        The store does not answer.
    """
    table = lake.table(use_case, STAGE)
    rows = table.read().to_pylist() if table.exists() else []
    return [_judged(row) for row in sorted(rows, key=lambda one: one["decided_at"], reverse=True)]


def _run(task: str) -> list[str]:
    """Give Dag and run of `<dag>/<run>/<task>/<map index>`: refit and promotion are one run's."""
    return task.split("/")[:-2]


def _judged(row: Mapping[str, Any]) -> Judged:
    said = json.loads(row["verdict"])
    return Judged(
        version=row["version"],
        as_of=row["partition"],
        promoted=row["promoted"],
        algorithm=row["algorithm"],
        mlflow_run=row["mlflow_run"],
        metric=said.get("metric"),
        value=said.get("challenger"),
        champion=said.get("champion"),
        linear=said.get("linear"),
        dummy=said.get("dummy"),
        effect=said.get("effect"),
        effect_low=said.get("confidence_low"),
        confidence=said.get("confidence"),
        rows=said.get("rows"),
        holdout_partition=said.get("holdout_partition"),
        reasons=row["reasons"],
        run_id=row["run_id"],
        decided_at=row["decided_at"].isoformat(timespec="seconds"),
    )
