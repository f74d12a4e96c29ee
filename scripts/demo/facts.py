"""What really happened, read back from the lake, the registry and the serving application."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx

from include.lake.table import Lake, LakeTable
from include.modelling.metrics import metric_of
from include.overview import partitions as overview
from include.overview.partitions import PartitionOverview
from include.registry.client import Registry
from include.use_cases.schema import UseCase

STAGES = (
    "raw",
    "labels",
    "clean",
    "quarantine",
    "features",
    "predictions",
    "monitoring",
    "decisions",
)


def partitions_of(use_case: UseCase, lake: Lake) -> list[dict[str, Any]]:
    """One entry per raw partition: rows, versions, predictions, verdicts, decisions."""
    return [_partition(use_case, seen, lake) for seen in overview.partitions_of(use_case, lake)]


def models_of(use_case: UseCase, registry: Registry) -> list[dict[str, Any]]:
    """One entry per model version, oldest first: metrics, baselines, the gate's verdict, why.

    The metrics of a refit are those of the version that was judged, `refit_of`.
    """
    metric = metric_of(use_case)
    aliases = {registry.version_of(use_case.name, name): name for name in ("previous", "champion")}
    found = []
    for version in registry.versions(use_case.name):
        tags = registry.details(use_case.name, version)["tags"]
        facts = registry.load(use_case.name, version).facts
        found.append(
            {
                "version": version,
                "alias": aliases.get(version),
                "refit_of": facts.get("evaluated_version"),
                "as_of": facts["as_of"],
                "candidate": facts["candidate"],
                "holdout_partition": facts["holdout_partition"],
                "metric": metric.name,
                "greater_is_better": metric.greater_is_better,
                "value": facts["metrics"][metric.name],
                "dummy": facts["baselines"]["dummy"][metric.name],
                "linear": facts["baselines"]["linear"][metric.name],
                "verdict": tags.get("verdict"),
                "reasons": tags.get("reasons", ""),
            }
        )
    return found


def ask_model(use_case: UseCase, landing: Path, serving_url: str) -> dict[str, Any]:
    """Ask the served model about a newly landed row, with curl where there is one.

    Raises
    ------
    httpx.HTTPError, subprocess.CalledProcessError
        When there is no answer, or it is not a prediction.
    """
    file = sorted(landing.glob(use_case.ingest.landing.replace("{partition}", "*")))[-1]
    with file.open(encoding="utf-8") as lines:
        row = next(csv.DictReader(lines))
    kinds = {"int64": int, "float64": float}
    record = {
        name: kinds.get(use_case.ingest.columns[name], str)(row[name]) if row[name] else None
        for name in use_case.features.inputs
    }
    url = f"{serving_url}/{use_case.name}/invocations"
    body = json.dumps({"dataframe_records": [record]})
    command = [
        "curl",
        "-sS",
        "--fail-with-body",
        "--noproxy",
        "*",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        url,
    ]
    if shutil.which("curl"):
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    else:
        headers = {"Content-Type": "application/json"}
        response = httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)
        answer = response.raise_for_status().text
    shown = f"curl -H 'Content-Type: application/json' -d '{body}' {url}"
    return {"command": shown, "request": json.loads(body), "answer": json.loads(answer)}


def _partition(use_case: UseCase, seen: PartitionOverview, lake: Lake) -> dict[str, Any]:
    decisions = lake.table(use_case.name, "decisions")
    return {
        "use_case": use_case.name,
        "partition": seen.partition,
        "rows_in": seen.landed,
        "rows_quarantined": seen.quarantined,
        "rows_clean": seen.clean,
        "labels": seen.labelled,
        "versions": _versions(use_case, seen.partition, lake),
        "predictions": seen.predicted,
        "verdict": seen.verdict,
        "model_version": seen.model_version,
        "drifted_features": seen.drifted,
        "performance": seen.performance,
        "decisions": _decisions(decisions, seen.partition),
    }


def _versions(use_case: UseCase, key: str, lake: Lake) -> dict[str, int]:
    """Which Delta version of each table holds the partition's last publish."""
    tables = {stage: lake.table(use_case.name, stage) for stage in STAGES}
    return {
        stage: table.facts(key)["version"]
        for stage, table in tables.items()
        if key in table.partitions()
    }


def _decisions(table: LakeTable, key: str) -> list[dict[str, Any]]:
    if key not in table.partitions():
        return []
    return [
        {"asks": row["asks"], "reasons": row["reasons"]} for row in table.read([key]).to_pylist()
    ]
