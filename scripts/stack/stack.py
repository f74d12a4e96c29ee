"""Start, stop and look at one stack."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from include.errors import ConfigError, ServiceUnavailable
from include.tracking_server.users import ADMIN as MLFLOW_ADMIN
from include.tracking_server.users import SERVING
from scripts.stack import bootstrap, databases, processes, secret_files
from scripts.stack.environment import base_environment, mlflow_login
from scripts.stack.manager import KILL_S
from scripts.stack.parts import HEALTHY, NAMES, foreign_listeners, health
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.state import Record, RunFolder, Status

HEALTHY_WITHIN_S = 300
"""A laptop needs half a minute; a busy machine of two cores several times that."""
GIVE_UP_RESTARTS = 3
"""A part that ended so often while the stack comes up will not come up."""
_REPLACE = "`make up` stops what is left of it and starts the whole stack again."


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
        self._run = RunFolder(settings)
        self._home = settings.home
        self.say = say

    @property
    def settings(self) -> StackSettings:
        """The settings of the stack that runs; of the one to start when none does."""
        return self._run.settings() or self._wanted

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
            self._stop()  # also what an earlier one left on disk: it would be believed
            processes.check_ports(self._wanted)
            databases.check(self._wanted)
            started = time.monotonic()
            self.say(f"Preparing {self._home}")
            try:
                bootstrap.prepare(self._wanted)
                self._start()
                self._wait(started, healthy_within_s)
            except BaseException:  # Ctrl-C too: nothing half-started stays behind
                self.say("Stopping what was started.")
                self._stop()
                raise

    def down(self) -> list[str]:
        """Stop the stack and whatever carries its mark; return what was stopped."""
        if not self._home.exists():
            return []
        with self._run.alone():
            return self._stop()

    def status(self) -> Status:
        """Ask every part how it is."""
        # The manager first: a process that has just started shows an empty environment for a
        # moment, and would not be found by the stack's mark.
        if self._run.manager() is None and not processes.of_home(self._home):
            return Status(running=False, parts={}, restarts={})
        records = {name: self._run.record(name) for name in NAMES}
        restarts = {
            name: (record.facts["restarts"], record.facts["last_exit"])
            for name, record in records.items()
            if record.facts.get("restarts")
        }
        trouble = self._manager_trouble()
        parts = self._parts(records)
        return Status(running=not trouble, parts=parts, restarts=restarts, manager=trouble)

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

    def environment(self) -> dict[str, str]:
        """Return the environment in which scripts and the library find this stack.

        Once it was up, that includes a login at MLflow that may read.
        """
        found = base_environment(self.settings)
        if secret_files.mlflow_password_file(self._wanted, SERVING).exists():
            found |= mlflow_login(self.settings)
        return found

    def memory_bytes(self) -> int:
        """Return the memory of all its processes; what they share is counted once."""
        return processes.memory_bytes(self._home)

    def _manager_trouble(self) -> str:
        if self._run.manager() is not None:
            return ""
        if damage := self._run.stack().damage:
            return f"{damage}. Which process manages the stack is unknown. {_REPLACE}"
        return (
            "The stack's manager was killed. The parts run on, and each is still restarted when it "
            f"ends. {_REPLACE}"
        )

    def _parts(self, records: dict[str, Record]) -> dict[str, str]:
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

    def _start(self) -> None:
        with self._wanted.log("stack").open("wb") as log:
            manager = subprocess.Popen(
                [sys.executable, "-m", "scripts.stack.manager"],
                cwd=REPO,
                env=base_environment(self._wanted),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it outlives this terminal and does not see its Ctrl-C
                umask=0o077,
            )
        self._run.write(self._wanted, manager.pid)

    def _wait(self, started: float, within_s: float) -> None:
        announced: set[str] = set()
        while True:
            status = self.status()
            waited_s = time.monotonic() - started
            for name in status.parts:
                if name not in status.unhealthy and name not in announced:
                    announced.add(name)
                    self.say(f"  {name:<14} {HEALTHY} after {waited_s:.0f} s")
            if status.healthy:
                return
            if not status.running:
                raise ServiceUnavailable(f"The stack's manager ended. {self._tail('stack')}")
            for name, (restarts, code) in status.restarts.items():
                if restarts >= GIVE_UP_RESTARTS:
                    why = f"{name} ended {restarts} times, with exit code {code}"
                    raise ServiceUnavailable(
                        f"The stack did not come up: {why}. {self._tail(name)}"
                    )
            if waited_s > within_s:
                unhealthy = [f"{n} {w}. {self._tail(n)}" for n, w in status.unhealthy.items()]
                words = "\n".join([f"The stack did not come up in {within_s:.0f} s:", *unhealthy])
                raise ServiceUnavailable(words)
            time.sleep(0.5)

    def _check_running(self) -> None:
        status = self.status()
        if not status.healthy:
            words = "; ".join(f"{name} {words}" for name, words in status.unhealthy.items())
            raise ServiceUnavailable(
                f"The stack runs, but {words}. Look at `make logs`, or `make down` and `make up`."
            )
        self.say("The stack is up already.")

    def _stop(self) -> list[str]:
        pids = {process.pid for process in processes.of_home(self._home)}
        named = [name for name in NAMES if self._run.record(name).facts.get("pid") in pids]
        manager = self._run.manager()
        if manager is not None:
            manager.terminate()
            processes.wait_gone(manager, KILL_S + 5)
            if processes.alive(manager):
                manager.kill()
        processes.sweep(self._home, grace_s=KILL_S)
        self._run.forget(*NAMES)
        return [*named, f"{len(pids) - len(named)} helper processes"] if pids else []

    def _tail(self, name: str, lines: int = 20) -> str:
        log = self._wanted.log(name)
        text = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join([f"The end of {log}:", *(f"    {line}" for line in text[-lines:])])
