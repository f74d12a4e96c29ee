"""A change of code that makes a stage must make a person think of the stage's code version.

`code_versions.json` holds, for each stage, the code version and a digest of each module that
computes it. When a module has changed, decide whether the same input now gives another result:

* it does: raise `code_version` of the stage in `include/due/stages.py`;
* it does not (a name, a message, speed): leave it.

Then, in either case, write the digests anew: `python -m tests.include.due.test_code_versions`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from include.due.stages import STAGES, Stage

REPO = Path(__file__).parents[3]
RECORDED = Path(__file__).with_name("code_versions.json")
COMMAND = "python -m tests.include.due.test_code_versions"
NOT_COMPUTING = {
    "include.annotate.due",  # when a round begins, not what it asks
    "include.drift_monitor.report",  # what a person looks at
    "include.ingest_label.advice",  # what messages suggest
    "include.ingest_label.source",  # what messages name
    "include.ingest_label.bucket",  # where files are, not what they hold
    "include.ingest_label.folder",
    "include.ingest_label.landing",
    "include.ingest_label.listing",
    "include.ingest_label.patterns",
    "include.ingest_label.retract",
    "include.ingest_label.stillness",  # when a partition is taken
    "include.train_tune.reproduce",  # compares, and keeps nothing
    "include.train_tune.request",  # names a training
    "include.validate_clean.report",  # what a person looks at
}
"""Modules of a phase whose change cannot change a row, with the reason."""


def path_of(module: str) -> Path:
    return REPO / f"{module.replace('.', '/')}.py"


def digest(source: str) -> str:
    """Digest what a source does: its syntax tree without docstrings; comments are not in it."""
    shape = _shape(ast.parse(source))
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone: a docstring, also below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _shape(node: Any) -> Any:
    """Make JSON of a tree; what is empty is left out, so that versions of Python agree."""
    if isinstance(node, ast.AST):
        fields = {name: _shape(value) for name, value in ast.iter_fields(node)}
        kept = {name: value for name, value in fields.items() if value not in (None, "None", [])}
        return [type(node).__name__, kept]
    if isinstance(node, list):
        return [_shape(one) for one in node if not (isinstance(one, ast.AST) and _is_text(one))]
    return repr(node)


def present(stage: Stage) -> dict[str, Any]:
    modules = {name: digest(path_of(name).read_text()) for name in sorted(stage.modules)}
    return {"code_version": stage.code_version, "modules": modules}


def complaint(name: str, now: dict[str, Any], then: dict[str, Any]) -> str | None:
    """Say what to do where a stage is not as it was recorded."""
    changed = sorted(
        module
        for module in {**now["modules"], **then["modules"]}
        if now["modules"].get(module) != then["modules"].get(module)
    )
    if now["code_version"] < then["code_version"]:
        return f"{name}: code_version fell from {then['code_version']}. It may only rise."
    if now["code_version"] > then["code_version"]:
        return f"{name}: code_version was raised. Record it: `{COMMAND}`."
    if changed:
        return (
            f"{name}: {', '.join(changed)} changed. If the same input now gives another result, "
            f"raise code_version of {name!r} in include/due/stages.py: what was made before is "
            f"then out of date. In either case record the change: `{COMMAND}`."
        )
    return None


@pytest.mark.parametrize("name", STAGES)
def test_a_change_of_what_computes_a_stage_was_thought_about(name: str) -> None:
    recorded = json.loads(RECORDED.read_text())
    nothing: dict[str, Any] = {"code_version": 0, "modules": {}}
    words = complaint(name, present(STAGES[name]), recorded.get(name, nothing))
    assert words is None, words


def test_no_stage_is_recorded_that_does_not_exist() -> None:
    assert set(json.loads(RECORDED.read_text())) == set(STAGES)


CODE = '''"""Adds."""

LIMIT = 3
"""How much."""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    # A comment.
    return a + b if a < LIMIT else b
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a + b", "a - b"),
        ("a < LIMIT", "a <= LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("else b", "else a"),
    ],
)
def test_another_operator_or_number_is_a_change(before: str, after: str) -> None:
    assert digest(CODE.replace(before, after)) != digest(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""Adds."""', '"""Adds numbers."""'),
        ('    """Add two numbers."""\n', ""),
        ('"""How much."""', '"""How many."""'),
        ("# A comment.", "# Another one."),
        ("a + b if a < LIMIT else b", "(\n        a + b if a < LIMIT else b\n    )"),
    ],
)
def test_words_and_layout_are_no_change(before: str, after: str) -> None:
    assert digest(CODE.replace(before, after)) == digest(CODE)


OTHER: dict[type, type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Lt: ast.LtE, ast.Eq: ast.NotEq, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class Flip(ast.NodeTransformer):
    """Exchanges the first operator that it meets."""

    def __init__(self) -> None:
        self.flipped: str | None = None

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        other = OTHER.get(type(node))
        if other is None or self.flipped:
            return node
        self.flipped = type(node).__name__
        return other()


@pytest.mark.parametrize("name", STAGES)
def test_another_operator_in_a_module_of_a_stage_is_noticed(name: str) -> None:
    """The reminder above can fail: one `+` that becomes a `-` in the real source trips it."""
    recorded = json.loads(RECORDED.read_text())[name]
    flipped = 0
    for module in STAGES[name].modules:
        flip = Flip()
        tree = flip.visit(ast.parse(path_of(module).read_text()))
        if flip.flipped is None:
            continue
        flipped += 1
        now = present(STAGES[name])
        now["modules"][module] = digest(ast.unparse(tree))
        words = complaint(name, now, recorded)
        assert words is not None
        assert words.startswith(f"{name}: {module} changed. If the same input now gives another")
    assert flipped > 0


def test_a_raised_version_is_to_be_recorded_and_never_falls() -> None:
    one = {"code_version": 1, "modules": {}}
    two = {"code_version": 2, "modules": {"a": "b"}}
    assert complaint("clean", one, one) is None
    assert "was raised. Record it: `python -m tests" in str(complaint("clean", two, one))
    assert "fell from 2" in str(complaint("clean", one, two))


def test_the_modules_of_the_phases_are_all_declared() -> None:
    """A new module of a phase belongs to a stage, or is said to compute nothing."""
    declared = {module for stage in STAGES.values() for module in stage.modules}
    for module in declared | NOT_COMPUTING:
        assert importlib.util.find_spec(module) is not None, f"{module} is gone: take it out"
    folders = {path_of(f"include.{stage.phase}").with_suffix("") for stage in STAGES.values()}
    found = {
        f"include.{path.parent.name}.{path.stem}"
        for folder in folders
        for path in folder.glob("*.py")
        if path.stem != "__init__"
    }
    missing = sorted(found - declared - NOT_COMPUTING)
    assert missing == [], (
        f"{missing} belong to no stage. Add them to `modules` in include/due/stages.py, or to "
        "NOT_COMPUTING here with the reason."
    )
    assert not declared & NOT_COMPUTING


if __name__ == "__main__":
    everything = {name: present(stage) for name, stage in STAGES.items()}
    RECORDED.write_text(json.dumps(everything, indent=2) + "\n")
