"""What each role may do, asked of a real API server over HTTP with real logins."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from include.due.stages import REBUILT
from include.lake.files import LakeFiles
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.roles import ROLES
from tests.support.airflow_server import Server, airflow_server, answer

pytestmark = pytest.mark.end_to_end

DEPLOY, ANNOTATE = "flight_delays__deploy", "digits__annotate"
QUESTIONS = {DEPLOY: "compare_models", ANNOTATE: "choose_items"}
"""Any task of each Dag, which is made to ask."""
NOT_ADMIN = ("viewer", "operator", "labeller", "approver", "housekeeping")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    with airflow_server(tmp_path_factory.mktemp("airflow")) as server:
        yield server


@pytest.fixture
def question(airflow):
    """Start a run that asks: `question(dag_id)` returns the path of the task that waits."""
    return lambda dag_id: airflow.ask(dag_id, QUESTIONS[dag_id])


def trigger(airflow: Server, user: str, dag_id: str = DEPLOY, **more: object) -> int:
    body = {"logical_date": None, "partition_key": "2013-02", **more}
    return airflow.as_(user).post(f"/dags/{dag_id}/dagRuns", json=body).status_code


def clear(airflow: Server, user: str, path: str) -> int:
    run = path.split("/")[4]
    body = {"dry_run": False, "dag_run_id": run, "only_failed": False}
    url = f"/dags/{DEPLOY}/clearTaskInstances"
    return airflow.as_(user).post(url, json=body).status_code


def mark_success(airflow: Server, user: str, path: str) -> int:
    return airflow.as_(user).patch(path, json={"new_state": "success"}).status_code


def pause(airflow: Server, user: str, dag_id: str = DEPLOY) -> int:
    url = f"/dags/{dag_id}"
    return airflow.as_(user).patch(url, json={"is_paused": False}).status_code


def dags_seen(airflow: Server, user: str) -> set[str]:
    found = airflow.as_(user).get("/dags", params={"limit": 100}).raise_for_status().json()
    return {dag["dag_id"] for dag in found["dags"]}


# Logging in


def test_nobody_gets_in_without_a_login(airflow):
    for path in ("/dags", "/assets", "/connections", f"/dags/{DEPLOY}/dagRuns"):
        assert httpx.get(f"{airflow.url}/api/v2{path}", trust_env=False).status_code == 401
    users = httpx.get(f"{airflow.url}/auth/fab/v1/users", trust_env=False)
    assert users.status_code in (401, 403)


@pytest.mark.parametrize("user", ["admin", *NOT_ADMIN])
def test_no_password_is_a_default_and_a_wrong_one_is_refused(airflow, user):
    for password in ("admin", "airflow", user, "wrong"):
        assert airflow.token(user, password).status_code == 401
    assert airflow.token(user, "").status_code == 400
    assert airflow.token(user, airflow.password(user)).status_code == 201


def test_there_are_no_accounts_but_those_that_were_made(airflow):
    headers = dict(airflow.as_("admin").headers)
    found = httpx.get(f"{airflow.url}/auth/fab/v1/users", headers=headers, trust_env=False).json()
    roles = {user["username"]: [role["name"] for role in user["roles"]] for user in found["users"]}
    assert roles == {"admin": ["Admin"], **{user: [user] for user in NOT_ADMIN}}


@pytest.mark.parametrize("user", NOT_ADMIN)
def test_secrets_and_accounts_are_the_admins(airflow, user):
    client = airflow.as_(user)
    for path in ("/connections", "/variables", "/config"):
        assert client.get(path).status_code == 403, path
    assert client.post("/variables", json={"key": "a", "value": "b"}).status_code == 403
    users = httpx.get(
        f"{airflow.url}/auth/fab/v1/users", headers=dict(client.headers), trust_env=False
    )
    assert users.status_code == 403
    assert client.delete(f"/dags/{DEPLOY}").status_code == 403


# Roles


def test_a_viewer_reads_everything_and_changes_nothing(airflow, question):
    path, viewer = question(DEPLOY), airflow.as_("viewer")
    assert dags_seen(airflow, "viewer") == dags_seen(airflow, "admin")
    for readable in ("/assets", path, f"{path}/-1/hitlDetails", f"/dags/{DEPLOY}/dagRuns"):
        assert viewer.get(readable).status_code == 200, readable
    assert trigger(airflow, "viewer") == 403
    assert clear(airflow, "viewer", path) == 403
    assert mark_success(airflow, "viewer", path) == 403
    assert pause(airflow, "viewer") == 403
    assert answer(viewer, path).status_code == 403


@pytest.mark.parametrize("user", ["viewer", "approver", "labeller"])
def test_no_route_that_writes_does_anything_for_who_may_only_read_and_answer(
    airflow, question, user
):
    """Every route of Airflow's own description is tried, also those that nobody thinks of."""
    path = question(DEPLOY)
    _, _, dag_id, _, run_id, _, task_id = path.split("/")
    given = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id, "map_index": "-1"}
    told = httpx.get(f"{airflow.url}/openapi.json", timeout=60, trust_env=False).json()["paths"]
    routes = [
        (method, re.sub(r"{(\w+)}", lambda found: given.get(found[1], "1"), route))
        for route, methods in told.items()
        for method in {*methods} - {"get"}
        if route.startswith("/api/v2/") and not route.endswith("favorite")  # a mark of one's own
    ]
    assert len(routes) > 40
    headers = dict(airflow.as_(user).headers)
    done = {
        (method, route): answer.status_code
        for method, route in routes
        for answer in [
            httpx.request(
                method, airflow.url + route, json={}, headers=headers, timeout=60, trust_env=False
            )
        ]
        if answer.is_success
    }
    assert done == {}


