"""What every Dag must have. Each message names the fix."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, PartitionedAssetTimetable, TriggerRule

from plugins.phases import PHASES, TRUSTED
from tests.support.asset_graph import assets_in, condition_of

REPO = Path(__file__).resolve().parents[2]
FILES = sorted((REPO / "dags").glob("*.py"))
USE_CASES = {"flight_delays", "air_time", "weather_regimes", "digits", "votes"}
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
KEYLESS = {"ingest_label", "retract", "rebuild", "housekeeping", "reproduce"}
NO_RETRIES = {
    "send_lost_events": "the next run looks again",
    "raise_alerts": "the next run looks again",
    "confirm_serving": "its time-out is the patience",
}
SIGNS = {
    "prepare_training": "include/train_tune/prepare.py",  # signs what it pinned
    "finish_training": "include/train_tune/finish.py",
    "refit_model": "include/deploy/refit.py",
    "promote": "include/deploy/apply.py",
    "reject": "include/deploy/apply.py",  # the same operator
}
"""The tasks that sign, and the module in which each asks for the signing key, or for a package."""
RULES = {
    "report_refused": TriggerRule.NONE_FAILED,
    # Labels that landed are reported on also where rules have nothing new to say.
    "report_labels": TriggerRule.NONE_FAILED,
    "report_unscored": TriggerRule.NONE_FAILED,
    # What was answered counts, also where another question could not be asked: its item counts as
    # not answered. Where none could be asked this fails with them.
    "collect_answers": TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    # They go on without trials that failed, and where a round is empty. Without the training, or
    # without one of its rounds, they fail themselves: a failure is not hidden.
    "draw_round_2": TriggerRule.ALL_DONE,
    "draw_round_3": TriggerRule.ALL_DONE,
    "finish_training": TriggerRule.ALL_DONE,
    "close_training": TriggerRule.ALL_DONE_SETUP_SUCCESS,
}


def each_dag(dag_bag: Any) -> list[tuple[str, str, str, Any]]:
    return [(dag_id, *dag_id.split("__"), dag) for dag_id, dag in sorted(dag_bag.dags.items())]


def wanted_dags() -> set[str]:
    """Nothing is labelled for a clustering, and people are asked where the use case says so."""
    every = {f"{use_case}__{phase}" for use_case in USE_CASES for phase in PHASES}
    asks_nobody = {f"{use_case}__annotate" for use_case in USE_CASES - {"digits"}}
    return every - {"weather_regimes__label"} - asks_nobody


def assets_of_schedule(dag: Any) -> set[str]:
    return assets_in(condition_of(dag))


def named(assets: Any) -> set[str]:
    return {asset.name for asset in assets if isinstance(asset, Asset)}


def test_all_dag_files_import(dag_bag):
    assert dag_bag.import_errors == {}


def test_each_use_case_has_each_phase(dag_bag):
    # Nothing is labelled for a clustering, and people are asked where the use case says so.
    asks_nobody = {f"{use_case}__annotate" for use_case in USE_CASES - {"digits"}}
    assert (
        set(dag_bag.dags)
        == {f"{use_case}__{phase}" for use_case in USE_CASES for phase in PHASES}
        - {"weather_regimes__label"}
        - asks_nobody
    )


def test_every_dag_says_what_it_is(dag_bag):
    for dag_id, use_case, phase, dag in each_dag(dag_bag):
        assert {use_case, phase} <= dag.tags, (
            f"{dag_id}: tags come from plugins.wheel.dag_arguments"
        )
        assert "@" in dag.default_args["owner"], (
            f"{dag_id}: give 'owner' in {use_case}/use_case.yaml"
        )
        for word in ("**Runs**", "**Produces**", "**On failure**"):
            assert word in dag.doc_md, f"{dag_id}: the docstring of dags/{phase}.py lacks {word}"
        if phase not in {"rebuild", "retract", "reproduce"}:  # they do what a person named, or fail
            assert "**Expected" in dag.doc_md, (
                f"{dag_id}: say in the docstring of dags/{phase}.py when a skip or a failure is "
                "expected: **Expected skips** or **Expected failures**"
            )
        assert dag.description, f"{dag_id}: give 'description' in {use_case}/use_case.yaml"


def test_every_dag_may_run_by_itself(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        assert dag.is_paused_upon_creation is False, (
            f"{dag_id}: a paused Dag loses partitioned events"
        )
        assert dag.catchup is False, f"{dag_id}: a run owns its partition; no catch-up"
        assert dag.max_active_runs == PHASES[phase].active_runs, (
            f"{dag_id}: take max_active_runs from plugins.wheel.dag_arguments"
        )


# Limits


def test_every_task_waits_in_the_pool_of_its_phase(dag_bag):
    for _, _, phase, dag in each_dag(dag_bag):
        for task in dag.tasks:
            assert task.pool in PHASES, (
                f"{task.label} of {dag.dag_id}: pool {task.pool!r} is not made by anyone; add the "
                "phase to plugins.phases.PHASES"
            )
            assert task.pool == phase, (
                f"{task.label} of {dag.dag_id}: leave the pool to plugins.wheel.dag_arguments"
            )


def test_what_signs_waits_in_the_trusted_queue_and_nothing_else(dag_bag):
    for dag_id, _, _, dag in each_dag(dag_bag):
        for task in dag.tasks:
            assert (task.queue == TRUSTED) == (task.task_id in SIGNS), (
                f"{dag_id}.{task.task_id}: on a cluster only the workers of the queue {TRUSTED!r} "
                "have the signing key; name each task that signs in SIGNS, with its module"
            )


def test_each_module_that_asks_for_the_signing_key_belongs_to_a_task_of_the_trusted_queue():
    asking = {
        str(path.relative_to(REPO))
        for path in (REPO / "include").rglob("*.py")
        if path.parent.name != "registry"
        and any(name in path.read_text() for name in (".signing_key", "pack_and_register("))
    }
    assert asking == set(SIGNS.values()), (
        "name the task in SIGNS and give it queue=TRUSTED; nobody else has the key"
    )


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_active_runs_have_a_slot_each(phase):
    limits = PHASES[phase]
    assert 1 <= limits.active_runs <= limits.slots, (
        f"plugins.phases.PHASES[{phase!r}]: a run that waits for a slot uses up its own time-out; "
        f"have at most {limits.slots} active_runs, or more slots"
    )


def test_every_task_is_retried_unless_there_is_a_reason(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        for task in dag.tasks:
            expected = 0 if task.task_id in NO_RETRIES else PHASES[phase].retries
            assert task.retries == expected, (
                f"{dag_id}.{task.task_id}: take default_args from plugins.wheel.dag_arguments, or "
                "name it in NO_RETRIES with its reason"
            )
            assert expected or task.task_id in NO_RETRIES


def attempts_of(task: Any) -> timedelta:
    """Longest time that all attempts of a task, and the waits between them, may take."""
    attempt = task.execution_timeout
    if waits := getattr(task, "timeout", None):  # deferred: then it runs a second time
        attempt = 2 * attempt + waits
    # Airflow adds up to the delay itself, so that retries of many tasks do not come together.
    delays = (
        min(2 * task.retry_delay * 2**number, task.max_retry_delay)
        for number in range(task.retries)
    )
    return (task.retries + 1) * attempt + sum(delays, timedelta())


def longest_chain(dag: Any) -> timedelta:
    """Longest time that tasks which follow one another may take."""
    ends: dict[str, timedelta] = {}
    for task in dag.topological_sort():
        before = (ends[name] for name in task.upstream_task_ids)
        ends[task.task_id] = max(before, default=timedelta()) + attempts_of(task)
    return max(ends.values())


def test_all_attempts_of_the_longest_chain_fit_into_the_run(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        needed = longest_chain(dag)
        assert needed <= dag.dagrun_timeout, (
            f"{dag_id}: its tasks may take {needed} with all retries, and the run is stopped after "
            f"{dag.dagrun_timeout}: raise run_timeout, or lower task_timeout or retries, in "
            f"plugins.phases.PHASES[{phase!r}]"
        )


def test_a_look_of_housekeeping_ends_before_the_next(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        if phase == "housekeeping":
            assert dag.timetable.expression == "*/10 * * * *"
            assert dag.dagrun_timeout < timedelta(minutes=10), (
                f"{dag_id}: two looks at once would send the same events: lower its run_timeout"
            )


# Failures


def test_no_trigger_rule_hides_a_failure(dag_bag):
    """A Dag run ends as its last tasks end.

    ALL_DONE and ALL_SKIPPED let the last task be skipped after a failure, and the run is green.
    """
    for dag_id, _, _, dag in each_dag(dag_bag):
        for task in dag.tasks:
            rule = RULES.get(task.task_id, TriggerRule.ALL_SUCCESS)
            assert task.trigger_rule == rule, (
                f"{dag_id}.{task.task_id}: trigger rule {task.trigger_rule} is not agreed. See "
                "that the run still fails when a task before it fails (NONE_FAILED does), and name "
                "it in RULES"
            )


# Assets


def test_partitioned_dags_are_those_with_a_key(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        is_partitioned = isinstance(dag.timetable, PartitionedAssetTimetable)
        assert is_partitioned == (phase not in KEYLESS), (
            f"{dag_id}: schedule it by plugins.wheel.when, or name it in KEYLESS"
        )
        for task in dag.tasks:
            takes_key = getattr(_class_of(task), "takes_partition_key", is_partitioned)
            assert takes_key == is_partitioned, (
                f"{dag_id}.{task.task_id}: set takes_partition_key of {_class_of(task).__name__} "
                f"to {is_partitioned}, or a run with a wrong key would not be refused"
            )


def _class_of(task: Any) -> type[Any]:
    found: type[Any] = task.operator_class if task.is_mapped else type(task)
    return found


def test_assets_that_start_a_dag_are_inlets_of_its_tasks(dag_bag):
    for dag_id, _, _, dag in each_dag(dag_bag):
        inlets = {name for task in dag.tasks for name in named(task.inlets)}
        missing = assets_of_schedule(dag) - inlets
        assert not missing, (
            f"{dag_id}: give the task that reads them inlets={sorted(missing)}: the asset graph of "
            "the UI shows what reads what"
        )


def test_every_partitioned_dag_emits(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        if phase == "label":
            continue  # without rules it reports on labels, which starts nothing
        if isinstance(dag.timetable, PartitionedAssetTimetable):
            assert any(named(task.outlets) for task in dag.tasks), (
                f"{dag_id}: give the task that publishes outlets=[...], or nothing comes after it"
            )


def test_every_asset_that_is_read_is_written(dag_bag):
    written = {
        name for dag in dag_bag.dags.values() for t in dag.tasks for name in named(t.outlets)
    }
    for dag_id, use_case, _, dag in each_dag(dag_bag):
        read = {name for task in dag.tasks for name in named(task.inlets)}
        read |= assets_of_schedule(dag)
        unwritten = read - written - {f"{use_case}.landing"}
        assert not unwritten, f"{dag_id}: nobody emits {sorted(unwritten)}: leave it out"


def test_every_asset_that_is_written_is_read(dag_bag):
    read = {name for dag in dag_bag.dags.values() for name in assets_of_schedule(dag)}
    for dag_id, _, _, dag in each_dag(dag_bag):
        for task in dag.tasks:
            unread = named(task.outlets) - read
            assert not unread, f"{dag_id}.{task.task_id}: {sorted(unread)} starts no Dag"


def test_the_uri_of_an_asset_names_no_place(dag_bag):
    for dag_id, use_case, _, dag in each_dag(dag_bag):
        found = [asset for task in dag.tasks for asset in [*task.inlets, *task.outlets]]
        for asset in [asset for asset in found if isinstance(asset, Asset)]:
            name = asset.name.removeprefix(f"{use_case}.")
            assert asset.uri == f"flywheel://{use_case}/{name}", (
                f"{dag_id}: asset {asset.name} has the URI {asset.uri}; take it from "
                "plugins.wheel.assets_of: a folder of one machine is a bucket on another"
            )


# Forms


def test_forms_say_what_they_ask(dag_bag):
    for dag_id, _, phase, dag in each_dag(dag_bag):
        by_hand = phase in KEYLESS - {"housekeeping"}
        assert dag.params or not by_hand, f"{dag_id}: it has no key: give its form a Param"
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.description, f"{dag_id}: Param {name!r} lacks a description"
            assert {"title", "type"} <= set(param.schema), (
                f"{dag_id}: Param {name!r} lacks title or type"
            )


# Files


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_dag_file_fits_one_screen(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 100, f"{path.name}: move work to plugins/operators or include"
    branches = sum(bool(re.search(r"\bif use_case\b", line)) for line in lines)
    assert branches <= 2, f"{path.name}: more than two `if use_case` need a record in docs/adr/"


def test_parsing_loads_nothing_heavy():
    dags = len(wanted_dags())
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag; "
        f"bag = DagBag({str(REPO / 'dags')!r}); assert len(bag.dags) == {dags}, bag.import_errors; "
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert "heavy: []" in out.stdout, "import it inside the operator's execute, not at module level"
