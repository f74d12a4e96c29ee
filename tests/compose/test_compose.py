"""`docker-compose.yaml` with a Docker engine: it turns the wheel, and its restrictions hold.

`make test-compose` builds the images where they are missing, starts everything with new secrets
under a project name of its own, and removes it with its volumes.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.cluster import env_file
from scripts.cluster.environment import NEEDS
from scripts.images import docker
from tests.support import daily
from tests.support.certificates import self_made
from tests.support.clusters import PATIENCE_S, ClusterHouse, folder_for_all_users
from tests.support.compose import Compose, composed

pytestmark = pytest.mark.compose

DAYS = daily.days("2024-01-01", 4)
REQUEST = {
    "dataframe_records": [
        {"at": f"2024-01-05T0{hour}:00:00Z", "heat": heat, "line": "a"}
        for hour, heat in enumerate((-1.5, 0.1, 2.0))
    ]
}
WRITABLE = ("/home/flywheel", "/tmp")  # noqa: S108 - of the containers
PUBLISHED = {"api-server", "mlflow", "balancer", "s3"}
"""S3 for the test alone: it lands files there."""


@pytest.fixture(scope="module")
def project() -> str:
    return f"flywheel-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def running(project) -> Iterator[tuple[Compose, ClusterHouse]]:
    # Containers read the use case as a user of their own.
    with folder_for_all_users() as folder, composed(folder, project) as both:
        yield both
    left = docker.run("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}")
    volumes = docker.run("volume", "ls", "-q", "--filter", f"name={project}")
    assert (left, volumes) == ("", "")


@pytest.fixture(scope="module")
def compose(running) -> Compose:
    return running[0]


@pytest.fixture(scope="module")
def house(running) -> ClusterHouse:
    return running[1]


@pytest.fixture(scope="module")
def turned(house, compose) -> ClusterHouse:
    """Turn the wheel until a model serves."""
    for day in DAYS:
        house.land(day, outcomes=day < DAYS[-1])
    house.until(house.served, "a first champion serves", PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    compose.say(f"memory {compose.memory_gib():.2f} GiB")
    return house


def asked(url: str, **how: Any) -> httpx.Response:
    """Ask the model for three rows."""
    return httpx.post(
        f"{url}/{daily.NAME}/invocations", json=REQUEST, timeout=30, trust_env=False, **how
    )


def status_of(compose: Compose, container: str) -> dict[str, str]:
    """Return what Linux says of a container's first process."""
    text = compose.execute(container, "cat", "/proc/1/status").stdout
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in text.splitlines())
    }


def own(compose: Compose) -> dict[str, dict[str, Any]]:
    """Return the running containers, by their service: one of each."""
    found = {}
    for name, container in compose.containers().items():
        if container["State"]["Running"]:
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            found[service] = {"name": name, **container}
    return found


def test_a_model_is_trained_and_answers_through_the_balancer(turned, compose):
    answer = asked(turned.stack.settings.serving_url)

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 3
    assert turned.ledger.current().version == turned.served()


def test_a_log_is_read_after_its_worker_is_gone(turned, compose):
    # The first: on a busy machine housekeeping may have asked once more, and that run is skipped.
    run = turned.runs("feature", DAYS[0])[-1]
    compose.do("rm", "--stop", "--force", "worker")
    assert not compose.containers("worker")

    assert DAYS[0] in run.log("build_features")
    compose.do("up", "-d", "worker")
    compose.wait_healthy()


def test_nothing_can_be_written_outside_of_what_is_mounted(house, compose):
    for service, container in own(compose).items():
        done = compose.execute(container["name"], "sh", "-c", "echo x > /usr/x")
        assert done.returncode != 0, service
        assert "Read-only file system" in done.stderr, f"{service}: {done.stderr}"


def test_no_part_is_root_or_has_a_capability(house, compose):
    found = own(compose)
    assert found.keys() == {*NEEDS, "postgres", "redis", "s3", "balancer"} - {"init", "flower"}
    for service, container in found.items():
        status = status_of(compose, container["name"])
        assert status["Uid"].split()[0] != "0", service
        assert int(status["CapEff"], 16) == 0, service
        assert status["NoNewPrivs"] == "1", service


def test_a_worker_reaches_the_broker_and_the_api_but_not_postgres(house, compose):
    found = own(compose)
    networks = found["postgres"]["NetworkSettings"]["Networks"]
    (address,) = [each["IPAddress"] for each in networks.values()]
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    for service in ("worker", "trusted", "serving"):
        name = found[service]["name"]
        for host in ("postgres", address):
            done = compose.execute(name, "python", "-c", connect, host, "5432")
            assert done.returncode != 0, f"{service} reaches Postgres at {host}"
        assert compose.execute(name, "python", "-c", connect, "s3", "8333").returncode == 0
    for host, port in (("redis", "6379"), ("api-server", "8080")):
        name = found["worker"]["name"]
        assert compose.execute(name, "python", "-c", connect, host, port).returncode == 0
    # The store's own parts ask for no login: nobody else reaches them.
    for port in ("8888", "9333", "8080"):
        assert compose.execute(name, "python", "-c", connect, "s3", port).returncode != 0, port


