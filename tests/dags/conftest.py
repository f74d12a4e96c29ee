"""The Dags as the dag-processor sees them, and a way to run them without a scheduler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dag_runs import DagRuns, dag_runs

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make the tables in the throw-away database of tests/conftest.py, once: 5 s."""
    airflow = Path(sys.executable).with_name("airflow")
    done = subprocess.run([airflow, "db", "migrate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def dag_runs_of(dag_bag: Any, airflow_database: None) -> Iterator[DagRuns]:
    """Run a Dag with `dag_runs_of("weather_regimes__feature", key="2013-01")`."""
    with dag_runs(dag_bag) as runs:
        yield runs
