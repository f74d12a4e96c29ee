"""A real stack with one small use case, and what a test asks it through Airflow's REST API."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger
from include.settings import Settings
from scripts.cluster.cluster import Cluster
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack
from tests.support import daily

ENDED = ("success", "failed")


class House:
    """One stack, or one cluster, that turns one use case, by default `daily`."""

    def __init__(self, stack: Stack | Cluster, use_cases: Path, name: str = daily.NAME) -> None:
        self.stack = stack
        self.name = name
        self.use_cases = use_cases
        environment = stack.environment()
        self.settings = Settings.from_env(environment)
        self.landing = Path(self.settings.landing_uri)
        self.lake = Lake(self.settings.lake_uri, self.settings.storage_options())
        names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        user, password = (environment[name] for name in names)
        self.registry = Registry(
            self.settings.tracking_uri,
            login=(user, password),
            verify_key=self.settings.verify_key,
            cache=use_cases.parent / "packages",
        )
        self.api = self.client(stack.token())

    def client(self, token: str) -> httpx.Client:
        """Return a client of Airflow's REST API for the owner of a token."""
        headers = {"Authorization": f"Bearer {token}"}
        base = f"{self.stack.settings.airflow_url}/api/v2"
        return httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def table(self, stage: str) -> Any:
        return self.lake.table(self.name, stage)

    def version(self, stage: str, key: str) -> int | None:
        return self.table(stage).partition_versions([key]).get(key)

    def land(self, day: str, **how: Any) -> None:
        """Land a day of the use case."""
        daily.land(self.landing, day, **how)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake, self.name, self.settings.verify_key)

    def get(self, path: str, **params: Any) -> Any:
        return self.api.get(path, params=params).raise_for_status().json()

    def trigger(self, phase: str, key: str | None = None, /, **conf: Any) -> httpx.Response:
        body = {"logical_date": None, "conf": conf} | ({"partition_key": key} if key else {})
        return self.api.post(f"/dags/{self.name}__{phase}/dagRuns", json=body)

    def run(self, phase: str, key: str | None = None, /, **conf: Any) -> Run:
        """Start a run and wait for its end."""
        answer = self.trigger(phase, key, **conf).raise_for_status().json()
        return self.ended(phase, answer["dag_run_id"])

    def ended(self, phase: str, run_id: str, within_s: float = 180) -> Run:
        run = Run(self, phase, run_id)
        self.until(lambda: run.state in ENDED, f"{phase} {run_id} ends", within_s)
        return run

    def runs(self, phase: str, key: str | None = None) -> list[Run]:
        """All runs of a phase, or of one key, newest first."""
        found = self.get(f"/dags/{self.name}__{phase}/dagRuns", limit=100, order_by="-run_after")[
            "dag_runs"
        ]
        return [
            Run(self, phase, run["dag_run_id"])
            for run in found
            if key is None or run["partition_key"] == key
        ]

    def clear(self, run: Run, task_id: str | None = None) -> Run:
        """Clear a run, or one task of it, and wait for its new end."""
        if task_id is None:
            path = f"/dags/{self.name}__{run.phase}/dagRuns/{run.run_id}/clear"
            self.api.post(path, json={"dry_run": False}).raise_for_status()
        else:
            path = f"/dags/{self.name}__{run.phase}/clearTaskInstances"
            body = {
                "dry_run": False,
                "dag_run_id": run.run_id,
                "task_ids": [task_id],
                "only_failed": False,
                "reset_dag_runs": True,
            }
            self.api.post(path, json=body).raise_for_status()
        self.until(lambda: run.state not in ENDED, f"{run.run_id} is cleared", 30)
        return self.ended(run.phase, run.run_id)

    def pause(self, phase: str, paused: bool) -> None:
        path = f"/dags/{self.name}__{phase}"
        self.api.patch(path, json={"is_paused": paused}).raise_for_status()

    def until(self, reached: Callable[[], Any], what: str, within_s: float = 120) -> Any:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if found := reached():
                return found
            time.sleep(0.4)
        raise AssertionError(f"After {within_s:.0f} s still waiting for: {what}")

    def at_rest(self, quiet_s: float = 4.0, within_s: float = 300) -> None:
        """Wait until no run has been queued or running for a while."""
        since: list[float] = []

        def quiet() -> bool:
            params = {"state": ["queued", "running"], "limit": 1}
            if self.get("/dags/~/dagRuns", **params)["total_entries"]:
                since.clear()
                return False
            since.append(time.monotonic())
            return since[-1] - since[0] >= quiet_s

        self.until(quiet, "no run is left", within_s)

    def housekeeping(self) -> Run:
        """Run the housekeeping now, and wait for what it sent."""
        run = self.run("housekeeping")
        self.at_rest()
        return run

    def served(self) -> str | None:
        address = f"{self.stack.settings.serving_url}/{self.name}/version"
        answer = httpx.get(address, timeout=10, trust_env=False)
        return answer.json().get("model_version") if answer.is_success else None


