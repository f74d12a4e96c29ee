"""Where one stack keeps its state and which ports it takes, from the environment."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, model_validator

from include.settings import REPO, EnvironmentSettings, LogFormat, Port

HOST = "127.0.0.1"
MARKER = "FLYWHEEL_STACK"
"""Carried by every process of a stack, with the stack's home: how `down` finds what is left."""

PORTS = ("airflow_port", "mlflow_port", "serving_port", "log_port")


class Place:
    """The folders of a group of processes.

    Attributes
    ----------
    home : Path
        Names the group: each of its processes carries it as its mark.
    """

    home: Path

    @property
    def logs(self) -> Path:
        """One log file a part, and the one before it (`.log.1`)."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """What runs at present: process ids and states."""
        return self.home / "run"

    def log(self, name: str) -> Path:
        """Return the log file of a part, or of the manager."""
        return self.logs / f"{name}.log"


class StackSettings(EnvironmentSettings, Place):
    """One stack: its home folder and its ports.

    Attributes
    ----------
    home : Path
        `FLYWHEEL_HOME`: all state of the stack. Two stacks need two homes.
    airflow_port, mlflow_port, serving_port : int
        `FLYWHEEL_AIRFLOW_PORT`, `FLYWHEEL_MLFLOW_PORT`, `FLYWHEEL_SERVING_PORT`.
    log_port : int
        `FLYWHEEL_LOG_PORT`: where Airflow's web pages read the log of a task that still runs.
    labelling_port : int
        `FLYWHEEL_LABELLING_PORT`: where Label Studio answers, if `make labelling-up` started it.
    log_format : str
        `FLYWHEEL_LOG_FORMAT`: `text` for people, or `json`.
    statsd_host, statsd_port : str, int
        `FLYWHEEL_STATSD_HOST`, `FLYWHEEL_STATSD_PORT`: where Airflow sends its metrics; nowhere if
        the host is empty.
    """

    home: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = (
        REPO / ".flywheel"
    )
    airflow_port: Port = 8080
    mlflow_port: Port = 5000
    serving_port: Port = 8000
    log_port: Port = 8793
    labelling_port: Port = 8090
    log_format: LogFormat = "text"
    statsd_host: str = ""
    statsd_port: Port = 9125

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        taken: dict[int, str] = {}
        for variable, port in self.ports.items():
            if port in taken:
                raise ValueError(
                    f"{variable} and {taken[port]} must differ, both are {port}. Set one of them."
                )
            taken[port] = variable
        return self

    @classmethod
    def on_free_ports(cls, home: Path, **more: Any) -> StackSettings:
        """Make settings for a further stack, on ports that are free at this moment."""
        with ExitStack() as stack:
            ports = {}
            for field in PORTS:
                listener = stack.enter_context(socket.socket())
                listener.bind((HOST, 0))
                ports[field] = listener.getsockname()[1]
        return cls(home=home, **ports, **more)

    @property
    def ports(self) -> dict[str, int]:
        """Each port by the environment variable that sets it."""
        return {self.variable(field): getattr(self, field) for field in PORTS}

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


def program(name: str) -> str:
    """Return the path of a program of the Python environment that runs now."""
    return str(Path(sys.prefix) / "bin" / name)
