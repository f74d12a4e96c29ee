"""The scheduler imports the heavy libraries before it forks its tasks, and nobody else does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from plugins.listeners import warm_tasks

REPO = Path(__file__).resolve().parents[3]
SCHEDULER = ["/venv/bin/airflow", "scheduler"]
DAG_PROCESSOR = ["/venv/bin/airflow", "dag-processor"]


def imported(monkeypatch: pytest.MonkeyPatch, argv: list[str], switch: str | None) -> list[str]:
    """Return what is imported when a component starts; `json` stands for what is there already."""
    double = create_autospec(importlib.import_module)
    monkeypatch.setattr(warm_tasks, "importlib", SimpleNamespace(import_module=double))
    monkeypatch.setattr(warm_tasks, "gc", SimpleNamespace(freeze=lambda: None))  # of the tests
    monkeypatch.setattr(warm_tasks, "MODULES", ("json", "not_there_a", "not_there_b.c"))
    monkeypatch.setattr(warm_tasks, "PARSING", ("json", "not_there_c"))
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.delenv("FLYWHEEL_WARM_TASKS", raising=False)
    if switch is not None:
        monkeypatch.setenv("FLYWHEEL_WARM_TASKS", switch)
    warm_tasks.on_starting(component=object())
    return [call.args[0] for call in double.mock_calls]


@pytest.mark.parametrize("switch", [None, "1"])
def test_the_scheduler_imports_what_is_cold(monkeypatch, switch):
    assert imported(monkeypatch, SCHEDULER, switch) == ["not_there_a", "not_there_b.c"]


@pytest.mark.parametrize(
    "argv",
    [
        ["airflow", "api-server"],
        ["airflow", "triggerer"],
        ["airflow", "celery", "worker"],
        ["scheduler"],
        ["/opt/scheduler/bin/airflow", "dags", "list"],
    ],
)
def test_nobody_else_does(monkeypatch, argv):
    assert imported(monkeypatch, argv, None) == []


def test_the_dag_processor_imports_what_reads_use_cases(monkeypatch):
    assert imported(monkeypatch, DAG_PROCESSOR, None) == ["not_there_c"]


@pytest.mark.parametrize("argv", [SCHEDULER, DAG_PROCESSOR])
def test_it_can_be_switched_off(monkeypatch, argv):
    assert imported(monkeypatch, argv, "0") == []


def test_what_was_imported_is_no_work_for_the_garbage_collector_of_a_fork(monkeypatch):
    done: list[str] = []
    monkeypatch.setattr(warm_tasks, "importlib", SimpleNamespace(import_module=done.append))
    monkeypatch.setattr(warm_tasks, "gc", SimpleNamespace(freeze=lambda: done.append("freeze")))
    warm_tasks.warm(["a", "b"])
    assert done == ["a", "b", "freeze"]


def test_a_warm_process_imports_and_says_nothing(monkeypatch, caplog):
    monkeypatch.setattr(warm_tasks, "MODULES", ("json", "sys"))
    monkeypatch.setattr(sys, "argv", SCHEDULER)
    with caplog.at_level("INFO", logger=warm_tasks.__name__):
        warm_tasks.on_starting(component=object())
    assert caplog.messages == []


@pytest.mark.parametrize("name", [*warm_tasks.MODULES, *warm_tasks.PARSING])
def test_every_module_is_there_to_be_imported(name):
    """Found as a file, not imported: together they take 15 s."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    assert spec is not None, f"{name}: install it, or take it out of warm_tasks.MODULES"
    for folder in spec.submodule_search_locations or []:
        path = Path(folder).joinpath(*rest)
        if path.is_dir() or path.with_suffix(".py").exists():
            return
    pytest.fail(f"{name}: take it out of warm_tasks.MODULES, {top} has no such module")


@pytest.mark.parametrize(("switch", "warm"), [("1", True), ("0", False)])
def test_airflow_itself_calls_it_when_a_component_starts(switch, warm):
    """Through Airflow's listener manager, in a process of its own, with a small real module."""
    program = """
import sys
sys.argv = ["airflow", "scheduler"]
from airflow.listeners.listener import get_listener_manager
from plugins.listeners import warm_tasks
warm_tasks.MODULES = ("wave",)
manager = get_listener_manager()
manager.add_listener(warm_tasks)
before = "wave" in sys.modules
manager.hook.on_starting(component=object())
print("before", before, "after", "wave" in sys.modules)
"""
    env = {**os.environ, "FLYWHEEL_WARM_TASKS": switch, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env, cwd=REPO, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"before False after {warm}" in done.stdout