def test_an_operator_starts_and_clears_and_answers_no_approval(airflow, question):
    path = question(DEPLOY)
    assert trigger(airflow, "operator") == 200
    assert trigger(airflow, "operator", "flight_delays__feature") == 200
    form = {"phase": "feature", "first": "2013-01", "last": "2013-01"}
    run = {"partition_key": None, "conf": form}
    assert trigger(airflow, "operator", "flight_delays__rebuild", **run) == 200
    assert pause(airflow, "operator") == 200
    assert clear(airflow, "operator", path) == 200
    assert mark_success(airflow, "operator", path) == 200, "why promote reads the answer itself"
    assert answer(airflow.as_("operator"), path).status_code == 403
    entry = f"{path}/xcomEntries/return_value"
    assert airflow.as_("operator").patch(entry, json={"value": "{}"}).status_code == 403


def test_an_approver_answers_approvals_and_no_other_question(airflow, question):
    approval, labels = question(DEPLOY), question(ANNOTATE)
    assert answer(airflow.as_("approver"), labels).status_code == 403
    assert trigger(airflow, "approver") == 403
    assert clear(airflow, "approver", approval) == 403
    assert mark_success(airflow, "approver", approval) == 403
    assert pause(airflow, "approver", "flight_delays__feature") == 403
    answered = answer(airflow.as_("approver"), approval)
    assert answered.status_code == 200
    recorded = airflow.as_("viewer").get(f"{approval}/-1/hitlDetails").json()
    assert recorded["responded_by_user"]["name"] == "approver"
    assert recorded["chosen_options"] == ["Approve"]
    task = airflow.as_("viewer").get(approval).json()
    assert task["state"] == "scheduled", "the run goes on"
    again = answer(airflow.as_("approver"), approval, "Reject")
    assert again.status_code == 409, "an answer stands"


def test_a_labeller_sees_and_answers_annotate_dags_only(airflow, question):
    approval, labels, labeller = question(DEPLOY), question(ANNOTATE), airflow.as_("labeller")
    annotate_dags = {each for each in dags_seen(airflow, "admin") if each.endswith("__annotate")}
    assert ANNOTATE in annotate_dags
    assert dags_seen(airflow, "labeller") == annotate_dags
    for hidden in (approval, f"/dags/{DEPLOY}", f"{approval}/-1/hitlDetails", "/assets"):
        assert labeller.get(hidden).status_code == 403, hidden
    asked = labeller.get("/dags/~/dagRuns/~/hitlDetails").raise_for_status().json()
    assert {each["task_instance"]["dag_id"] for each in asked["hitl_details"]} == {ANNOTATE}
    assert answer(labeller, approval).status_code == 403
    assert mark_success(airflow, "labeller", labels) == 403
    assert trigger(airflow, "labeller", ANNOTATE, partition_key=None) == 403
    assert answer(labeller, labels).status_code == 200


def test_a_picture_is_for_who_may_see_the_questions(airflow):
    """By the header of a client and by the cookie of the pages; a viewer reads all questions."""
    path = "digits/pictures/2024-05-01/36d1cd0c87cda2eb.png"
    LakeFiles(airflow.lake).write(path, b"\x89PNG\r\n\x1a\n")

    def status(who: str = "", path: str = path, by: str = "header") -> int:
        token = airflow.token(who, airflow.password(who)).json()["access_token"] if who else ""
        sent = {
            "headers": {"Authorization": f"Bearer {token}"} if who and by == "header" else {},
            "cookies": {"_token": token} if by == "cookie" else {},
        }
        url = f"{airflow.url}/flywheel/{path}"
        return httpx.get(url, timeout=60, trust_env=False, **sent).status_code

    allowed = {who: status(who) for who in (*NOT_ADMIN, "admin")}
    assert allowed == dict.fromkeys(allowed, 200)
    assert status("labeller", by="cookie") == 200
    assert status() == 401
    assert status("labeller", path.replace("digits", "flight_delays")) == 403
    assert status("labeller", path.replace("36d1", "0000")) == 404
    assert status("labeller", "digits/pictures/2024-05-01/..%2f..%2f..%2fsecret.png") == 404


