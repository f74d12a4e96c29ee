"""The annotate Dag of a use case that asks people in Label Studio: its graph, and runs of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from include.labelling.answers import read_answers
from include.lake.table import Lake
from include.use_cases.loader import get
from plugins.operators.base import PhaseOperator
from plugins.triggers import annotations
from tests.dags.conftest import DAGS
from tests.dags.test_policies import longest_chain
from tests.support.dag_runs import dag_runs
from tests.support.label_studio import TOKEN, label_studio
from tests.support.scans import DAY, NAME, move_in

DAG = f"{NAME}__annotate"
WITHIN = timedelta(days=7)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give the process a home with the use case `scans`, three items a round, and its rows."""
    move_in(tmp_path, monkeypatch, {"items": 3, "ask": "label_studio", "connection": "labels"})
    return tmp_path


@pytest.fixture
def bag(home):
    found = DagBag(str(DAGS / "annotate.py"))
    assert found.import_errors == {}
    return found


@pytest.fixture
def studio(monkeypatch):
    with label_studio() as found:
        connection = {"conn_type": "http", "host": found.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
        monkeypatch.setattr(annotations, "POLL_S", 0.05)
        yield found


@pytest.fixture
def run(bag, monkeypatch, airflow_database):
    monkeypatch.setattr(PhaseOperator, "registry", None)

    def run() -> Any:
        with dag_runs(bag) as runs:
            return runs(DAG, key=DAY)

    return run


def test_a_round_is_chosen_sent_waited_for_collected_and_published(bag):
    dag = bag.dags[DAG]
    assert [task.task_id for task in dag.topological_sort()] == [
        "choose_items", "send_items", "wait_for_annotations", "collect_answers", "publish_labels"
    ]  # fmt: skip
    assert {dag.get_task(name).conn_id for name in ("send_items", "collect_answers")} == {"labels"}
    assert dag.get_task("wait_for_annotations").retries == 0
    assert longest_chain(dag) + WITHIN <= dag.dagrun_timeout


def test_a_round_that_is_answered_gives_labels_and_one_event(run, studio, home):
    usual = studio.answer

    def annotators(method, path, asked, body):
        """Answer as people do: when the third look finds nothing new, one more task."""
        looks = [each for each in studio.asked if each == ("GET", "/api/projects/")]
        open_tasks = [task for task in studio.held.values() if not task["annotations"]]
        if path == "/api/projects/" and len(looks) % 3 == 0 and open_tasks:
            number = open_tasks[0]["id"]
            name = ("letter", "bill", "form")[number - 1]
            studio.annotate(number, name, updated_at=datetime.now(UTC).isoformat())
        return usual(method, path, asked, body)

    studio.answer = annotators
    ran = run()

    assert ran.state == "success", ran.errors
    assert ran.returned["wait_for_annotations"] == ["answered"]
    assert [(name, key) for name, key, _ in ran.events] == [(f"{NAME}.labels", DAY)]
    rows = read_answers(get(NAME), DAY, Lake(str(home / "lake"))).to_pylist()
    assert sorted((row["_answer"], row["_via"], row["_verdict"]) for row in rows) == [
        (name, "label_studio", "counts") for name in ("bill", "form", "letter")
    ]  # fmt: skip


def test_a_project_that_is_deleted_while_it_waits_fails_with_what_to_do(run, studio, home):
    usual = studio.answer

    def deleted(method, path, asked, body):
        if [each for each in studio.asked if each == ("GET", "/api/projects/")][3:]:
            studio.restart_empty()
        return usual(method, path, asked, body)

    studio.answer = deleted
    ran = run()

    assert ran.states["wait_for_annotations"] == ["failed"]
    assert ran.states["publish_labels"] == ["upstream_failed"]
    assert "Clear the task `send_items`" in " ".join(ran.errors)
    assert read_answers(get(NAME), DAY, Lake(str(home / "lake"))).num_rows == 0
