"""Airflow executes every module below plugins/ under its bare stem, but for .airflowignore."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
PLUGINS = REPO / "plugins"

LOAD = """
import json, sys
from importlib.metadata import version
from pathlib import Path
from airflow import plugins_manager
from airflow.listeners.listener import get_listener_manager

folder = Path(sys.argv[1])
found, errors = plugins_manager._get_plugins()
below = lambda module: folder in Path(getattr(module, "__file__", None) or "/").parents
executed = sorted(
    name for name, module in sys.modules.items()
    if below(module) and name.split(".")[0] != "plugins"
)
import mlflow
from plugins.listeners import warm_tasks
print("REPORT" + json.dumps({
    "registered": [p.name for p in found if p.source and "flywheel" in str(p.source)],
    "errors": errors,
    "executed": executed,
    "mlflow": getattr(mlflow, "__file__", None),
    "mlflow_is_real": getattr(mlflow, "__version__", None) == version("mlflow"),
    "listens": get_listener_manager().pm.is_registered(warm_tasks),
}))
"""


def load(folder: Path, home: Path) -> dict[str, Any]:
    """Let Airflow load a plugins folder, in a process of its own, and tell what became of it."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONPATH": str(REPO),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)],
        env=env, cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (report,) = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    return json.loads(report.removeprefix("REPORT"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return load(PLUGINS, tmp_path_factory.mktemp("airflow"))


def test_only_the_thin_plugin_module_is_executed(report):
    assert report["errors"] == {}
    assert report["executed"] == ["flywheel_plugin"], "add what is new to plugins/.airflowignore"
    assert report["registered"] == ["flywheel"]


def test_mlflow_is_the_installed_one(report):
    assert report["mlflow_is_real"]
    assert "site-packages" in report["mlflow"]


def test_the_listener_is_registered(report):
    assert report["listens"]


def test_without_the_file_modules_do_collide(tmp_path):
    """The check above can fail: this is what it would see."""
    folder = tmp_path / "plugins"
    shutil.copytree(
        PLUGINS, folder, ignore=shutil.ignore_patterns(".airflowignore", "__pycache__", "*.pyc")
    )
    report = load(folder, tmp_path / "airflow")
    assert {"mlflow", "deploy", "feature", "phases", "wheel"} <= set(report["executed"])
    assert report["mlflow"] == str(folder / "hooks" / "mlflow.py")
    assert not report["mlflow_is_real"]


def test_every_module_but_one_is_ignored_by_name():
    """Also a module that nothing collides with yet: the next library may have its name."""
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    found = find_path_from_directory(str(PLUGINS), ".airflowignore", "glob")
    names = {Path(path).name for path in found}
    assert {name for name in names if name.endswith(".py")} == {"flywheel_plugin.py"}
