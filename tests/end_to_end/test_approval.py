"""A promotion that a person must approve, on a real stack: only a recorded answer promotes.

The tests go on where the one before them ended: one model version waits for its approval.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import httpx
import pytest

from plugins.operators.approval import APPROVE_PROMOTION
from scripts.stack.secret_files import HOUSEKEEPING, airflow_password
from tests.support import daily
from tests.support.stacks import ENDED, House, Run, daily_house

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

DAYS = daily.days("2024-01-01", 4)
JUDGED, REFIT = "1", "2"
"""The version that the gate judged, and the one that would serve."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with daily_house(tmp_path_factory.mktemp("approval"), approvers="admin") as house:
        for day in DAYS:
            daily.land(house.landing, day, outcomes=day < DAYS[-1])
        yield house


@pytest.fixture(scope="module")
def run(house) -> Run:
    """Return the run of the gate that waits for an answer."""
    found = house.until(lambda: house.runs("deploy"), "the gate has a candidate", 300)
    (run,) = found
    return waiting(run)


def waiting(run: Run) -> Run:
    def asked() -> bool:
        assert run.state not in ENDED, run.tasks
        return run.tasks.get(APPROVE_PROMOTION) == "awaiting_input"

    run.house.until(asked, "a person is asked", 180)
    return run


def nothing_was_promoted(house: House) -> bool:
    return house.ledger.current() is None and house.served() is None


def test_the_question_has_the_verdict_and_nothing_serves_meanwhile(house, run):
    path = f"/dags/{daily.NAME}__deploy/dagRuns/{run.run_id}/taskInstances/{APPROVE_PROMOTION}"
    asked = house.get(f"{path}/-1/hitlDetails")
    assert asked["subject"] == f"Promote version {REFIT} of {daily.NAME}?"
    assert f"(version {JUDGED}, fitted again) would serve as the first model" in asked["body"]
    assert "dummy: roc_auc" in asked["body"]
    assert asked["defaults"] == ["Reject"]
    assert nothing_was_promoted(house)


def test_a_question_that_was_marked_as_successful_by_hand_promotes_nothing(house, run):
    run.mark_success(APPROVE_PROMOTION)
    house.ended("deploy", run.run_id)
    assert run.tasks["promote"] == "failed"
    assert "has no recorded answer: the task that asks was marked as successful" in run.log(
        "promote"
    )
    assert nothing_was_promoted(house)


def test_the_login_of_tasks_cannot_approve(house, run):
    run.ask_again(APPROVE_PROMOTION)
    waiting(run)
    body = {"username": HOUSEKEEPING}
    body["password"] = airflow_password(house.stack.settings, HOUSEKEEPING)
    url = f"{house.stack.settings.airflow_url}/auth/token"
    token = httpx.post(url, json=body, trust_env=False).raise_for_status().json()["access_token"]
    # On one machine its role `op` may answer; on a cluster its role may not.
    run.answer(APPROVE_PROMOTION, "Approve", house.client(token)).raise_for_status()
    house.ended("deploy", run.run_id)
    assert run.tasks[APPROVE_PROMOTION] == "success"
    assert run.tasks["promote"] == "failed"
    assert "must be answered by one of admin" in run.log("promote", attempt=run.tries("promote"))
    assert nothing_was_promoted(house)


def test_without_an_answer_in_time_the_version_is_rejected(house, run):
    run.ask_again(APPROVE_PROMOTION)
    waiting(run)
    path = house.stack.settings.airflow_home / "airflow.db"
    with sqlite3.connect(path, timeout=60) as database:
        database.execute(
            "UPDATE task_instance SET trigger_timeout = '2020-01-01 00:00:00' "
            "WHERE task_id = ? AND state = 'awaiting_input'",
            [APPROVE_PROMOTION],
        )
    house.ended("deploy", run.run_id)
    assert (run.state, run.tasks["promote"]) == ("success", "skipped")
    words = "not approved: nobody answered within 72 hours"
    assert words in run.log("promote", attempt=run.tries("promote"))
    for version in (JUDGED, REFIT):
        assert house.registry.judged(daily.NAME, version) == "rejected"
        assert words in json.dumps(house.registry.details(daily.NAME, version)["tags"])
    assert nothing_was_promoted(house)


def test_what_an_approver_approves_serves_and_the_ledger_says_who_did(house, run):
    before = datetime.now(UTC)
    key = run.facts["partition_key"]
    answer = house.trigger("deploy", key).raise_for_status().json()
    again = waiting(Run(house, "deploy", answer["dag_run_id"]))
    again.answer(APPROVE_PROMOTION, "Approve").raise_for_status()
    assert house.ended("deploy", again.run_id).state == "success", again.tasks

    entry = house.ledger.current()
    assert (entry.number, entry.version, entry.who) == (1, REFIT, "admin")
    approval = json.loads(entry.evidence)["approval"]
    assert approval["by"] == "admin"
    assert before <= datetime.fromisoformat(approval["at"]) <= datetime.now(UTC)
    assert entry.why.startswith("approved by admin at ")
    assert house.served() == REFIT
