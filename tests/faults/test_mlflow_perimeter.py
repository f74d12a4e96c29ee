"""What a stranger, and a user with a valid login, can make MLflow's server write and tell."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.support.mlflow_server import PASSWORDS, running

ANONYMOUS = None
WITH_LOGIN = [("pipeline", PASSWORDS["pipeline"]), ("admin", PASSWORDS["admin"])]
REST, AJAX = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    where = tmp_path_factory.mktemp("mlflow")
    with running(where) as address:
        yield where, address


@pytest.fixture
def dags(tmp_path):
    """Give a folder that must stay empty: Airflow would execute what appears in it."""
    folder = tmp_path / "dags"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def client(address, login):
    return httpx.Client(base_url=address, auth=login, timeout=30, trust_env=False)


def experiment(mlflow, name, **more):
    return mlflow.post(f"{REST}/experiments/create", json={"name": name, **more})


def run_of(mlflow, experiment_id):
    made = mlflow.post(f"{REST}/runs/create", json={"experiment_id": experiment_id})
    return made.raise_for_status().json()["run"]["info"]


def upload(mlflow, run_id, path="evil.py"):
    params = {"run_uuid": run_id, "path": path}
    return mlflow.post(f"{AJAX}/upload-artifact", params=params, content=b"print('gotcha')")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{REST}/experiments/create"),
        ("POST", f"{AJAX}/experiments/create"),
        ("POST", f"{REST}/runs/create"),
        ("POST", f"{AJAX}/upload-artifact?run_uuid=1&path=x"),
        ("GET", f"{REST}/experiments/search?max_results=1"),
        ("POST", f"{REST}/registered-models/alias"),
        ("POST", "/graphql"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/x"),
        ("POST", f"{REST}/users/create"),
        ("POST", "/v1/traces"),
        ("GET", "/get-artifact?run_uuid=1&path=x"),
    ],
)
def test_a_stranger_is_asked_for_a_login(server, method, path):
    _, address = server
    with client(address, ANONYMOUS) as mlflow:
        assert mlflow.request(method, path, json={}).status_code == 401
    with client(address, ("admin", "password1234")) as mlflow:  # MLflow's former default
        assert mlflow.request(method, path, json={}).status_code == 401


@pytest.mark.parametrize("login", WITH_LOGIN)
@pytest.mark.parametrize("form", ["file://{}", "{}", "file:{}", "FILE://{}", " file://{}"])
@pytest.mark.parametrize("api", [REST, AJAX])
def test_an_experiment_cannot_be_put_elsewhere(server, dags, login, form, api):
    _, address = server
    with client(address, login) as mlflow:
        body = {"name": f"elsewhere {login} {form} {api}", "artifact_location": form.format(dags)}
        answer = mlflow.post(f"{api}/experiments/create", json=body)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("login", WITH_LOGIN)
def test_a_location_that_is_in_the_database_already_is_not_opened(server, dags, login):
    where, address = server
    with client(address, login) as mlflow:
        made = experiment(mlflow, f"already {login}").raise_for_status().json()["experiment_id"]
        run = run_of(mlflow, made)
        with sqlite3.connect(where / "mlflow.db", timeout=30) as database:
            changed = database.execute(
                "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?",
                (f"file://{dags}", run["run_id"]),
            )
        assert changed.rowcount == 1

        answer = upload(mlflow, run["run_id"])

    assert answer.status_code == 400
    assert "outside it" in answer.json()["message"]


@pytest.mark.parametrize("path", ["../../../../dags/evil.py", "/etc/evil.py", "a/../../evil.py"])
def test_an_artifact_path_stays_in_its_run(server, path):
    _, address = server
    with client(address, WITH_LOGIN[0]) as mlflow:
        made = experiment(mlflow, f"path {path}").raise_for_status().json()["experiment_id"]
        assert upload(mlflow, run_of(mlflow, made)["run_id"], path).status_code == 400


def test_a_model_version_cannot_point_at_the_servers_files(server, tmp_path):
    _, address = server
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    with client(address, WITH_LOGIN[1]) as mlflow:
        mlflow.post(f"{REST}/registered-models/create", json={"name": "m"}).raise_for_status()
        body = {"name": "m", "source": f"file://{tmp_path}"}
        made = mlflow.post(f"{REST}/model-versions/create", json=body)
        read = mlflow.get(
            "/model-versions/get-artifact",
            params={"name": "m", "version": "1", "path": "secret.txt"},
        )

    assert made.status_code == 400
    assert "secret" not in read.text.replace("secret.txt", "")


def test_artifacts_in_the_store_work_as_before(server):
    """The checks are not passed by refusing everything."""
    where, address = server
    with client(address, WITH_LOGIN[0]) as mlflow:
        made = experiment(mlflow, "as before").raise_for_status().json()["experiment_id"]
        run = run_of(mlflow, made)
        assert upload(mlflow, run["run_id"], "notes/ok.txt").status_code == 200
        read = mlflow.get(
            "/get-artifact", params={"run_uuid": run["run_id"], "path": "notes/ok.txt"}
        )

    assert read.text == "print('gotcha')"
    assert (where / "artifacts" / made / run["run_id"] / "artifacts/notes/ok.txt").exists()


def test_the_user_of_serving_reads_and_changes_nothing(server):
    _, address = server
    with client(address, WITH_LOGIN[0]) as mlflow:
        made = experiment(mlflow, "readable").raise_for_status().json()["experiment_id"]
        run = run_of(mlflow, made)
        mlflow.post(f"{REST}/registered-models/create", json={"name": "r"}).raise_for_status()
    with client(address, ("serving", PASSWORDS["serving"])) as mlflow:
        found = mlflow.get(f"{REST}/experiments/get", params={"experiment_id": made})
        assert found.json()["experiment"]["name"] == "readable"
        refused = [
            upload(mlflow, run["run_id"]),
            mlflow.post(f"{REST}/runs/delete", json={"run_id": run["run_id"]}),
            mlflow.post(f"{REST}/experiments/delete", json={"experiment_id": made}),
            mlflow.post(
                f"{REST}/registered-models/alias",
                json={"name": "r", "alias": "champion", "version": "1"},
            ),
            mlflow.post(f"{REST}/users/create", json={"username": "x", "password": "y" * 16}),
        ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing(server, dags):
    """The exploit as it was reported, by `nobody`, with the server's address alone."""
    _, address = server
    port = int(address.rpartition(":")[2])
    create = {"name": "e", "artifact_location": f"file://{dags}"}
    attempts = [
        (f"{REST}/experiments/create", json.dumps(create)),
        (f"{AJAX}/upload-artifact?run_uuid=1&path=evil.py", "{}"),
    ]

    def as_nobody(answers):
        os.setgid(65534)
        os.setuid(65534)
        for path, body in attempts:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answers.put(connection.getresponse().status)

    # A fork: another user may not be able to start root's own Python.
    forked = multiprocessing.get_context("fork")
    answers = forked.Queue()
    child = forked.Process(target=as_nobody, args=(answers,))
    child.start()
    child.join(60)

    assert child.exitcode == 0
    assert [answers.get(timeout=5) for _ in attempts] == [401, 401]


def test_no_password_is_on_the_command_line_or_in_the_log(server):
    where, address = server
    port = address.rpartition(":")[2]
    lines = [
        path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    ]
    served = [line for line in lines if "include.tracking_server" in line]
    assert served, port
    said = " ".join([*served, (where / "server.log").read_text()])
    assert [user for user, password in PASSWORDS.items() if password in said] == []
