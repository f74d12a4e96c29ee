"""One throw-away Airflow home for the whole test run; set before anything imports airflow."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from include.use_cases.schema import UseCase

REPO = Path(__file__).resolve().parents[1]
_HOME = Path(tempfile.mkdtemp(prefix="flywheel-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

for _name in [
    name for name in os.environ if name.startswith(("AIRFLOW__", "FLYWHEEL_", "MLFLOW_"))
]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(_HOME / "airflow"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "FLYWHEEL_HOME": str(_HOME / "flywheel"),
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(autouse=True, scope="session")
def _suite_of_the_synthetic_use_case() -> Iterator[None]:
    """Give `tiny`, which is in memory only, the suite that is part of a definition of `clean`."""
    from include.due import definitions
    from include.use_cases.expectations import Suite
    from include.use_cases.loader import load_suite, root

    def suite_of(use_case: UseCase, folder: Path | None = None) -> Suite:
        if use_case.name == "tiny" and not (root() / "tiny" / "expectations.yaml").is_file():
            return Suite.model_construct(expectations=[])
        return load_suite(use_case, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "load_suite", suite_of)
        yield


@pytest.fixture(autouse=True)
def take_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait in each test until the files that it has just written hold still."""
    from include.ingest_label import inventory

    monkeypatch.setattr(inventory, "STILL_S", 0.0)


@pytest.fixture(autouse=True)
def logs_stay_on() -> Iterator[None]:
    """Fail the test that turns logs off for those after it, whose `caplog` would be empty."""
    yield
    assert logging.root.manager.disable == logging.NOTSET
