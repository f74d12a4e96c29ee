"""Who knows one level knows all: phases have one name in dags, plugins, include and tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
OPERATORS = REPO / "plugins" / "operators"


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (REPO / folder).rglob("*.py"))


def phases() -> set[str]:
    return {path.stem for path in OPERATORS.glob("*.py")} - {
        "__init__",
        "base",
        "partition",
        "landed",
        "trials",  # of train_tune
        "refit",  # a task of deploy, in a module of its own
        "approval",  # likewise
        "label_studio",  # of annotate, where people are asked there
        "alerts",  # of housekeeping
    }


def operator_classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(OPERATORS.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield f"{path.name}: {node.name}", node


def imports_of(path: Path) -> Iterator[str]:
    """Name the top-level packages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def test_there_are_phases():
    assert {"ingest_label", "train_tune", "deploy"} <= phases()


WITHOUT_A_FOLDER = {
    "reproduce": "include/train_tune/reproduce.py, because it does the end of that phase again",
    "rebuild": "starts runs through Airflow's REST API, and does no work of its own",
    "retract": "include/ingest_label/retract.py, because it undoes what that phase did",
}


def test_operators_are_named_after_their_phase():
    dags = {path.stem for path in (REPO / "dags").glob("*.py")} - {"__init__", "use_case_errors"}
    library = {path.parent.name for path in (REPO / "include").glob("*/__init__.py")}
    assert phases() <= dags, "name the module in plugins/operators after a file in dags/"
    assert phases() - WITHOUT_A_FOLDER.keys() <= library, (
        "name the module in plugins/operators after a folder in include/"
    )
    assert dags == phases(), "each Dag file has a module of operators"


def test_each_phase_of_the_library_has_its_tests():
    tests = {path.name for path in (REPO / "tests" / "include").iterdir() if path.is_dir()}
    assert phases() - WITHOUT_A_FOLDER.keys() <= tests, (
        "tests mirror the tree: make tests/include/<phase>/"
    )


@pytest.mark.parametrize("path", modules("include"), ids=lambda path: str(path.relative_to(REPO)))
def test_the_library_never_imports_airflow(path):
    wrong = {"airflow", "plugins", "dags"} & set(imports_of(path))
    assert not wrong, f"{path.relative_to(REPO)}: move what needs {wrong} to plugins/"


def test_the_check_of_imports_sees_every_form(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "import json, airflow.sdk\n"
        "def f():\n    from plugins.hooks import lake\n    import dags as d\n"
    )
    assert set(imports_of(module)) == {"json", "airflow", "plugins", "dags"}


@pytest.mark.parametrize(
    "path", [*modules("include"), *modules("plugins"), *modules("dags")],
    ids=lambda path: str(path.relative_to(REPO)),
)  # fmt: skip
def test_nobody_imports_a_use_case_by_name(path):
    names = {folder.parent.name for folder in (REPO / "include/use_cases").glob("*/use_case.yaml")}
    assert len(names) >= 3
    for node in ast.walk(ast.parse(path.read_text())):
        said = node.module if isinstance(node, ast.ImportFrom) else None
        said = said or " ".join(
            a.name for a in getattr(node, "names", []) if isinstance(a, ast.alias)
        )
        wrong = [name for name in names if f"use_cases.{name}" in said]
        assert not wrong, (
            f"{path.relative_to(REPO)}: reach {wrong} through include.use_cases.loader"
        )


@pytest.mark.parametrize(
    ("where", "node"), [pytest.param(*each, id=each[0]) for each in operator_classes()]
)
def test_every_operator_says_what_a_rerun_does(where, node):
    if node.name in {
        "PhaseOperator",
        "PartitionOperator",
        "AnnotateOperator",
        "LabelStudioOperator",
    }:  # bases
        return
    assert node.name.endswith(("Operator", "Sensor")), (
        f"{where}: end its name in Operator or Sensor"
    )
    said = ast.get_docstring(node) or ""
    for word in ("**Idempotent**", "**XCom**", "**Retries**"):
        assert word in said, f"{where}: its docstring lacks {word}"
    told = {line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith(":param ")}
    inits = [
        each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    ]
    for init in inits:
        takes = {argument.arg for argument in init.args.kwonlyargs}
        assert takes <= told, f"{where}: its docstring lacks :param {sorted(takes - told)}"


@pytest.mark.parametrize("folder", ["plugins", "dags"])
def test_modules_stay_small(folder):
    for path in modules(folder):
        lines = len(path.read_text().splitlines())
        assert lines <= 260, f"{path.relative_to(REPO)} has {lines} lines: split it"
