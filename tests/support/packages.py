"""Tiny trained and signed model packages, for tests that need a model and no MLflow server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.modelling import estimators
from include.registry.independence import Sample
from include.registry.package import ServableModel, load_package, reference_of, write_package
from include.registry.signing import ensure_keys
from include.use_cases.loader import python_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "classification",
    "description": "Does the synthetic thing happen?",
    "owner": "tests@example.com",
    "ingest": {
        "landing": "tiny/{partition}/*.csv",
        "partition": {"column": "at", "grain": "month"},
        "key": ["id"],
        "columns": {
            "id": "int64",
            "at": "timestamp",
            "x": "float64",
            "z": "float64",
            "colour": "string",
        },
    },
    "labels": {
        "landing": "tiny_outcomes/{partition}/*.csv",
        "columns": {"id": "int64", "at": "timestamp", "outcome": "float64"},
        "from": "outcome",
        "rule": ">= 1",
    },
    "features": {"inputs": ["x", "z", "colour"], "numeric": ["x", "z"], "categorical": ["colour"]},
    "train": {
        "metric": "roc_auc",
        "split": {"by": "at", "folds": 2},
        "candidates": [
            {"estimator": "logistic_regression"},
            {"estimator": "hist_gradient_boosting", "max_iter": 10},
        ],
        "tuning": {"trials": 2},
    },
    "retrain": {"when": ["drift"]},
}


def tiny_use_case(task: str = "classification", **changes: Any) -> UseCase:
    """Return the synthetic use case for a task; `changes` replace whole sections."""
    text = {**TINY, "task": task}
    if task == "regression":
        text["labels"] = {key: value for key, value in TINY["labels"].items() if key != "rule"}
        text["train"] = {**TINY["train"], "metric": "rmse", "candidates": [{"estimator": "ridge"}]}
    if task == "clustering":
        del text["labels"]
        candidates = [{"estimator": "kmeans", "n_clusters": {"low": 2, "high": 4}}]
        text["train"] = {**TINY["train"], "metric": "silhouette", "candidates": candidates}
    return UseCase.model_validate({**text, **changes})


def tiny_rows(
    rows: int = 400, month: str = "2024-01", seed: int = 0, shift: float = 0.0
) -> pd.DataFrame:
    """Return rows as they land (`id`, `at`, `x`, `z`, `colour`) and the column `outcome`.

    The outcome is mostly `x` (and 1 more for red); `z` is noise. `shift` moves `x`: drift.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.0, rows)
    colour = rng.choice(["red", "green", "blue"], rows)
    outcome = 1.0 * (x + (colour == "red") + rng.normal(0, 0.5, rows) > 0.5)
    start = pd.Timestamp(f"{month}-01", tz="UTC")
    apart = pd.Timedelta(days=27) / max(rows, 1)  # days are the gate's independent units
    return pd.DataFrame(
        {
            "id": np.arange(rows, dtype=np.int64),
            "at": (start + pd.to_timedelta(np.arange(rows) * apart.total_seconds(), unit="s"))
            .floor("s")
            .astype("datetime64[us, UTC]"),
            "x": x,
            "z": rng.normal(0, 1, rows),
            "colour": pd.Series(colour, dtype="str"),
            "outcome": outcome,
        }
    )


@dataclass(frozen=True)
class TinyPackage:
    """A signed package on disk, and its keys."""

    folder: Path
    use_case: UseCase
    signing_key: Path
    verify_key: Path

    def load(self, version: str = "1") -> ServableModel:
        """Verify and load it."""
        return load_package(self.folder, self.verify_key, version)


def make_package(
    where: Path,
    task: str = "classification",
    *,
    use_case: UseCase | None = None,
    run_id: str = "run-1",
    estimator: str | None = None,
    seed: int = 0,
    example: dict[str, Any] | None = None,
    request_rows: pd.DataFrame | None = None,
    python: OwnPython | None = None,
    partitions: Sequence[str] = ("2024-01",),
    inputs: Sequence[dict[str, Any]] = (),
    rows: pd.DataFrame | None = None,
) -> TinyPackage:
    """Train on 400 rows and write a signed package to `where/package`, keys to `where/keys`.

    Takes about 0.2 s. `estimator` names a candidate; the use case's first by default. Serving
    learns from `request_rows` what requests usually hold. `partitions` are those that the model is
    said to have learned from, the last held out; `inputs` are its pins. Its own Python is that of
    the working tree unless `python` is given. `rows` are other rows to learn, with `outcome`.
    """
    use_case = use_case or tiny_use_case(task)
    keys = where / "keys"
    ensure_keys(keys / "signing.pem", keys / "verify.pem")
    rows = tiny_rows(seed=seed) if rows is None else rows
    X = rows[use_case.features.columns]
    y = (
        None
        if task == "clustering"
        else rows["outcome"].astype("int64" if use_case.task == "classification" else float)
    )
    spaces = {space.estimator: space for space in use_case.train.candidates}
    name = estimator or use_case.train.candidates[0].estimator
    model = estimators.make(use_case, name, estimators.defaults(spaces[name])).fit(X, y)
    metric = use_case.train.metric
    facts = {
        "metric": metric,
        "metrics": {metric: 0.75},
        "baselines": {"dummy": {metric: 0.5}},
        "holdout_estimate": {"value": 0.75, "standard_error": 0.01, "groups": 27, "problem": None},
        "slices": {},
        "candidate": name,
        "params": {},
        "as_of": "2024-01",
        "partitions": list(partitions),
        "holdout_partition": partitions[-1],
        "holdout_partitions": [partitions[-1]],
        "inputs": list(inputs),
        "run_id": run_id,
        "code_version": "test",
        "lock_hash": "test",
    }
    write_package(
        where / "package",
        estimator=model,
        use_case=use_case,
        python=python or python_of(use_case),
        example=example or {"x": 0.5, "z": -0.5, "colour": "red"},
        reference=reference_of(model, X, use_case),
        facts=facts,
        run_id=run_id,
        signing_key=keys / "signing.pem",
        request_rows=request_rows,
        sample=Sample(rows, {}),
    )
    return TinyPackage(where / "package", use_case, keys / "signing.pem", keys / "verify.pem")
