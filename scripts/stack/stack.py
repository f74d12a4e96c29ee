"""Start, stop and look at one stack."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from include.errors import ConfigError, ServiceUnavailable
from include.tracking_server.users import ADMIN as MLFLOW_ADMIN
from include.tracking_server.users import SERVING
from scripts.stack import bootstrap, databases, processes, secret_files
from scripts.stack.environment import base_environment, mlflow_login
from scripts.stack.group import Group
from scripts.stack.parts import NAMES, foreign_listeners, health
from scripts.stack.settings import PORTS, StackSettings
from scripts.stack.state import Record, RunFolder, Status

HEALTHY_WITHIN_S = 300
"""A laptop needs half a minute; a busy machine of two cores several times that."""


@dataclass(frozen=True)
class Login:
    """Who may log in, and where the password is."""

    user: str
    password: str = field(repr=False)
    password_file: Path


class Stack:
    """One stack, found again by its home folder.

    Parameters
    ----------
    settings
        Its home and ports. While it runs, the ports are those it was started with.
    say
        Is given each line of progress.
    """

    def __init__(self, settings: StackSettings, say: Callable[[str], None] = print) -> None:
        self._wanted = settings
        self._run = RunFolder(settings.home, settings.run, PORTS)
        self._group = Group(settings, NAMES, self._run, say)
        self._home = settings.home
        self.say = say

    @property
    def settings(self) -> StackSettings:
        """The settings of the stack that runs; of the one to start when none does."""
        facts = self._run.stack().facts
        ports = {name: facts[name] for name in PORTS if facts}
        return StackSettings(home=self._home, **ports) if ports else self._wanted

    def up(self, healthy_within_s: float = HEALTHY_WITHIN_S) -> None:
        """Start the stack and return when every part is healthy; do nothing when it is up.

        Raises
        ------
        ConfigError
            A port is taken, a database is damaged, or another `up` or `down` of this home is at
            work.
        ServiceUnavailable
            A part did not become healthy; the message ends with the tail of its log. What was
            started is stopped again.
        """
        with self._run.alone():
            if self._run.manager() is not None:
                self._check_running()
                return
            if processes.of_home(self._home):
                self.say("An earlier stack was not stopped in order; stopping what is left of it.")
            self._group.stop()  # also what an earlier one left on disk: it would be believed
            processes.check_ports(self._wanted.ports)
            databases.check(self._wanted)
            started = time.monotonic()
            self.say(f"Preparing {self._home}")
            try:
                bootstrap.prepare(self._wanted)
                manager = [sys.executable, "-m", "scripts.stack.manager"]
                pid = self._group.start(manager, base_environment(self._wanted))
                self._run.write(self._wanted, pid)
                self._group.wait(self.status, started, healthy_within_s)
            except BaseException:  # Ctrl-C too: nothing half-started stays behind
                self.say("Stopping what was started.")
                self._group.stop()
                raise

    def down(self) -> list[str]:
        """Stop the stack and whatever carries its mark; return what was stopped."""
        if not self._home.exists():
            return []
        with self._run.alone():
            return self._group.stop()

    def status(self) -> Status:
        """Ask every part how it is."""
        return self._group.status(self._parts)

    def addresses(self) -> dict[str, str]:
        """Return where Airflow, MLflow and serving answer."""
        settings = self.settings
        return {
            "Airflow": settings.airflow_url,
            "MLflow": settings.mlflow_url,
            "serving": settings.serving_url,
        }

    def login(self) -> Login:
        """Return Airflow's administrator; ConfigError before the first `up`."""
        file = self._wanted.password_file
        if not file.exists():
            raise ConfigError(f"{file} does not exist: the stack was never up. Run `make up`.")
        return Login(secret_files.ADMIN, secret_files.airflow_password(self._wanted), file)

    def mlflow_login(self) -> Login:
        """Return MLflow's administrator; ConfigError before the first `up`."""
        file = secret_files.mlflow_password_file(self._wanted, MLFLOW_ADMIN)
        if not file.exists():
            raise ConfigError(f"{file} does not exist: the stack was never up. Run `make up`.")
        return Login(MLFLOW_ADMIN, secret_files.mlflow_password(self._wanted, MLFLOW_ADMIN), file)

    def token(self) -> str:
        """Return a bearer token for Airflow's REST API."""
        login = self.login()
        url = f"{self.settings.airflow_url}/auth/token"
        body = {"username": login.user, "password": login.password}
        try:
            response = httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            words = f"{url} gave no token: {error}. Look at `make status`."
            raise ServiceUnavailable(words) from error
        return str(response.json()["access_token"])

    def environment(self, user: str = SERVING) -> dict[str, str]:
        """Return the environment in which scripts and the library find this stack.

        Once it was up, that includes a login at MLflow, by default of the user that may only read.
        """
        found = base_environment(self.settings)
        if secret_files.mlflow_password_file(self._wanted, user).exists():
            found |= mlflow_login(self.settings, user)
        return found

    def memory_bytes(self) -> int:
        """Return the memory of all its processes; what they share is counted once."""
        return processes.memory_bytes(self._home)

    def _parts(self, records: Mapping[str, Record]) -> dict[str, str]:
        running = {
            name: record.facts
            for name, record in records.items()
            if record.facts.get("phase") == "running"
        }
        pids = {name: facts["pid"] for name, facts in running.items()}
        held = foreign_listeners(
            self.settings, pids
        )  # at once: a restarted part has another process id
        started_at = {name: facts["started_at"] for name, facts in running.items()}
        answers = health(self.settings, started_at)
        for name, record in records.items():
            if record.damage:
                answers[name] = f"unknown: {record.damage}. Run `make down`, then `make up`"
            elif name not in running:
                answers[name] = "; ".join(filter(None, ["does not run", held.get(name)]))
            elif name in held:
                answers[name] = held[name]
        return answers

    def _check_running(self) -> None:
        status = self.status()
        if not status.healthy:
            words = "; ".join(f"{name} {words}" for name, words in status.unhealthy.items())
            raise ServiceUnavailable(
                f"The stack runs, but {words}. Look at `make logs`, or `make down` and `make up`."
            )
        self.say("The stack is up already.")
