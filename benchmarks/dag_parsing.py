"""How long Airflow needs to parse all Dag files of the shipped use cases, beyond its own import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

from benchmarks.figures import Figure, spread
from scripts.stack.settings import REPO

LIMIT_S = 3.0
"""Five use cases ship."""
RUNS = 5


def measure() -> list[Figure]:
    """Parse several times, each in a fresh process.

    Raises
    ------
    RuntimeError
        A heavy library was imported, or a use case gave no Dag: then the time means nothing.
    """
    runs = [parse() for _ in range(RUNS)]
    totals = [sum(file["seconds"] for file in run["files"].values()) for run in runs]
    check(runs[0]["files"])
    base = spread([run["import_airflow_sdk_s"] for run in runs])
    dags = sum(file["dags"] for file in runs[0]["files"].values())
    against = f"{dags} Dags, a fork per file: {spread(totals)}; `import airflow.sdk` alone: {base}"
    return [Figure("dag_parsing", median(totals), "s", against, LIMIT_S)]


def check(files: dict[str, dict[str, Any]]) -> None:
    """Refuse a parse that loaded a heavy library or made no Dags."""
    heavy = [f"{name} imports {', '.join(f['heavy'])}" for name, f in files.items() if f["heavy"]]
    if heavy:
        raise RuntimeError(
            f"While Dag files are parsed: {'; '.join(heavy)}. Import it inside `execute`."
        )
    if not any(file["dags"] for file in files.values()):
        raise RuntimeError(
            "The Dag files made no Dag: look at `python -m benchmarks.parse_dags dags`."
        )


def parse() -> dict[str, Any]:
    """Parse all Dag files in a fresh process; what `benchmarks.parse_dags` prints."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "PYTHONPATH": str(REPO)}
        environment["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        command = [sys.executable, "-m", "benchmarks.parse_dags", str(REPO / "dags")]
        done = subprocess.run(
            command, cwd=REPO, env=environment, check=True, capture_output=True, text=True
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))