def test_the_signing_key_is_with_the_trusted_worker_alone(house, compose):
    key = house.stack.settings.secret("signing_key_base64")
    knows, files = set(), set()
    for service, container in own(compose).items():
        if key in str(container["Config"]):
            knows.add(service)
        if service in NEEDS:
            name = container["name"]
            done = compose.execute(name, "find", *WRITABLE, "-name", "signing.pem")
            assert done.returncode == 0, f"{service}: {done.stderr}"
            files |= {service} if done.stdout.strip() else set()
    assert knows == files == {"trusted"}


def test_ports_are_published_on_loopback_only(house, compose):
    published = {}
    for service, container in own(compose).items():
        ports = container["NetworkSettings"]["Ports"].values()
        published[service] = {each["HostIp"] for found in ports for each in found or []}
    assert {service for service, hosts in published.items() if hosts} == PUBLISHED
    assert set().union(*published.values()) == {"127.0.0.1"}


def test_the_object_store_keeps_what_it_has_over_a_restart(turned, compose):
    before = turned.table("raw").partition_versions()
    assert before.keys() == {*DAYS}
    compose.do("restart", "s3")
    compose.wait_healthy()

    assert turned.table("raw").partition_versions() == before


def test_a_second_replica_answers_without_a_restart_of_the_balancer(turned, compose):
    (balancer,) = compose.containers("balancer").values()
    compose.do("up", "-d", "--no-recreate", "--scale", "serving=2", "serving")
    compose.wait_healthy()
    replicas = list(compose.containers("serving"))
    assert len(replicas) == 2

    def answered() -> list[float]:
        return [_answered(compose, name) for name in replicas]

    before = answered()
    url = turned.stack.settings.serving_url
    turned.until(
        lambda: (
            asked(url).is_success
            and all(now > old for now, old in zip(answered(), before, strict=True))
        ),
        "both replicas answer",
    )
    (same,) = compose.containers("balancer").values()
    assert same["State"]["StartedAt"] == balancer["State"]["StartedAt"]


def _answered(compose: Compose, container: str) -> float:
    """Return how many requests a replica answered."""
    read = (
        "import urllib.request as r;"
        "print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
    )
    lines = compose.execute(container, "python", "-c", read).stdout.splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("flywheel_serving_requests_total{")
    )


def test_with_a_certificate_the_published_port_answers_https(turned, compose, tmp_path):
    url = f"https://127.0.0.1:{turned.stack.settings.serving_port}"
    with folder_for_all_users() as folder:
        certificate, key = self_made(folder)
        for file in (certificate, key):
            file.chmod(0o644)
        _add(compose.file, FLYWHEEL_TLS_CERTIFICATE=certificate, FLYWHEEL_TLS_KEY=key)
        compose.do("up", "-d", "--no-deps", "balancer")
        compose.wait_healthy()
        context = ssl.create_default_context(cafile=certificate)
        answer = asked(url, verify=context)

        assert answer.status_code == 200, answer.text
        assert "Strict-Transport-Security" in answer.headers
        assert asked(url.replace("https", "http")).status_code == 400
        # The other parts go on by the closed network.
        (worker, *_) = compose.containers("worker")
        read = "import urllib.request as r; r.urlopen('http://balancer:8080/health')"
        assert compose.execute(worker, "python", "-c", read).returncode == 0


def _add(file: Path, **settings: Path) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    file.write_text(file.read_text() + lines)
    assert env_file.read(file).keys() >= settings.keys()


def test_flower_asks_for_its_login_and_sees_the_workers(house, compose):
    compose.do("--profile", "flower", "up", "-d", "--no-deps", "flower")
    compose.wait_healthy()
    settings = house.stack.settings
    url = f"http://127.0.0.1:{settings.flower_port}/api/workers"
    login = ("admin", settings.secret("flower_password"))

    assert httpx.get(url, trust_env=False).status_code == 401
    answer = httpx.get(url, params={"refresh": 1}, auth=login, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    queues = {queue["name"] for each in answer.json().values() for queue in each["active_queues"]}
    assert queues == {"default", "train", "trusted"}
    (container,) = compose.containers("flower").values()
    secrets = {"aws_secret_access_key", "signing_key_base64", "jwt_secret"}
    assert not [each for each in secrets if settings.secret(each) in str(container["Config"])]
