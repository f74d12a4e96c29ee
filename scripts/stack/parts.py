"""The processes a stack is made of, and how the health of each is checked."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from scripts.stack import processes
from scripts.stack.environment import (
    airflow_environment,
    base_environment,
    mlflow_environment,
    mlflow_login,
)
from scripts.stack.settings import HOST, StackSettings, program

HEALTHY = "healthy"
_TIMEOUT_S = 15.0
"""On a machine with two busy cores the api-server was seen to take more than 5 s to answer."""
_AIRFLOW_COMPONENTS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
    "triggerer": ("triggerer", "latest_triggerer_heartbeat"),
}

PORTS = {
    "api-server": "airflow_port",
    "log-server": "log_port",
    "mlflow": "mlflow_port",
    "serving": "serving_port",
}
"""The parts that listen, and the setting that holds the port of each."""
_UNKNOWN = dict.fromkeys(_AIRFLOW_COMPONENTS, "unknown: the api-server does not say")


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def parts(settings: StackSettings) -> list[Part]:
    """Return the parts of a stack whose secrets exist.

    Each part is given its own secrets only: serving's login at MLflow may read. Airflow's four
    components run separately, because `airflow standalone` leaves its children behind when it is
    told to stop.
    """
    base = base_environment(settings)
    airflow = {**base, **airflow_environment(settings)}
    # Airflow's own log servers listen on every network interface: this one, on loopback, stands in.
    log_server = [program("uvicorn"), "--factory", "airflow.utils.serve_logs.log_server:get_app"]
    log_server += ["--host", HOST, "--port", str(settings.log_port), "--no-access-log"]
    mlflow = [sys.executable, "-m", "include.tracking_server"]
    serving = [sys.executable, "-m", "include.serving"]
    return [
        Part("api-server", (program("airflow"), "api-server"), airflow),
        Part("scheduler", (program("airflow"), "scheduler", "--skip-serve-logs"), airflow),
        Part("dag-processor", (program("airflow"), "dag-processor"), airflow),
        Part("triggerer", (program("airflow"), "triggerer", "--skip-serve-logs"), airflow),
        Part("log-server", tuple(log_server), airflow),
        Part("mlflow", tuple(mlflow), {**base, **mlflow_environment(settings)}),
        Part("serving", tuple(serving), {**base, **mlflow_login(settings)}),
    ]


NAMES = ("api-server", "scheduler", "dag-processor", "triggerer", "log-server", "mlflow", "serving")


def health(settings: StackSettings, started_at: dict[str, float]) -> dict[str, str]:
    """Ask every part.

    Parameters
    ----------
    settings
        The stack that is asked.
    started_at
        When each part was last started, in seconds since the epoch. Airflow calls a component
        healthy for 30 s after its last heartbeat; one from before the start is not believed.

    Returns
    -------
    dict
        `HEALTHY`, or what is wrong, by the part's name.
    """
    answers = {
        "log-server": _listens(settings.log_port),
        "mlflow": answers_at(f"{settings.mlflow_url}/health"),
        "serving": answers_at(f"{settings.serving_url}/health"),
    }
    answers |= airflow_health(f"{settings.airflow_url}/api/v2/monitor/health", started_at)
    return {name: answers[name] for name in NAMES}


def airflow_health(url: str, started_at: Mapping[str, float]) -> dict[str, str]:
    """Ask the api-server how Airflow's four components are."""
    try:
        report = _get(url).raise_for_status().json()
        database = report["metadatabase"]["status"]
        components = {
            name: _component(report[key], heartbeat, started_at.get(name, 0.0))
            for name, (key, heartbeat) in _AIRFLOW_COMPONENTS.items()
        }
    except (httpx.HTTPError, ValueError) as error:
        return {"api-server": _words(error), **_UNKNOWN}
    except (KeyError, TypeError, AttributeError):  # JSON, but another program's
        return {"api-server": f"does not answer as Airflow does at {url}", **_UNKNOWN}
    own = HEALTHY if database == HEALTHY else f"its database is {database}"
    return {"api-server": own, **components}


def foreign_listeners(settings: StackSettings, pids: Mapping[str, int | None]) -> dict[str, str]:
    """Return, for each part on whose port another process listens, which process that is.

    When that is the api-server's port, nothing is known of Airflow's other components.

    Parameters
    ----------
    settings
        The stack that is asked.
    pids
        The process id of each part; None, or absent, when it does not run.
    """
    ports = {name: getattr(settings, setting) for name, setting in PORTS.items()}
    found = processes.foreign_listeners({port: pids.get(name) for name, port in ports.items()})
    words = {
        name: f"its port {port} is held by {found[port]}, which is not this part: stop that process"
        for name, port in ports.items()
        if port in found
    }
    # What another program says of Airflow's other components is not believed.
    return {**_UNKNOWN, **words} if "api-server" in words else words


def _component(report: dict[str, str | None], heartbeat: str, started_at: float) -> str:
    if report["status"] != HEALTHY:
        return "sends no heartbeat"
    beat = report[heartbeat]
    if beat is None or datetime.fromisoformat(beat).timestamp() < started_at:
        return "has sent no heartbeat since it was started"
    return HEALTHY


def answers_at(url: str) -> str:
    """Return `HEALTHY` when there is an answer 200 at an address, else what is wrong."""
    try:
        response = _get(url)
    except httpx.HTTPError as error:
        return _words(error)
    return HEALTHY if response.status_code == 200 else f"answers {response.status_code} at {url}"


def _listens(port: int) -> str:
    try:
        socket.create_connection((HOST, port), timeout=_TIMEOUT_S).close()
    except OSError as error:
        return _words(error)
    return HEALTHY


def _get(url: str) -> httpx.Response:
    # Without trust_env a proxy in the caller's environment would be asked for 127.0.0.1.
    return httpx.get(url, timeout=_TIMEOUT_S, trust_env=False)


def _words(error: Exception) -> str:
    return f"does not answer ({error or type(error).__name__})"
