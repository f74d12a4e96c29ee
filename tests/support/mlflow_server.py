"""A real MLflow server on a free loopback port, as the embedded stack runs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from include.tracking_server.users import PIPELINE, USERS, password_variable

REPO = Path(__file__).resolve().parents[2]
PASSWORDS = {user: f"{user}-password-of-a-test" for user in USERS}
LOGIN = (PIPELINE, PASSWORDS[PIPELINE])


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(where: Path, timeout_s: float = 60) -> Iterator[str]:
    """Run a server with its database and artifacts under `where`; gives its address.

    Takes about 10 s to be up: the database is migrated first, because processes that find it empty
    together each try to make it.
    """
    where.mkdir(parents=True, exist_ok=True)
    port, store = free_port(), f"sqlite:///{where}/mlflow.db"
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "FLYWHEEL_MLFLOW_DATABASE": store,
        "FLYWHEEL_MLFLOW_AUTH_DATABASE": f"sqlite:///{where}/users.db",
        "FLYWHEEL_MLFLOW_ARTIFACTS": str(where / "artifacts"),
        "FLYWHEEL_MLFLOW_PORT": str(port),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of no worth: the server is gone after the test",
        **{password_variable(user): PASSWORDS[user] for user in USERS},
        "PYTHONPATH": str(REPO),
    }
    subprocess.run(
        [sys.executable, "-m", "mlflow", "db", "upgrade", store],
        env=environment,
        cwd=where,
        check=True,
        capture_output=True,
    )
    with (where / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "include.tracking_server"],
            env=environment,
            cwd=where,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, where / "server.log", timeout_s)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(
        f"the MLflow server did not come up within {timeout_s} s:\n{log.read_text()}"
    )
