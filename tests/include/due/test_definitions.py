"""Which edit of a use case puts which stage out of date, and that nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace as replace_fields
from pathlib import Path

import pytest

from include.due import stages
from include.due.definitions import definition_of, definition_parts
from include.due.stages import stage_of
from include.lake.records import digest_63
from include.use_cases.loader import load, python_of
from include.use_cases.schema import UseCase
from tests.support.packages import tiny_use_case

REPO = Path(__file__).parents[3]
STAGES = (
    "raw",
    "labels",
    "reference_plans",
    "clean",
    "features",
    "predictions",
    "monitoring",
    "decisions",
)
YAML, SUITE, PYTHON = "use_case.yaml", "expectations.yaml", "features.py"
DERIVE = "def derive(frame):\n    return frame\n"
COLUMNS = "calls: int64, bill: float64}"
TIMES = "plan: string, calls: int64"

NUMERIC = "numeric: [calls, bill, price]"
OUTCOME = "days_to_departure: int64"
SPLIT = "  split: {by: seen_at}"
LATER = "asked_at: timestamp"
ROWS = {"raw", "clean", "features"}
PLANS = {"reference_plans", "features"}

#: What is edited: file, what stands there ('' appends), what is put there, which stages change.
EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    # Words, places and times of day make no difference to any row.
    "a comment": (YAML, "", "# Reviewed.\n", set()),
    "description": (YAML, "leave within", "go within", set()),
    "owner": (YAML, "churn@example.com", "others@example.com", set()),
    "where rows land": (YAML, "customers/{partition}", "clients/{partition}", set()),
    "where outcomes land": (YAML, "departures/{partition}", "left/{partition}", set()),
    "where a reference lands": (YAML, "plans/*.csv", "tariffs/*.csv", set()),
    "schedule": (YAML, "  key: [customer]", '  schedule: "0 6 * * *"\n  key: [customer]', set()),
    "a default, written out": (YAML, "", 'monitor: {max_metric_drop: "10%"}\n', set()),
    # Training and deploying make no table of the lake.
    "candidates": (YAML, "estimator: logistic_regression", "estimator: random_forest", set()),
    "tuning": (YAML, SPLIT, f"  tuning: {{trials: 3}}\n{SPLIT}", set()),
    "folds": (YAML, "{by: seen_at}", "{by: seen_at, folds: 5}", set()),
    "deploy": (YAML, "", "deploy: {min_effect: 0.01}\n", set()),
    # Ingestion and labels.
    "a further column": (YAML, COLUMNS, f"age: int64, {COLUMNS}", ROWS),
    "a column's type": (YAML, TIMES, "plan: string, calls: float64", ROWS),
    "grain": (YAML, "grain: day", "grain: month", {"raw", "decisions"}),
    "key": (
        YAML,
        "  key: [customer]\n",
        "  key: [customer, seen_at]\n",
        {"labels", "clean", "features", "predictions", "monitoring"},
    ),
    "rule": (YAML, '"<= 30"', '"<= 60"', {"labels"}),
    "a column of outcomes": (YAML, OUTCOME, "days_to_departure: float64", {"labels"}),
    "a column of a reference": (YAML, "price: float64}", "price: int64}", PLANS),
    "a reference's key": (
        YAML,
        "key: [plan], columns: {plan: string",
        "key: [plan, calls], columns: {plan: string, calls: int64",
        PLANS,
    ),
    # Validation and cleaning.
    "quarantined share": (YAML, "share: 0.25", "share: 0.5", {"clean"}),
    "a limit of an expectation": (SUITE, "max_value: 1000", "max_value: 2000", {"clean"}),
    "what a failure does": (SUITE, "on_failure:\nrefuse", "on_failure: quarantine", {"clean"}),
    "a further expectation": (
        SUITE,
        "",
        "- {expectation: expect_column_values_to_not_be_null, column: bill, on_failure: refuse}\n",
        {"clean"},
    ),
    "a comment in the suite": (SUITE, "", "# Asked of the owner.\n", set()),
    "cleaning": (YAML, "", "clean: {missing: {bill: drop}}\n", {"clean"}),
    # Features.
    "a feature less": (YAML, NUMERIC, "numeric: [calls, price]", {"features"}),
    "the order of features": (YAML, NUMERIC, "numeric: [price, calls, bill]", {"features"}),
    "inputs": (YAML, "[plan, calls, bill]\n", "[plan, calls, bill, customer]\n", {"features"}),
    "features.py": (PYTHON, "return frame", "return frame.assign(calls=0)", {"features"}),
    "a comment in features.py": (PYTHON, "", "# Nothing to derive.\n", {"features"}),
    # Monitoring and decisions.
    "metric": (YAML, "metric: roc_auc", "metric: log_loss", {"monitoring"}),
    "monitor": (YAML, "", "monitor: {max_metric_drop: 0.05}\n", {"monitoring"}),
    "retrain": (YAML, "[drift, performance]", "[drift]", {"decisions"}),
    "cooldown": (YAML, "performance]}", "performance], cooldown: 3d}", {"decisions"}),
    "partitions needed": (YAML, SPLIT, f"  min_partitions: 12\n{SPLIT}", {"decisions"}),
    "fewer than are held out": (YAML, SPLIT, f"  min_partitions: 3\n{SPLIT}", set()),
}

#: These need something beside them that is not the edit: what is put there before, and the edit.
PREPARED: dict[str, tuple[dict[str, str], str, str, set[str]]] = {
    "the timestamp that orders rows": (
        {COLUMNS: f"{LATER}, {COLUMNS}", OUTCOME: f"{LATER}, {OUTCOME}"},
        "{by: seen_at}",
        "{by: asked_at}",
        {"labels", "features"},  # both keep the timestamps
    ),
    "the timestamp that gives the partition": (
        {COLUMNS: f"{LATER}, {COLUMNS}", OUTCOME: f"{LATER}, {OUTCOME}"},
        "{column: seen_at",
        "{column: asked_at",
        {"raw", "labels", "features"},
    ),
}


def digests(use_case: UseCase) -> dict[str, int]:
    return {stage: definition_of(use_case, stage) for stage in STAGES}


def replace(path: Path, before: str, after: str) -> None:
    """Edit a file; '' appends."""
    text = path.read_text()
    assert before == "" or text.count(before) == 1, f"{before!r} must be in {path.name} once"
    path.write_text(text.replace(before, after) if before else text + after)


def changed_by(folder: Path, name: str, before: str, after: str) -> set[str]:
    """Edit a file, and return the stages whose definition has changed."""
    earlier = digests(load(folder))
    replace(folder / name, before, after)
    now = digests(load(folder))
    return {stage for stage in STAGES if now[stage] != earlier[stage]}


@pytest.fixture
def folder(churn_root: Path) -> Path:
    """Give churn a `features.py` too."""
    (churn_root / "churn" / PYTHON).write_text(DERIVE)
    return churn_root / "churn"


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_these_stages_and_no_other(folder: Path, edit: str) -> None:
    name, before, after, expected = EDITS[edit]
    assert changed_by(folder, name, before, after) == expected


@pytest.mark.parametrize("edit", PREPARED)
def test_an_edit_of_what_must_be_declared_first_does_so_too(folder: Path, edit: str) -> None:
    declared, before, after, expected = PREPARED[edit]
    for place, more in declared.items():
        replace(folder / YAML, place, more)
    assert changed_by(folder, YAML, before, after) == expected


def test_taking_an_edit_back_takes_the_digest_back(folder: Path) -> None:
    earlier = digests(load(folder))
    text = (folder / YAML).read_text()
    (folder / YAML).write_text(text.replace('"<= 30"', '"<= 60"'))
    assert digests(load(folder)) != earlier
    (folder / YAML).write_text(text)
    assert digests(load(folder)) == earlier


def test_a_features_file_that_comes_or_goes_counts(folder: Path) -> None:
    earlier = digests(load(folder))
    (folder / PYTHON).unlink()
    now = digests(load(folder))
    assert {stage for stage in STAGES if now[stage] != earlier[stage]} == {"features"}


def test_another_task_changes_everything(folder: Path) -> None:
    earlier = digests(load(folder))
    for before, after in (
        ("task: classification", "task: regression"),
        ('  rule: "<= 30"\n', ""),
        ("roc_auc", "rmse"),
        ("logistic_regression", "ridge"),
    ):
        replace(folder / YAML, before, after)
    now = digests(load(folder))
    assert {stage for stage in STAGES if now[stage] != earlier[stage]} == set(STAGES)


def test_stages_have_definitions_of_their_own(folder: Path) -> None:
    found = digests(load(folder))
    assert len(set(found.values())) == len(STAGES)
    assert all(0 < digest < 2**63 for digest in found.values())


def test_a_definition_is_the_digest_of_its_parts() -> None:
    """Clustering has no labels: task and code version are all that its `labels` has."""
    # printf '"clustering"' | sha256sum: 77aa62e66d2466f0..., without its lowest bit
    task = f"{0x77AA62E66D2466F0 >> 1:016x}"
    parts = {"task": task, "code version": "1"}
    assert definition_parts(tiny_use_case("clustering"), "labels") == parts
    assert definition_of(tiny_use_case("clustering"), "labels") == digest_63(
        json.dumps(parts).encode()
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_raised_code_version_changes_the_definition_of_its_stage_alone(
    folder: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case = load(folder)
    earlier = digests(use_case)
    name = stage_of(stage).name
    raised = replace_fields(stages.STAGES[name], code_version=stages.STAGES[name].code_version + 1)
    monkeypatch.setitem(stages.STAGES, name, raised)  # type: ignore[arg-type]
    now = digests(use_case)
    assert {one for one in STAGES if now[one] != earlier[one]} == {stage}


def test_a_helper_module_of_the_use_case_counts(folder: Path) -> None:
    use_case = load(folder)
    (folder / PYTHON).write_text("from .helpers import LIMIT\n" + DERIVE)
    (folder / "helpers.py").write_text("LIMIT = 1\n")
    earlier = digests(use_case)
    (folder / "helpers.py").write_text("LIMIT = 2\n")
    now = digests(use_case)
    assert {stage for stage in STAGES if now[stage] != earlier[stage]} == {"features"}


def test_the_definition_of_a_models_copy_is_that_of_its_python(folder: Path) -> None:
    use_case = load(folder)
    copy, before = python_of(use_case), definition_of(use_case, "features")
    (folder / PYTHON).write_text("def derive(frame):\n    return frame.assign(calls=0)\n")
    assert definition_of(use_case, "features") != before
    assert definition_of(use_case, "features", copy) == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # printf '' | sha256sum: e3b0c44298fc1c14...; printf abc | sha256sum: ba7816bf8f01cfea...
        (b"", 0xE3B0C44298FC1C14 >> 1),
        (b"abc", 0xBA7816BF8F01CFEA >> 1),
    ],
)
def test_a_digest_is_the_first_63_bits_of_sha256(content: bytes, expected: int) -> None:
    assert digest_63(content) == expected


def test_another_process_gives_the_same_definitions(folder: Path) -> None:
    """What is kept in the lake must not depend on Python's hash, which each process seeds anew."""
    code = (
        "import json, sys; from pathlib import Path;"
        "from include.due.definitions import definition_of;"
        "from include.use_cases.loader import load;"
        "use_case = load(Path(sys.argv[1]));"
        "print(json.dumps({stage: definition_of(use_case, stage) for stage in sys.argv[2:]}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *STAGES],
        cwd=REPO, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == digests(load(folder))
