"""Where one stack keeps its state and which ports it takes, from the environment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from include.errors import ConfigError
from include.settings import REPO

HOST = "127.0.0.1"
MARKER = "FLYWHEEL_STACK"
"""Carried by every process of a stack, with the stack's home: how `down` finds what is left."""

PORT_VARIABLES = {
    "airflow_port": "FLYWHEEL_AIRFLOW_PORT",
    "mlflow_port": "FLYWHEEL_MLFLOW_PORT",
    "serving_port": "FLYWHEEL_SERVING_PORT",
    "log_port": "FLYWHEEL_LOG_PORT",
}


@dataclass(frozen=True)
class StackSettings:
    """One stack: its home folder and its ports.

    Parameters
    ----------
    home
        `FLYWHEEL_HOME`: all state of the stack. Two stacks need two homes.
    airflow_port, mlflow_port, serving_port
        `FLYWHEEL_AIRFLOW_PORT`, `FLYWHEEL_MLFLOW_PORT`, `FLYWHEEL_SERVING_PORT`.
    log_port
        `FLYWHEEL_LOG_PORT`: where Airflow's web pages read the log of a task that still runs.
    """

    home: Path = REPO / ".flywheel"
    airflow_port: int = 8080
    mlflow_port: int = 5000
    serving_port: int = 8000
    log_port: int = 8793

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> StackSettings:
        """Read home and ports; what is not set has its default."""
        home = Path(env.get("FLYWHEEL_HOME") or cls.home).expanduser().absolute()
        ports = {
            field: _port(variable, env.get(variable), getattr(cls, field))
            for field, variable in PORT_VARIABLES.items()
        }
        taken: dict[int, str] = {}
        for field, port in ports.items():
            variable = PORT_VARIABLES[field]
            if port in taken:
                raise ConfigError(
                    f"{variable} and {taken[port]} must differ, both are {port}. Set one of them."
                )
            taken[port] = variable
        return cls(home=home, **ports)

    @classmethod
    def on_free_ports(cls, home: Path) -> StackSettings:
        """Make settings for a further stack, on ports that are free at this moment."""
        with ExitStack() as stack:
            ports = {}
            for field in PORT_VARIABLES:
                listener = stack.enter_context(socket.socket())
                listener.bind((HOST, 0))
                ports[field] = listener.getsockname()[1]
        return cls(home=home.absolute(), **ports)

    @property
    def ports(self) -> dict[str, int]:
        """Each port by the environment variable that sets it."""
        return {variable: getattr(self, field) for field, variable in PORT_VARIABLES.items()}

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's web pages and REST API."""
        return f"http://{HOST}:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow server."""
        return f"http://{HOST}:{self.mlflow_port}"

    @property
    def serving_url(self) -> str:
        """Address of the prediction server."""
        return f"http://{HOST}:{self.serving_port}"

    @property
    def airflow_home(self) -> Path:
        """Airflow's database, configuration and task logs."""
        return self.home / "airflow"

    @property
    def mlflow_home(self) -> Path:
        """MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def mlflow_database(self) -> str:
        """MLflow's backend store."""
        return f"sqlite:///{self.mlflow_home}/mlflow.db"

    @property
    def secrets(self) -> Path:
        """The password file and the keys Airflow's parts share; for the owner's eyes only."""
        return self.home / "secrets"

    @property
    def password_file(self) -> Path:
        """The JSON file from which Airflow's simple auth manager reads passwords."""
        return self.secrets / "airflow_passwords.json"

    @property
    def logs(self) -> Path:
        """One log file a part, and the one before it (`.log.1`)."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """What runs at present: process ids and states."""
        return self.home / "run"

    def log(self, name: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{name}.log"


def program(name: str) -> str:
    """Return the path of a program of the Python environment that runs now."""
    return str(Path(sys.prefix) / "bin" / name)


def _port(variable: str, text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigError(
            f"{variable} must be a port from 1 to 65535, got {text!r}. "
            f"Set it to a free port, or unset it to use {default}."
        )
    return int(text)
