"""What every Dag must have. Each message names the fix."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
FILES = sorted((REPO / "dags").glob("*.py"))
PHASES = {
    "ingest_label", "validate_clean", "feature", "train_tune", "deploy", "drift_monitor",
    "retrain_trigger", "batch_predict",
}  # fmt: skip
USE_CASES = {"flight_delays", "air_time", "weather_regimes"}
HEAVY = (
    "mlflow",
    "great_expectations",
    "evidently",
    "sklearn",
    "optuna",
    "pandas",
    "pyarrow",
    "deltalake",
)


def test_all_dag_files_import(dag_bag):
    assert dag_bag.import_errors == {}


def test_each_use_case_has_each_phase(dag_bag):
    assert set(dag_bag.dags) == {
        f"{use_case}__{phase}" for use_case in USE_CASES for phase in PHASES
    }


def test_every_dag_says_what_it_is(dag_bag):
    for dag_id, dag in dag_bag.dags.items():
        use_case, phase = dag_id.split("__")
        assert {use_case, phase} <= dag.tags, (
            f"{dag_id}: tags come from plugins.wheel.dag_arguments"
        )
        assert "@" in dag.default_args["owner"], (
            f"{dag_id}: give 'owner' in {use_case}/use_case.yaml"
        )
        for word in ("**Runs**", "**Produces**", "normal**"):
            assert word in dag.doc_md, f"{dag_id}: the docstring of dags/{phase}.py lacks {word}"
        assert dag.description, f"{dag_id}: give 'description' in {use_case}/use_case.yaml"


def test_every_dag_may_run_by_itself(dag_bag):
    for dag_id, dag in dag_bag.dags.items():
        assert dag.is_paused_upon_creation is False, (
            f"{dag_id}: a paused Dag loses partitioned events"
        )
        assert dag.max_active_runs == 1, (
            f"{dag_id}: two runs at a time would do the same work twice"
        )
        assert dag.catchup is False, (
            f"{dag_id}: a run processes all that is unprocessed; no catch-up"
        )
        for task in dag.tasks:
            assert task.retries >= 1, (
                f"{task.label}: take default_args from plugins.wheel.dag_arguments"
            )


def test_forms_say_what_they_ask(dag_bag):
    for dag_id, dag in dag_bag.dags.items():
        assert dag.params, f"{dag_id}: give its form at least one Param"
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.description, f"{dag_id}: Param {name!r} lacks a description"
            assert {"title", "type"} <= set(param.schema), (
                f"{dag_id}: Param {name!r} lacks title or type"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_dag_file_fits_one_screen(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 100, f"{path.name}: move work to plugins/operators or include"
    branches = sum(bool(re.search(r"\bif use_case\b", line)) for line in lines)
    assert branches <= 2, f"{path.name}: more than two `if use_case` need a record in docs/adr/"


def test_parsing_loads_nothing_heavy():
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag; "
        f"bag = DagBag({str(REPO / 'dags')!r}); assert len(bag.dags) == 24, bag.import_errors; "
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPO,
        env={**__import__("os").environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert "heavy: []" in out.stdout, "import it inside the operator's execute, not at module level"
