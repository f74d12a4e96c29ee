"""The dependency rule of DESIGN.md, as import-linter reads it from pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")


def contracts() -> list[dict]:
    return tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def lint(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache", "--config", str(config)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(folder), "PATH": ""},
    )  # fmt: skip


def test_the_contracts_hold():
    done = lint(REPO, REPO / "pyproject.toml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for contract in contracts():
        assert f"{contract['name']} KEPT" in done.stdout


def test_a_broken_contract_is_seen(tmp_path):
    """The check above can fail: a phase that imports another one breaks it."""
    for name in ("dags", "plugins", "include", "include/deploy", "include/train_tune"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "include/deploy/apply.py").write_text("import include.train_tune\nimport plugins\n")
    (tmp_path / "pyproject.toml").write_text(
        """
[tool.importlinter]
root_packages = ["include", "plugins", "dags"]
[[tool.importlinter.contracts]]
name = "layers"
type = "layers"
layers = ["dags", "plugins", "include"]
[[tool.importlinter.contracts]]
name = "phases"
type = "independence"
modules = ["include.deploy", "include.train_tune"]
"""
    )
    done = lint(tmp_path, tmp_path / "pyproject.toml")
    assert done.returncode == 1
    assert "layers BROKEN" in done.stdout
    assert "phases BROKEN" in done.stdout


def test_every_phase_is_in_the_contract_of_independence():
    (independent,) = [each for each in contracts() if each["type"] == "independence"]
    phases = {path.stem for path in (REPO / "plugins/operators").glob("*.py")} - {
        "__init__",
        "base",
        "partition",
        "landed",
        "trials",  # of train_tune
        "refit",  # a task of deploy, in a module of its own
        "approval",  # likewise
        "label_studio",  # of annotate, where people are asked there
        "alerts",  # of housekeeping, which stands above the phases
        "housekeeping",  # looks at every phase, and stands above them in the contract of layers
        "rebuild",  # has no folder in include
        "retract",  # likewise
        "reproduce",  # likewise
    }
    assert {f"include.{phase}" for phase in phases} <= set(independent["modules"]), (
        "add the phase to the contract in pyproject.toml"
    )
