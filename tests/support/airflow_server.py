"""A real API server of Airflow with the users and roles of a cluster, on a database of its own."""

from __future__ import annotations

import json
import secrets
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from include.lake.table import Lake
from plugins.roles import ROLES
from scripts.cluster.environment import command, environment
from scripts.cluster.settings import ClusterSettings
from scripts.stack.settings import REPO
from tests.support.waiting import until

SEED = """\
import json, sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from scripts.cluster.access import bring_up_to_date
from scripts.cluster.settings import ClusterSettings
from scripts.stack.airflow_database import main as migrate

migrate()
bring_up_to_date(ClusterSettings.from_env())
with get_application_builder() as builder:
    for user, (role, password) in json.load(sys.stdin).items():
        role = builder.sm.find_role(role)
        builder.sm.add_user(user, user, "Test", f"{user}@example.com", role, password)
DagBundlesManager().sync_bundles_to_db()
bag = DagBag()
assert not bag.import_errors, bag.import_errors
sync_bag_to_db(bag, "dags-folder", None)
"""


AGAIN = """\
import sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from scripts.cluster.access import bring_up_to_date
from scripts.cluster.settings import ClusterSettings

with get_application_builder() as builder:
    manager = builder.sm
    viewer, housekeeping = manager.find_role("viewer"), manager.find_user("housekeeping")
    manager.add_permission_to_role(viewer, manager.create_permission("can_edit", "DAGs"))
    manager.remove_permission_from_role(viewer, manager.create_permission("can_read", "XComs"))
    housekeeping.roles.append(manager.find_role("Admin"))
    manager.update_user(housekeeping)
bring_up_to_date(ClusterSettings.from_env())
"""
"""Spoils roles and an account by hand, as an admin could, and runs the first job again."""


class Server:
    """One running API server."""

    def __init__(self, settings: ClusterSettings, database: Path, env: dict[str, str]) -> None:
        self.settings = settings
        self._env = env
        self.url = settings.airflow_url
        self.lake = Lake(str(database.parent / "lake"))
        self.passwords = {
            user: secrets.token_urlsafe(12) for user in ROLES if user != "housekeeping"
        }
        self._database = database
        self._clients: dict[str, httpx.Client] = {}

    def token(self, user: str, password: str) -> httpx.Response:
        body = {"username": user, "password": password}
        return httpx.post(f"{self.url}/auth/token", json=body, timeout=30, trust_env=False)

    def password(self, user: str) -> str:
        if user in self.passwords:
            return self.passwords[user]
        return self.settings.secret(f"{user}_password")

    def as_(self, user: str) -> httpx.Client:
        """Return a client that is logged in as a user."""
        if user not in self._clients:
            token = self.token(user, self.password(user)).raise_for_status().json()["access_token"]
            self._clients[user] = httpx.Client(
                base_url=f"{self.url}/api/v2", timeout=30, trust_env=False,
                headers={"Authorization": f"Bearer {token}"},
            )  # fmt: skip
        return self._clients[user]

    def initialise_again(self, admin_password: str) -> None:
        """Spoil roles and an account, and run the first job again with another password."""
        run(AGAIN, {**self._env, self.settings.variable("admin_password"): admin_password})

    def ask(self, dag_id: str, task_id: str) -> str:
        """Start a run whose task asks a question, as its operator would; return its path."""
        body = {"logical_date": None, "partition_key": "2013-01"}
        admin, runs = self.as_("admin"), f"/dags/{dag_id}/dagRuns"
        answer = admin.post(runs, json=body)
        if answer.status_code == 400:  # a Dag without partitions
            answer = admin.post(runs, json={"logical_date": None})
        path = f"{runs}/{answer.raise_for_status().json()['dag_run_id']}/taskInstances/{task_id}"
        task = uuid.UUID(admin.get(path).raise_for_status().json()["id"])
        with sqlite3.connect(self._database, timeout=30) as database:
            database.execute(
                "INSERT INTO hitl_detail (ti_id, options, subject, multiple, params, params_input, "
                "created_at) VALUES (?, ?, 'Promote?', 0, '{}', '{}', '2026-01-01 00:00:00')",
                [task.hex, '["Approve", "Reject"]'],
            )
            database.execute(
                "UPDATE task_instance SET state = 'awaiting_input', "
                "next_method = 'execute_complete' WHERE id = ?",
                [task.hex],
            )
        return path


def answer(client: httpx.Client, path: str, option: str = "Approve") -> httpx.Response:
    """Answer a question."""
    body = {"chosen_options": [option], "params_input": {}}
    return client.patch(f"{path}/-1/hitlDetails", json=body)


@contextmanager
def airflow_server(folder: Path) -> Iterator[Server]:
    """Run an API server with all Dags; stop it."""
    ports = {"airflow_port": ClusterSettings.free_ports()["FLYWHEEL_AIRFLOW_PORT"]}
    settings = ClusterSettings.with_secrets(cluster_home=folder, **ports)
    database = folder / "airflow.db"
    env = environment("api-server", settings, folder) | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",  # nothing is executed
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}?timeout=60",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
    }
    names = [f"{user}_password" for user in ("admin", "housekeeping")]
    accounts = {settings.variable(name): settings.secret(name) for name in names}
    server = Server(settings, database, env | accounts)
    people = {user: (user, password) for user, password in server.passwords.items()}
    run(SEED, env | accounts, json.dumps(people))
    # A cluster's lake is a bucket; this server alone reads pictures from it.
    env["FLYWHEEL_LAKE_URI"] = server.lake.uri
    with (folder / "api-server.log").open("wb") as log:
        running = subprocess.Popen(
            command("api-server", "api-server"), cwd=REPO, env=env, stdout=log, stderr=log
        )
    try:
        until(lambda: running.poll() is not None or _is_up(server.url), within_s=120)
        assert running.poll() is None, (folder / "api-server.log").read_text()[-3000:]
        yield server
    finally:
        running.terminate()
        running.wait(30)


def run(program: str, env: dict[str, str], given: str = "") -> None:
    """Run a program with Airflow's database."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, env=env, input=given,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v2/version", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
