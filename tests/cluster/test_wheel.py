"""The same use case on one machine and on a cluster: the same tables, models and answers.

`make test-cluster` starts Postgres, Redis, an S3 server, three Celery workers, two replicas behind
nginx, as `docker-compose.yaml` does, but as plain processes. No two parts share a folder.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from plugins.operators.approval import APPROVE_PROMOTION
from scripts.cluster import users
from scripts.cluster.parts import REPLICAS, ROLES, WORKERS
from scripts.stack import processes
from tests.support import daily
from tests.support.clusters import PATIENCE_S, ClusterHouse, daily_cluster, folder_for_all_users
from tests.support.stacks import House, Run, daily_house

pytestmark = pytest.mark.cluster

FIRST = daily.days("2024-01-01", 4)
NEXT = daily.days("2024-01-05", 1)[0]
TABLES = ("raw", "labels", "clean", "quarantine", "features", "predictions", "monitoring")
SIGNING = {"prepare_training", "finish_training", "promote"}
REQUEST = {
    "dataframe_records": [
        {"at": f"{NEXT}T0{hour}:00:00Z", "heat": heat, "line": "a"}
        for hour, heat in enumerate((-1.5, 0.1, 2.0))
    ]
}


def turned(house: House) -> dict[str, Any]:
    """Turn the wheel until a model serves and has scored a further day; return what came of it."""
    for day in FIRST:
        house.land(day, outcomes=day < FIRST[-1])
    house.until(house.served, "a first champion serves", PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    house.land(NEXT, outcomes=False)
    house.until(lambda: house.version("monitoring", NEXT), f"{NEXT} is monitored", PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    evaluated, refit = sorted(house.registry.versions(daily.NAME), key=int)
    champion = house.ledger.current().version
    assert champion == refit, "what the gate accepted was fitted again"
    return {
        "contents": {
            stage: house.table(stage).partition_versions()
            for stage in TABLES
            if house.table(stage).exists()
        },
        "metrics": house.registry.details(daily.NAME, evaluated)["metrics"],
        "champion": champion,
        "answer": asked(house.stack.settings.serving_url),
    }


def asked(url: str) -> dict[str, Any]:
    """Ask the model for three rows."""
    address = f"{url}/{daily.NAME}/invocations"
    answer = httpx.post(address, json=REQUEST, timeout=30, trust_env=False)
    return dict(answer.raise_for_status().json())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> dict[str, Any]:
    with daily_house(tmp_path_factory.mktemp("embedded")) as house:
        return turned(house)


@pytest.fixture(scope="module")
def house(embedded) -> Iterator[ClusterHouse]:
    with folder_for_all_users() as folder, daily_cluster(folder) as house:
        yield house


@pytest.fixture(scope="module")
def clustered(house) -> dict[str, Any]:
    return turned(house)


def test_the_lake_holds_the_same(embedded, clustered):
    assert set(embedded["contents"]) >= {"raw", "labels", "clean", "features", "predictions"}
    assert embedded["contents"]["raw"].keys() == {*FIRST, NEXT}
    for stage, versions in embedded["contents"].items():
        assert clustered["contents"][stage] == versions, stage


def test_the_model_is_the_same(embedded, clustered):
    assert embedded["metrics"]["holdout_roc_auc"] > 0.5
    assert clustered["metrics"] == embedded["metrics"]
    assert clustered["champion"] == embedded["champion"] == "2"


def test_each_replica_gives_the_answer_of_the_embedded_server(house, embedded, clustered):
    assert len(embedded["answer"]["predictions"]) == 3
    assert clustered["answer"] == embedded["answer"]
    for port in REPLICAS.values():
        url = f"http://127.0.0.1:{getattr(house.stack.settings, port)}"
        assert asked(url) == embedded["answer"]


def test_what_signs_ran_on_the_trusted_worker_alone(house, clustered):
    logs = {name: house.stack.wheel.log(name).read_text() for name in WORKERS}
    for task in SIGNING:
        ran = {name for name, text in logs.items() if f"/task_id={task}/" in text}
        assert ran == {"worker-trusted"}, task
    assert "/task_id=build_features/" not in logs["worker-trusted"]
    for name in ("worker-1", "worker-2"):
        assert "/task_id=" in logs[name], f"{name} ran nothing"


def test_a_part_knows_the_secrets_that_it_needs_and_no_others(house):
    settings = house.stack.settings
    secret = {
        name: settings.secret(name)
        for name in ("postgres_password", "airflow_database_password", "jwt_secret", "fernet_key")
    }
    found = {}
    for name in house.stack.wheel_status().parts:
        record = json.loads((house.stack.wheel.run / f"{name}.json").read_text())
        values = "\n".join(psutil.Process(record["pid"]).environ().values())
        found[name] = {each for each, value in secret.items() if value in values}
        signing = (house.stack.wheel.home_of(name) / "signing.pem").exists()
        assert signing == (name == "worker-trusted"), name
    for name in (*WORKERS, *REPLICAS, "mlflow", "balancer"):
        assert found[name] == set(), name
    assert found["scheduler"] == {"airflow_database_password", "jwt_secret", "fernet_key"}


def test_no_secret_is_on_a_command_line(house):
    settings = house.stack.settings
    for place in (house.stack.wheel, house.stack.services):
        running = processes.of_home(place.home)
        assert running
        for process in running:
            words = " ".join(process.cmdline())
            for field in ("postgres_password", "redis_password", "aws_secret_access_key"):
                assert settings.secret(field) not in words


def test_no_two_parts_share_a_folder(house):
    homes = [house.stack.wheel.home_of(name) for name in (*WORKERS, *REPLICAS)]
    found = []
    for name in (*WORKERS, *REPLICAS):
        record = json.loads((house.stack.wheel.run / f"{name}.json").read_text())
        found.append(Path(psutil.Process(record["pid"]).environ()["FLYWHEEL_HOME"]))
    assert found == homes
    assert len(set(homes)) == len(homes)


def test_no_two_parts_share_a_user(house):
    if hindrance := users.hindrance(house.stack.settings.use_cases):
        pytest.skip(hindrance)
    found = {}
    for name in ROLES:
        record = json.loads((house.stack.wheel.run / f"{name}.json").read_text())
        found[name] = psutil.Process(record["pid"]).uids().effective
    assert len(set(found.values())) == len(found)
    assert 0 not in found.values()


def test_a_log_is_read_after_its_worker_is_gone(house, clustered):
    (run,) = house.runs("feature", NEXT)
    for name in ("worker-1", "worker-2"):
        logs = house.stack.wheel.home_of(name) / "airflow" / "logs"
        for file in sorted(logs.rglob("*.log")):
            file.unlink()
    assert NEXT in run.log("build_features")


# Last: it promotes a second version


def test_a_worker_promotes_what_an_approver_approved_and_nothing_else(house, clustered):
    people = {name: house.client(login(house, name, role)) for name, role in PEOPLE.items()}
    daily.write_use_case(house.use_cases, approvers="ann")
    tasks = f"/dags/{daily.NAME}__deploy/tasks"
    house.until(
        lambda: APPROVE_PROMOTION in {task["task_id"] for task in house.get(tasks)["tasks"]},
        "the Dag asks for approvals",
        PATIENCE_S,
    )
    champion = house.ledger.current().version
    assert house.run("train_tune", FIRST[2]).state == "success"
    house.at_rest(within_s=PATIENCE_S)
    assert house.ledger.current().version == champion, "the same configuration is no reason"

    version = house.registry.newest_as_of(daily.NAME, FIRST[2])
    assert version != champion
    form = {"version": version, "override": "a test of approvals"}
    started = house.trigger("deploy", FIRST[2], **form).raise_for_status().json()
    run = waiting(Run(house, "deploy", started["dag_run_id"]))
    assert run.answer(APPROVE_PROMOTION, "Approve", people["olaf"]).status_code == 403
    run.mark_success(APPROVE_PROMOTION, people["olaf"])
    house.ended("deploy", run.run_id, PATIENCE_S)
    assert run.tasks["promote"] == "failed"
    assert house.ledger.current().version == champion

    run.ask_again(APPROVE_PROMOTION, people["olaf"])
    waiting(run)
    run.answer(APPROVE_PROMOTION, "Approve", people["ann"]).raise_for_status()
    house.ended("deploy", run.run_id, PATIENCE_S)
    promotion = house.ledger.current()
    assert (promotion.version, promotion.who) == (version, "ann"), run.tasks


PEOPLE = {"ann": "approver", "olaf": "operator"}


def login(house: House, name: str, role: str) -> str:
    """Make a user with a role, as an admin does; return a token of theirs."""
    url = f"{house.stack.settings.airflow_url}/auth"
    words = {"username": name, "password": secrets.token_urlsafe(12)}
    about = {"first_name": name, "last_name": "B", "email": f"{name}@example.com"}
    body = words | about | {"roles": [{"name": role}]}
    headers = dict(house.api.headers)
    users = f"{url}/fab/v1/users"
    httpx.post(users, json=body, headers=headers, trust_env=False).raise_for_status()
    answer = httpx.post(f"{url}/token", json=words, timeout=30, trust_env=False)
    return str(answer.raise_for_status().json()["access_token"])


def waiting(run: Run) -> Run:
    """Wait until the run asks a person."""
    run.house.until(
        lambda: run.tasks.get(APPROVE_PROMOTION) == "awaiting_input", "a question", PATIENCE_S
    )
    return run