def test_an_admin_may_do_all(airflow, question):
    path = question(DEPLOY)
    assert trigger(airflow, "admin") == 200
    assert clear(airflow, "admin", path) == 200
    assert airflow.as_("admin").get("/connections").status_code == 200
    assert answer(airflow.as_("admin"), path).status_code == 200


def test_an_admin_makes_a_user_by_rest_who_is_what_the_role_says(airflow):
    body = {
        "username": "ana", "first_name": "Ana", "last_name": "B", "email": "ana@example.com",
        "password": "a long password", "roles": [{"name": "viewer"}],
    }  # fmt: skip
    url, admin = f"{airflow.url}/auth/fab/v1/users", dict(airflow.as_("admin").headers)
    made = httpx.post(url, json=body, headers=admin, trust_env=False)
    assert made.is_success, made.text
    airflow.passwords["ana"] = body["password"]
    assert DEPLOY in dags_seen(airflow, "ana")
    assert trigger(airflow, "ana") == 403
    denied = httpx.post(url, json=body, headers=dict(airflow.as_("ana").headers), trust_env=False)
    assert denied.status_code == 403


# The account of tasks


@pytest.fixture
def hook(airflow, monkeypatch):
    login = f"housekeeping:{airflow.password('housekeeping')}"
    address = airflow.url.replace("http://", f"http://{login}@")
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_AIRFLOW", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return AirflowApiHook()


def test_housekeeping_may_do_what_its_tasks_ask_for(airflow, hook):
    assert hook.is_paused(DEPLOY) is False
    hook.create_event("flight_delays.candidate", "2013-03", {"because": "a test"})
    assert hook.active_keys(DEPLOY) >= {"2013-03"}
    assert hook.failures_in_a_row(DEPLOY) == {}
    for phase in REBUILT:
        key = "" if phase == "ingest_label" else "2013-03"
        assert hook.start_run(f"flight_delays__{phase}", key, f"rebuild_{phase}")


def test_tasks_read_what_was_asked_and_who_answered(airflow, question, hook):
    path = question(DEPLOY)
    run_id, task_id = path.split("/")[4], QUESTIONS[DEPLOY]
    asked = hook.answer_to(DEPLOY, run_id, task_id)
    assert (asked["subject"], asked["responded_at"]) == ("Promote?", None)
    answer(airflow.as_("approver"), path, "Reject").raise_for_status()
    answered = hook.answer_to(DEPLOY, run_id, task_id)
    assert answered["chosen_options"] == ["Reject"]
    assert answered["responded_by_user"]["name"] == "approver"
    assert answered["responded_at"] is not None
    assert hook.answer_to(DEPLOY, run_id, "promote") is None, "it asks nothing"


def test_a_question_that_is_marked_as_successful_by_hand_has_no_answer(airflow, question, hook):
    path = question(DEPLOY)
    viewer = airflow.as_("viewer")
    assert viewer.get(path).json()["state"] == "awaiting_input"
    assert mark_success(airflow, "operator", path) == 200
    assert viewer.get(path).json()["state"] == "success"
    recorded = hook.answer_to(DEPLOY, path.split("/")[4], QUESTIONS[DEPLOY])
    assert (recorded["responded_at"], recorded["responded_by_user"]) == (None, None)


def test_a_workers_login_starts_no_deploy_and_answers_nothing(airflow, question):
    path = question(DEPLOY)
    override = {"version": "1", "override": "a stolen login"}
    assert trigger(airflow, "housekeeping", conf=override) == 403
    assert trigger(airflow, "housekeeping", "flight_delays__retract", partition_key=None) == 403
    assert answer(airflow.as_("housekeeping"), path).status_code == 403
    assert mark_success(airflow, "housekeeping", path) == 403
    assert pause(airflow, "housekeeping") == 403


# The first job


def test_the_first_job_takes_back_what_was_given_by_hand_and_takes_over_a_password(airflow):
    """Last: the admin has another password from here on."""
    client = airflow.as_("admin")
    url, headers = f"{airflow.url}/auth/fab/v1", dict(client.headers)

    def ask(path: str) -> dict[str, Any]:
        return httpx.get(f"{url}/{path}", headers=headers, trust_env=False).json()

    def permissions(role: str) -> set[tuple[str, str]]:
        actions = ask(f"roles/{role}")["actions"]
        return {(each["action"]["name"], each["resource"]["name"]) for each in actions}

    before = {role: permissions(role) for role in ROLES}
    assert before["viewer"] == set(ROLES["viewer"].may)
    on_deploy = {what for action, what in before["approver"] if action == "can_edit"}
    assert on_deploy >= {"HITL Detail", f"DAG:{DEPLOY}"}

    airflow.initialise_again("another password")

    assert {role: permissions(role) for role in ROLES} == before
    assert [role["name"] for role in ask("users/housekeeping")["roles"]] == ["housekeeping"]
    assert airflow.token("admin", airflow.password("admin")).status_code == 401
    assert airflow.token("admin", "another password").status_code == 201
    assert airflow.token("viewer", airflow.password("viewer")).status_code == 201