class Run:
    """One Dag run."""

    def __init__(self, house: House, phase: str, run_id: str) -> None:
        self.house, self.phase, self.run_id = house, phase, run_id
        self._path = f"/dags/{house.name}__{phase}/dagRuns/{run_id}"

    def __repr__(self) -> str:
        return f"Run({self.phase} {self.run_id})"

    @property
    def facts(self) -> dict[str, Any]:
        return self.house.get(self._path)

    @property
    def state(self) -> str:
        return str(self.facts["state"])

    @property
    def tasks(self) -> dict[str, str]:
        """State by task id; of a mapped task the states of all its instances."""
        found: dict[str, set[str]] = {}
        for task in self.house.get(f"{self._path}/taskInstances")["task_instances"]:
            found.setdefault(task["task_id"], set()).add(str(task["state"]))
        return {task: "/".join(sorted(states)) for task, states in found.items()}

    def mark_success(self, task_id: str, api: httpx.Client | None = None) -> None:
        """Mark a task as successful, as a person can in the pages; by default as the admin."""
        path = f"{self._path}/taskInstances/{task_id}"
        body = {"new_state": "success"}
        (api or self.house.api).patch(path, json=body).raise_for_status()

    def ask_again(self, task_id: str, api: httpx.Client | None = None, map_index: int = -1) -> None:
        """Clear a question and what comes after it, by default as the admin."""
        task = task_id if map_index == -1 else [task_id, map_index]
        path = f"/dags/{self.house.name}__{self.phase}/clearTaskInstances"
        body = {
            "dry_run": False, "dag_run_id": self.run_id, "task_ids": [task],
            "only_failed": False, "include_downstream": True, "reset_dag_runs": True,
        }  # fmt: skip
        (api or self.house.api).post(path, json=body).raise_for_status()
        self.house.until(lambda: self.state not in ENDED, "the run goes on", 30)

    def answer(
        self, task_id: str, option: str, api: httpx.Client | None = None, map_index: int = -1
    ) -> httpx.Response:
        """Answer the question of a task, by default as the admin."""
        path = f"{self._path}/taskInstances/{task_id}/{map_index}/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        return (api or self.house.api).patch(path, json=body)

    def log(self, task_id: str, attempt: int = 1, map_index: int = -1) -> str:
        path = f"{self._path}/taskInstances/{task_id}/logs/{attempt}"
        return self.house.api.get(path, params={"map_index": map_index}).text

    def tries(self, task_id: str) -> int:
        found = self.house.get(f"{self._path}/taskInstances")["task_instances"]
        return max(task["try_number"] for task in found if task["task_id"] == task_id)


@contextmanager
def daily_house(folder: Path, approvers: str = "", **settings: Any) -> Iterator[House]:
    """Run a stack with the use case `daily` alone, as `house_of` does."""
    daily.write_use_case(folder / "use_cases", approvers)
    with house_of(folder, daily.NAME, **settings) as house:
        yield house


@contextmanager
def house_of(folder: Path, name: str, **settings: Any) -> Iterator[House]:
    """Run a stack with the use case that stands in `<folder>/use_cases`; stop it at the end.

    `settings` are of `StackSettings`, besides home and ports. Housekeeping runs once a year there:
    a test starts it when it wants it.
    """
    before = dict(os.environ)
    for variable in before:  # the tests' own Airflow logs warnings only
        if variable.startswith("AIRFLOW__"):
            del os.environ[variable]
    os.environ |= {
        "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
        "FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *",
    }
    stack = Stack(StackSettings.on_free_ports(folder / "home", **settings), say=print)
    try:
        stack.up()
        house = House(stack, folder / "use_cases", name)
        house.until(
            lambda: house.get("/dags", limit=100)["total_entries"] >= 12, "the Dags are parsed"
        )
        yield house
    finally:
        stack.down()
        os.environ.clear()
        os.environ.update(before)
