"""The annotate Dag of a use case that asks people in Airflow: its graph, and runs of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException

from include.labelling.answers import read_answers
from include.lake.table import Lake
from include.use_cases.loader import get
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.annotate import AskForLabelOperator
from plugins.operators.base import PhaseOperator
from plugins.phases import PHASES
from tests.dags.conftest import DAGS
from tests.dags.test_policies import longest_chain
from tests.support.asset_graph import assets_in, condition_of
from tests.support.dag_runs import dag_runs
from tests.support.scans import DAY, NAME, move_in

DAG = f"{NAME}__annotate"
WITHIN = timedelta(days=7)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give the process a home with the use case `scans`, three items a round, and its rows."""
    move_in(tmp_path, monkeypatch, {"items": 3})
    return tmp_path


@pytest.fixture
def bag(home):
    found = DagBag(str(DAGS / "annotate.py"))
    assert found.import_errors == {}
    return found


# Graph


def test_a_round_is_chosen_asked_collected_and_published(bag):
    dag = bag.dags[DAG]
    order = ["choose_items", "ask", "collect_answers", "publish_labels"]
    assert [task.task_id for task in dag.topological_sort()] == order
    assert dag.get_task("ask").is_mapped
    assert {asset.name for asset in dag.get_task("publish_labels").outlets} == {f"{NAME}.labels"}
    assert assets_in(condition_of(dag)) == {
        f"{NAME}.features", f"{NAME}.champion", f"{NAME}.labels",
    }  # fmt: skip


def test_the_options_are_the_classes_and_are_fixed_when_the_dag_is_parsed(bag):
    given = bag.dags[DAG].get_task("ask").partial_kwargs
    assert given["options"] == ["letter", "bill", "form"]
    assert given["response_timeout"] == WITHIN


def test_the_run_lasts_as_long_as_a_round_and_all_attempts_of_its_tasks(bag):
    dag = bag.dags[DAG]
    assert longest_chain(dag) + WITHIN <= dag.dagrun_timeout


def test_a_round_that_is_open_for_days_keeps_no_other_partition_waiting(bag):
    """A month of daily partitions, each with a round that is open for a week."""
    assert bag.dags[DAG].max_active_runs == PHASES["annotate"].active_runs >= 8
    assert bag.dags[DAG].get_task("collect_answers").trigger_rule == (
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS
    )


def test_where_people_are_not_asked_there_is_no_such_dag(home, monkeypatch):
    content = yaml.safe_load((home / "use_cases" / NAME / "use_case.yaml").read_text())
    del content["labels"]["people"]
    content["labels"] |= {"strategy": "column", "from": "kind", "columns": {"kind": "string"}}
    (home / "use_cases" / NAME / "use_case.yaml").write_text(yaml.safe_dump(content))
    assert DagBag(str(DAGS / "annotate.py")).dags == {}


# Runs


@pytest.fixture
def run(bag, home, monkeypatch, airflow_database):
    """Run the Dag: `run(options)`, by place; an exception is raised by the task that asks.

    A question counts as asked; `Answered` below is what Airflow has recorded.
    """
    monkeypatch.setattr(PhaseOperator, "registry", None)
    options: dict[int, Any] = {}

    def ask(self: Any, context: Any) -> None:
        outcome = options[self.question["place"] - 1]
        if isinstance(outcome, Exception):
            raise outcome

    def answers(self: Any, *run: str) -> list[dict[str, Any]]:
        return [
            {
                "map_index": place,
                "try_number": 1,
                "responded_at": datetime.now(UTC).isoformat(),
                "responded_by_user": {"id": "1", "name": "ann"},
                "chosen_options": [option],
            }
            for place, option in options.items()
            if isinstance(option, str)
        ]

    monkeypatch.setattr(AskForLabelOperator, "execute", ask)
    monkeypatch.setattr(AirflowApiHook, "answers_of", answers)

    def run(*outcomes: str | Exception, key: str = DAY) -> Any:
        options.clear()
        options.update(enumerate(outcomes))
        with dag_runs(bag) as runs:
            return runs(DAG, key=key)

    return run


def verdicts(home: Any) -> list[str]:
    read = read_answers(get(NAME), DAY, Lake(str(home / "lake")))
    return sorted(row["_verdict"] for row in read.to_pylist())


def test_a_round_gives_labels_and_one_event(run, home):
    ran = run("letter", "bill", "Skip")
    assert ran.state == "success", ran.errors
    assert ran.states["ask"] == ["success"] * 3
    assert [(name, key) for name, key, _ in ran.events] == [(f"{NAME}.labels", DAY)]
    assert verdicts(home) == ["counts", "counts", "skipped"]


def test_a_round_of_skips_is_green_and_starts_nothing(run):
    ran = run("Skip", "Skip", "Skip")
    assert (ran.state, ran.states["publish_labels"]) == ("success", ["skipped"])
    assert ran.events == []


def test_what_was_answered_counts_although_a_question_could_not_be_asked(run, home):
    ran = run("letter", AirflowFailException("the row is gone"), "bill")
    assert ran.states["ask"] == ["success", "failed", "success"]
    assert (ran.state, ran.states["publish_labels"]) == ("success", ["success"])
    assert verdicts(home) == ["counts", "counts", "nobody"]


def test_where_no_question_could_be_asked_the_run_is_red(run):
    ran = run(*[AirflowFailException("the lake is gone")] * 3)
    assert ran.state == "failed"
    assert ran.states["collect_answers"] == ["upstream_failed"]
    assert ran.states["publish_labels"] == ["upstream_failed"]


def test_where_nobody_is_asked_all_is_skipped_and_green(run):
    run("letter", "bill", "form")
    for _ in range(9):
        run("Skip", "Skip", "Skip")
    ran = run()
    assert ran.state == "success"
    assert {state for states in ran.states.values() for state in states} == {"skipped"}
    assert ran.events == []


def test_where_no_round_can_be_chosen_the_run_is_red(run):
    ran = run(key="2024-05-09")
    assert ran.state == "failed"
    assert ran.states["ask"] == ["upstream_failed"]
    assert ran.states["publish_labels"] == ["upstream_failed"]
