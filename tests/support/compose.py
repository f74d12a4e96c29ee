"""A real `docker-compose.yaml` that turns the use case `daily`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.cluster.environment import NEEDS
from scripts.cluster.settings import ClusterSettings
from scripts.images import docker, flywheel, stand_ins
from scripts.stack.settings import REPO
from tests.support import daily
from tests.support.clusters import PATIENCE_S, ClusterHouse

_USE_CASES = "/opt/use_cases"


class Compose:
    """One project of docker-compose, and what a test asks of its containers."""

    def __init__(self, folder: Path, project: str, say: Callable[[str], None]) -> None:
        self.say = say
        self.file = folder / "cluster.env"
        self.project = project
        self._folder = folder
        self._more = folder / "more.yaml"

    def prepare(self, images: dict[str, str]) -> None:
        """Write the use case, the settings with new secrets, and what only the test needs."""
        daily.write_use_case(self._folder / "use_cases")
        ports = ClusterSettings.free_ports()
        ports["FLYWHEEL_FLOWER_PORT"] = ports.pop("FLYWHEEL_POSTGRES_PORT")
        home = {"FLYWHEEL_CLUSTER_HOME": str(self._folder / "home")}
        named = {name: image for name, image in images.items() if name != stand_ins.PYTHON}
        env_file.ensure(self.file, {**ports, **home, **named})
        (self._folder / "home").mkdir()
        flywheels = {
            "environment": {
                "FLYWHEEL_USE_CASES": _USE_CASES, "FLYWHEEL_HOUSEKEEPING_CRON": "0 0 1 1 *"
            },
            "volumes": [f"{self._folder}/use_cases:{_USE_CASES}:ro"],
        }  # fmt: skip
        services: dict[str, Any] = {role: flywheels for role in NEEDS if role != "flower"}
        # The test lands files, and reads the lake.
        services["s3"] = {"ports": ["127.0.0.1:${FLYWHEEL_S3_PORT}:8333"]}
        with self._more.open("w") as file:
            YAML().dump({"services": services}, file)

    def do(self, *arguments: str) -> str:
        """Run a command of docker-compose; its own words when it fails."""
        program = shutil.which("docker-compose")
        assert program, "docker-compose is not installed (Debian: apt-get install docker-compose)"
        command = [program, "-f", str(REPO / "docker-compose.yaml"), "-f", str(self._more)]
        command += ["--env-file", str(self.file), "-p", self.project]
        # The shell's variables would take precedence over the file.
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=env)
        assert done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
        return done.stdout

    def containers(self, service: str = "") -> dict[str, dict[str, Any]]:
        """Return what Docker knows of each container, by its name."""
        label = "label=com.docker.compose."
        asked = ["ps", "-aq", "--filter", f"{label}project={self.project}"]
        if service:
            asked += ["--filter", f"{label}service={service}"]
        ids = docker.run(*asked).split()
        found = json.loads(docker.run("inspect", *ids)) if ids else []
        return {each["Name"].lstrip("/"): each for each in found}

    def wait_healthy(self, within_s: float = PATIENCE_S) -> float:
        """Return after how many seconds every container is healthy, or has done its work."""
        started = time.monotonic()
        while True:
            states = {name: _health(each) for name, each in self.containers().items()}
            waiting = {name: words for name, words in states.items() if words != "healthy"}
            if states and not waiting:
                return time.monotonic() - started
            assert time.monotonic() - started < within_s, (
                f"{waiting}\n{self.do('logs', '--tail=20')}"
            )
            time.sleep(1)

    def execute(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, as its own user."""
        words = [docker.docker(), "exec", container, *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    def memory_gib(self) -> float:
        """Return the memory of all containers."""
        names = [name for name, each in self.containers().items() if each["State"]["Running"]]
        text = docker.run("stats", "--no-stream", "--format", "{{.MemUsage}}", *names)
        units = {"GiB": 1.0, "MiB": 1 / 1024, "KiB": 1 / 1024**2}
        used = [line.split(" /")[0] for line in text.splitlines()]
        return sum(float(each[:-3]) * units[each[-3:]] for each in used)


def _health(container: dict[str, Any]) -> str:
    state = container["State"]
    if state["Running"]:
        return str(state.get("Health", {}).get("Status", "has no health check"))
    return "healthy" if state["Status"] == "exited" and state["ExitCode"] == 0 else state["Status"]


@contextmanager
def composed(
    folder: Path, project: str, say: Callable[[str], None] = print
) -> Iterator[tuple[Compose, ClusterHouse]]:
    """Build what is missing, start everything, and remove all of it at the end."""
    images = stand_ins.images(say)
    if not docker.present(flywheel.IMAGE):
        flywheel.build(images[stand_ins.PYTHON])
    say(f"{flywheel.IMAGE}: {flywheel.size_bytes() / 1e6:.0f} MB")
    compose = Compose(folder, project, say)
    compose.prepare(images)
    before = dict(os.environ)
    try:
        started = time.monotonic()
        compose.do("up", "-d")
        compose.wait_healthy()
        say(f"all services healthy after {time.monotonic() - started:.0f} s")
        house = ClusterHouse(Cluster(compose.file), folder / "use_cases")
        house.until(
            lambda: house.get("/dags", limit=100)["total_entries"] >= 12,
            "the Dags are parsed",
            PATIENCE_S,
        )
        yield compose, house
    except BaseException:
        say(compose.do("logs", "--tail=30"))
        raise
    finally:
        compose.do("--profile", "flower", "down", "-v", "--timeout", "20")
        os.environ.clear()
        os.environ.update(before)
