"""The server as it is run: a process, a port, a signed package, a registry (MLflow on SQLite)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.lake.table import Lake
from include.registry.ledger import Ledger
from include.registry.signing import ensure_keys
from tests.support.packages import make_package

REPO = Path(__file__).parents[3]
BODY = {"instances": [{"x": 0.5, "z": -0.5, "colour": "red", "id": 1}]}
START_TIMEOUT_S = 120.0  # seconds of imports, on a machine that may be busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """Settings of a server, its registry, and a second version that waits to be promoted."""

    environment: dict[str, str]
    registry: Any
    lake: Lake
    second: str

    def promote(self, version: str, instead_of: str | None) -> None:
        """Write a promotion into the ledger."""
        about = {"as_of": "2024-02", "known_up_to": "2024-02"}
        tags = self.registry.details("tiny", version)["tags"]
        Ledger(self.lake, "tiny", self.registry.verify_key).promote(
            version=version,
            instead_of=instead_of,
            facts={**about, "package_sha256": tags["package_sha256"]},
            who="test",
            why="a test",
            evidence={},
            run_id=f"promotes {version}",
            signing_key=self.registry.signing_key,
        )

    @contextmanager
    def server(self, **changes: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """Run a server until it is ready; gives the process and its address."""
        port = free_port()
        environment = {**self.environment, "FLYWHEEL_SERVING_PORT": str(port), **changes}
        process = subprocess.Popen(
            [sys.executable, "-m", "include.serving"], cwd=REPO, env=environment
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_ready(url, process)
            yield process, url
        finally:
            process.kill()
            process.wait()


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/tiny/ping").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready within {START_TIMEOUT_S} s")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two versions in a registry, the first of which is champion."""
    from include.registry.client import Registry

    folder = tmp_path_factory.mktemp("world")
    (folder / "use_cases" / "tiny").mkdir(parents=True)
    (folder / "use_cases" / "tiny" / "use_case.yaml").write_text("broken: [on purpose")
    keys = folder / "keys"
    ensure_keys(keys / "signing.pem", keys / "verify.pem")
    uri = f"sqlite:///{folder}/mlflow.db"
    registry = Registry(uri, signing_key=keys / "signing.pem", verify_key=keys / "verify.pem")
    # Without a server, artifacts go where the experiment says, by default ./mlruns.
    registry.client.create_experiment("tiny", artifact_location=str(folder / "artifacts"))
    made = []
    for seed in (0, 1):
        run_id = registry.run("tiny", f"request-{seed}", "train", {})
        where = folder / f"model-{seed}"
        shutil.copytree(keys, where / "keys", dirs_exist_ok=True)  # one key signs both
        package = make_package(where, run_id=run_id, seed=seed)
        made.append(registry.register("tiny", run_id, package.folder, {}))
    world = World({}, registry, Lake(str(folder / "home" / "lake")), made[1])
    world.promote(made[0], instead_of=None)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLYWHEEL_")},
        "FLYWHEEL_HOME": str(folder / "home"),
        "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
        "FLYWHEEL_VERIFY_KEY": str(keys / "verify.pem"),
        "FLYWHEEL_SERVING_POLL_S": "0.1",
        "MLFLOW_TRACKING_URI": uri,
    }
    world.environment.update(environment)
    return world


def ask_until(stop: threading.Event, url: str, answers: list[httpx.Response]) -> None:
    with httpx.Client(timeout=30) as client:
        while not stop.is_set():
            answers.append(client.post(f"{url}/tiny/invocations", json=BODY))


def versions(answers: list[httpx.Response]) -> set[str]:
    return {reply.headers["X-Model-Version"] for reply in answers}


def swap_while_asked(world: World, url: str) -> list[httpx.Response]:
    """Promote the second version while two clients ask; return what they were answered."""
    answers: list[httpx.Response] = []
    stop = threading.Event()
    clients = [threading.Thread(target=ask_until, args=(stop, url, answers)) for _ in range(2)]
    for each in clients:
        each.start()
    deadline = time.monotonic() + 30
    while not answers and time.monotonic() < deadline:
        time.sleep(0.01)
    world.promote(world.second, instead_of="1")
    while world.second not in versions(answers) and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    for each in clients:
        each.join()
    return answers


def test_swapped_killed_and_started_again_while_the_registry_is_away(world: World) -> None:
    """Starting a server costs seconds of imports, so one story tells all of it."""
    with world.server() as (process, url):
        too_much = httpx.post(
            f"{url}/tiny/invocations",
            content=b" " * 20_000_000,
            headers={"Content-Type": "application/json"},
        )
        answers = swap_while_asked(world, url)
        process.kill()
    assert too_much.status_code == 413
    assert {reply.status_code for reply in answers} == {200}
    assert versions(answers) == {"1", world.second}

    away = f"http://127.0.0.1:{free_port()}"
    with world.server(MLFLOW_TRACKING_URI=away) as (process, url):
        answers.append(httpx.post(f"{url}/tiny/invocations", json=BODY))
        health = httpx.get(f"{url}/tiny/health").json()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    assert answers[-1].status_code == 200
    assert health["model_version"] == world.second, "from the cache of packages"
    assert health["problems"] == [], "MLflow is not needed for a package that was fetched"

    table = world.lake.table("tiny", "requests").read().to_pylist()
    logged = [row["request_id"] for row in table if row["status"] == 200]
    assert sorted(logged) == sorted(reply.headers["X-Request-Id"] for reply in answers)
