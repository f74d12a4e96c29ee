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
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    mlflow = [sys.executable, "-m", "mlflow"]
    subprocess.run(
        [*mlflow, "db", "upgrade", store],
        env=environment,
        cwd=where,
        check=True,
        capture_output=True,
    )
    with (where / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *mlflow, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", store, "--artifacts-destination", str(where / "artifacts"),
            ], env=environment, cwd=where, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
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
