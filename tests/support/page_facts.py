"""What the API of Flywheel's page could answer, for looks at the page without a wheel behind it."""

from __future__ import annotations

from typing import Any

REASON = "The model lost more than the worst allowed value; labels of two partitions are new"


def key_of(number: int) -> str:
    """Return a month: 0 is 2013-01."""
    return f"{2013 + number // 12}-{number % 12 + 1:02}"


def partition(number: int) -> dict[str, Any]:
    """Return one partition; each sixth drifted, and the one after it was answered by a training."""
    drifted = number % 6 == 4
    return {
        "partition": key_of(number), "landed": 26_000 + number, "quarantined": 12 * (number % 3),
        "clean": 26_000, "labelled": 25_500, "features": 26_000, "predicted": 26_000,
        "verdict": "drift" if drifted else "stable", "model_version": str(1 + number // 6),
        "drifted": ["dep_delay", "wind_speed"] if drifted else [],
        "performance": 0.70 - 0.02 * (number % 6), "worst_allowed": 0.6, "outcomes": 25_500,
        "decision": "retrain" if drifted else "wait",
        "reasons": REASON if drifted else "Nothing asks for a training",
    }  # fmt: skip


def promotion(number: int) -> dict[str, Any]:
    """Return an entry of the promotion ledger."""
    return {
        "number": number, "version": str(number), "evaluated_version": str(number),
        "previous": str(number - 1) if number > 1 else None, "as_of": key_of(6 * number),
        "known_up_to": key_of(6 * number), "who": "the gate",
        "why": "Better than the champion on the same holdout; better than the dummy",
        "evidence": '{"metric": "roc_auc", "challenger": 0.71, "champion": 0.66, "rows": 5000}',
        "run_id": "flights__deploy/run/promote/-1", "promoted_at": "2026-11-30T10:00:00+00:00",
    }  # fmt: skip


def judged(number: int) -> dict[str, Any]:
    """Return a verdict on a model; each third was rejected."""
    rejected = number % 3 == 0
    return {
        "version": str(number), "as_of": key_of(6 * number), "promoted": not rejected,
        "algorithm": "hist_gradient_boosting", "mlflow_run": "0" * 32, "metric": "roc_auc",
        "value": 0.71, "champion": 0.66, "linear": 0.64, "dummy": 0.5,
        "effect": -0.01 if rejected else 0.05, "effect_low": -0.02 if rejected else 0.03,
        "confidence": 0.95, "rows": 5000, "holdout_partition": key_of(6 * number),
        "reasons": "Worse than the champion" if rejected else "Better than the champion",
        "run_id": "flights__deploy/run/promote/-1", "decided_at": "2026-11-30T10:00:00+00:00",
    }  # fmt: skip


def phase(use_case: str, name: str, state: str | None, **more: Any) -> dict[str, Any]:
    """Return the state of a Dag."""
    return {
        "phase": name, "dag_id": f"{use_case}__{name}", "state": state, "run_id": "run",
        "partition": key_of(11) if state else None, "active": int(state == "running"),
        "since": "2026-11-30T10:00:00+00:00" if state else None, "questions": 0, **more,
    }  # fmt: skip


def seen(use_case: str = "flights", partitions: int = 12) -> dict[str, Any]:
    """Return a use case whose wheel turns; with 0 partitions nothing has landed yet."""
    promotions = [promotion(number) for number in range(1, 1 + partitions // 6)]
    card = {
        "use_case": use_case, "task": "binary classification", "owner": "flights@example.com",
        "description": "Will a flight arrive late?", "metric": "roc_auc",
        "champion": promotions[-1] if promotions else None, "promotions": promotions,
        "partitions": [partition(number) for number in range(max(0, partitions - 24), partitions)],
        "landed_at": "2026-11-30T09:00:00+00:00" if partitions else None, "labels_at": None,
    }  # fmt: skip
    done = "success" if partitions else None
    phases = [
        phase(use_case, "ingest_label", done),
        phase(use_case, "validate_clean", "failed" if partitions else None),
        phase(use_case, "drift_monitor", "running" if partitions else None),
        phase(use_case, "deploy", done, questions=int(partitions > 0)),
    ]
    return {"use_case": use_case, "line": use_case, "card": card, "problem": None, "phases": phases}


def without_lake(use_case: str = "weather") -> dict[str, Any]:
    """Return a use case whose lake does not answer; Airflow's facts are there."""
    return {**seen(use_case), "card": None, "problem": "The lake s3://lake does not answer."}
