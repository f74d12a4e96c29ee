"""The walk in docs/your-own-table.md: each of its commands, as it stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from include.settings import REPO
from include.use_cases.loader import get
from include.validate_clean.validate import validate_and_clean
from tests.support.commands import commands_of, run
from tests.support.registries import local_registry

DOCUMENT = (REPO / "docs" / "your-own-table.md").read_text()
COMMANDS = commands_of(DOCUMENT)
UP = "make up"  # tests/end_to_end starts the stack; here its phases run in this process


def take_in(home: Path) -> None:
    """Do what the stack does with what has landed, up to features and labels."""
    use_case, writer = get("tumours"), Writer("test", 1, 1, "test")
    landing, lake = Landing(str(home / "landing")), Lake(str(home / "lake"))
    for partition in landing.partitions(use_case.ingest.landing, "day"):
        ingest_rows(use_case, partition, landing, lake, writer)
        ingest_labels(use_case, partition, landing, lake, writer)
        validate_and_clean(use_case, partition, lake, writer)
        build_partition(use_case, partition, lake, writer)


def test_each_command_of_the_walk_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (tmp_path / "use_cases").mkdir()
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "use_cases"))
    registry = local_registry(tmp_path / "registry", ["tumours"])
    made = {
        "HOME": str(tmp_path),
        "FLYWHEEL_HOME": str(home),
        "FLYWHEEL_USE_CASES": str(tmp_path / "use_cases"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/registry/mlflow.db",
        "COLUMNS": "120",
    }
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | made
    told: dict[str, str] = {}
    assert UP in COMMANDS
    for command in COMMANDS:
        if command == UP:
            take_in(home)
        else:
            name = command.split()[1]
            told[name] = told.get(name, "") + run(command, env)
    # What the document shows is what is printed.
    for line in re.findall(r"^│ \w.*│$", DOCUMENT, re.MULTILINE):
        cells = [cell.strip() for cell in line.split("│") if cell.strip()]
        assert all(cell in told["new"] for cell in cells), line
    assert "classification, judged by roc_auc; a snapshot" in told["new"]
    assert "ok   tumours: features of " in told["validate"]
    assert "landed 5 files of outcomes in the partitions of their rows" in told["new"]
    assert "ok   late_arrivals: features of 2013-06" in told["validate"]
    assert "# default" in told["explain"]
    assert re.search(r"roc_auc +│ (0\.9\d+|1\.0000) +│ 0\.5000", told["experiment"])
    assert "MLflow run " in told["experiment"]
    experiment = registry.client.get_experiment_by_name("tumours")
    assert len(registry.client.search_runs([experiment.experiment_id])) == 1
