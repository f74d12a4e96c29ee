"""Start, stop and look at one cluster of plain processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from include.errors import ConfigError, ServiceUnavailable
from scripts.cluster import env_file, parts, services, users
from scripts.cluster.environment import environment, files, own_variables
from scripts.cluster.manager import SERVICES, WHEEL, places
from scripts.stack import processes, secret_files
from scripts.stack.environment import process_environment
from scripts.stack.group import Group
from scripts.stack.settings import MARKER, REPO
from scripts.stack.stack import Login
from scripts.stack.state import Record, RunFolder, Status

HEALTHY_WITHIN_S = 600
"""Eleven parts of Python start at once: on two busy cores that takes minutes."""
_INITIALISED_WITHIN_S = 600
_UP = "make cluster-up"


class Cluster:
    """One cluster, found again by its env file.

    Parameters
    ----------
    file
        The env file.
    say
        Is given each line of progress.
    """

    def __init__(self, file: Path, say: Callable[[str], None] = print) -> None:
        self._file = file
        self.settings = env_file.load(file)
        self.say = say
        self.services, self.wheel = places(self.settings)
        self._services_run = RunFolder(self.services.home, self.services.run)
        self._wheel_run = RunFolder(self.wheel.home, self.wheel.run)
        self._services = Group(
            self.services, services.NAMES, self._services_run, say, SERVICES, _UP
        )
        self._wheel = Group(self.wheel, parts.NAMES, self._wheel_run, say, "cluster", _UP)

    def up(
        self, healthy_within_s: float = HEALTHY_WITHIN_S, fill: Callable[[], None] | None = None
    ) -> None:
        """Start the services, initialise, start the rest; return when every part is healthy.

        Parameters
        ----------
        healthy_within_s
            How long to wait for each group.
        fill
            Is called when the services answer, before the databases are made or migrated: a
            restore.

        Raises
        ------
        ConfigError
            A port is taken, a program is not installed, or a secret is missing.
        ServiceUnavailable
            Something did not come up; with the end of its log. What was started is stopped again.
        """
        self.settings.cluster_home.mkdir(mode=0o711, parents=True, exist_ok=True)
        services.prepare(self.settings, self.services)
        parts.prepare(self.settings, self.wheel)
        with self._services_run.alone():
            if self._wheel_run.manager() and self._services_run.manager():
                if fill is not None:
                    raise ConfigError("The cluster runs. Stop it with `make cluster-down`.")
                self.say("The cluster is up already.")
                return
            self._stop()
            processes.check_ports(self.settings.ports)
            started = time.monotonic()
            try:
                self._start(self._services, self._services_run, SERVICES)
                self._services.wait(self.services_status, started, healthy_within_s)
                if fill is not None:
                    fill()
                self.say("Making databases and buckets")
                self._initialise()
                if hindrance := users.hindrance(self.settings.use_cases):
                    self.say(f"Parts of Airflow, MLflow and serving share a user: {hindrance}.")
                self._start(self._wheel, self._wheel_run, WHEEL)
                self._wheel.wait(self.wheel_status, started, healthy_within_s)
            except BaseException:  # Ctrl-C too: nothing half-started stays behind
                self.say("Stopping what was started.")
                self._stop()
                raise

    def down(self) -> list[str]:
        """Stop everything; return what was stopped."""
        if not self.services.home.exists():
            return []
        with self._services_run.alone():
            return self._stop()

    def services_status(self) -> Status:
        """Say how Postgres, Redis and the object store are."""
        return self._services.status(lambda _: parts.services_health(self.settings))

    def wheel_status(self) -> Status:
        """Say how Airflow, MLflow and serving are."""

        def answers(records: Mapping[str, Record]) -> dict[str, str]:
            started = {
                name: record.facts["started_at"]
                for name, record in records.items()
                if record.facts.get("phase") == "running"
            }
            found = parts.health(self.settings, started)
            stopped = {name: "does not run" for name in parts.NAMES if name not in started}
            return {**found, **stopped}

        return self._wheel.status(answers)

    def token(self, user: str = secret_files.ADMIN) -> str:
        """Return a bearer token for Airflow's REST API."""
        url = f"{self.settings.airflow_url}/auth/token"
        body = {"username": user, "password": self.settings.secret(f"{user}_password")}
        try:
            answer = httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            words = f"{url} gave no token: {error}. Look at `make cluster-status`."
            raise ServiceUnavailable(words) from error
        return str(answer.json()["access_token"])

    def environment(self) -> dict[str, str]:
        """Return the environment in which scripts and the library find this cluster, for reading.

        It is serving's, which may read.
        """
        home = self.settings.cluster_home / "client"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts.write_files(files("serving", self.settings), home)
        return environment("serving", self.settings, home)

    def addresses(self) -> dict[str, str]:
        """Return where Airflow, MLflow and serving answer."""
        settings = self.settings
        return {
            "Airflow": settings.airflow_url,
            "MLflow": settings.tracking_uri,
            "serving": settings.public_serving_url,
        }

    def login(self) -> Login:
        """Return Airflow's administrator; the password is a line of the env file."""
        password = self.settings.secret(f"{secret_files.ADMIN}_password")
        return Login(secret_files.ADMIN, password, self._file)

    def memory_bytes(self) -> int:
        """Return the memory of all processes; what they share is counted once."""
        return sum(processes.memory_bytes(place.home) for place in (self.services, self.wheel))

    def _start(self, group: Group, run: RunFolder, name: str) -> None:
        command = [sys.executable, "-m", "scripts.cluster.manager", name, str(self._file)]
        env = {**process_environment(os.environ.get("PATH", os.defpath)), MARKER: str(run.home)}
        run.write(None, group.start(command, env))

    def _stop(self) -> list[str]:
        # The services last: what ends in order writes to them.
        return [*self._wheel.stop(), *self._services.stop()]

    def _initialise(self) -> None:
        # It reads the cluster's own variables, and what Airflow's and MLflow's migrations read.
        env = environment("init", self.settings, self.wheel.home_of("init"))
        env |= own_variables("init", env_file.read(self._file)) | {MARKER: str(self.wheel.home)}
        log = self.wheel.log("init")
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, "-m", "scripts.cluster.initialise"],
                cwd=REPO, env=env, stdout=output, stderr=subprocess.STDOUT,
                timeout=_INITIALISED_WITHIN_S, check=False, umask=0o077,
            )  # fmt: skip
        if done.returncode != 0:
            raise ServiceUnavailable(f"The databases were not made. {self._wheel.tail_of('init')}")
