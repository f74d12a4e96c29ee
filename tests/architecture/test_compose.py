"""Compose file and Dockerfile: no default secret, no moving tag, health checks, few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts.cluster import balancer, env_file
from scripts.cluster.environment import NEEDS
from scripts.cluster.settings import MADE, ClusterSettings
from scripts.stack.secret_files import LABEL_STUDIO_USER

REPO = Path(__file__).resolve().parents[2]
FILE = REPO / "docker-compose.yaml"
TEXT = FILE.read_text()
COMPOSE = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = {ClusterSettings.variable(field) for field in MADE}
OTHERS = {
    "postgres", "redis", "s3", "balancer", "metrics", "prometheus", "grafana", "label-studio",
}  # fmt: skip
"""Services that are no role: of other people's images, and the exporter, which needs no setting."""
REFERENCE = re.compile(r"\$\{(\w+)(:?[-?])?([^}]*)\}")

each_service = pytest.mark.parametrize("name", SERVICES)


def default_of(text: str) -> str:
    """Return what a value is where nothing is set."""
    return REFERENCE.sub(lambda found: found[3] if found[2] == ":-" else "", text)


def secrets_of(name: str) -> set[str]:
    """Name the secrets whose value a service is given."""
    values = SERVICES[name].get("environment", {}).values()
    return {found[1] for value in values for found in REFERENCE.finditer(str(value))} & SECRETS


def test_every_role_is_a_service_and_every_other_service_is_known():
    assert set(SERVICES) == {*NEEDS, *OTHERS}
    for role in NEEDS:
        assert SERVICES[role]["command"] == [role], role


@pytest.mark.parametrize("role", NEEDS)
def test_a_service_is_given_the_secrets_of_its_role_and_no_others(role):
    needed = {ClusterSettings.variable(field) for field in NEEDS[role]}

    assert secrets_of(role) == needed, f"{role}: NEEDS in scripts/cluster/environment.py differs"
    for name in needed:
        assert name in SERVICES[role]["environment"], f"{role}: {name} must keep its own name"


def test_no_secret_has_a_default_and_a_missing_one_stops_the_start():
    found = [each for each in REFERENCE.finditer(TEXT) if each[1] in SECRETS]

    assert {each[1] for each in found} == SECRETS
    for each in found:
        assert each[0].endswith(":?run make secrets}"), (
            f"{each[0]}: write ${{...:?run make secrets}}"
        )


def test_every_variable_is_a_setting_or_an_image():
    images = {"FLYWHEEL_IMAGE", "FLYWHEEL_BIND", "FLYWHEEL_S3_COMMAND"}
    known = {ClusterSettings.variable(field) for field in ClusterSettings.model_fields} | images
    for each in REFERENCE.finditer(TEXT):
        assert each[1] in known or re.fullmatch(r"FLYWHEEL_\w+_IMAGE", each[1]), (
            f"{each[1]}: no part reads it"
        )


FIXED = {
    "listen_host", "postgres_host", "redis_host", "airflow_url", "tracking_uri", "serving_url",
    "use_cases", "statsd_port",
}  # fmt: skip
"""Settings that the containers' networks and the image decide."""
OF_PLAIN_PROCESSES = {
    "cluster_home", "postgres_port", "redis_port", "s3_port", "replica_port",
    "second_replica_port", "balancer_port",
}  # fmt: skip


def test_every_other_setting_of_cluster_env_reaches_the_containers():
    referenced = {each[1] for each in REFERENCE.finditer(TEXT)}
    for field in ClusterSettings.model_fields.keys() - FIXED - OF_PLAIN_PROCESSES:
        name = ClusterSettings.variable(field)
        assert name in referenced, f"{name}: pass it to the services that read it"
    hosts = COMPOSE["x-addresses"]["FLYWHEEL_MLFLOW_ALLOWED_HOSTS"]
    assert hosts.startswith("mlflow:5000,"), "what a person adds does not shut the parts out"


@each_service
def test_an_image_has_a_version(name):
    image = default_of(SERVICES[name]["image"])

    tag = image.rpartition(":")[2]
    assert "/" not in tag, f"{name}: {image} has no tag"
    assert tag != "latest", f"{name}: a tag that moves is another image tomorrow"
    assert image == "flywheel:local" or re.match(r"v?\d+\.\d+", tag), f"{name}: {image}"


@each_service
def test_a_service_has_a_health_check_unless_it_ends(name):
    check = SERVICES[name]["healthcheck"]
    if SERVICES[name].get("restart") == "no":
        assert check == {"disable": True}
        waiting = [
            each["depends_on"][name]["condition"]
            for each in SERVICES.values()
            if name in each.get("depends_on", {})
        ]
        assert set(waiting) == {"service_completed_successfully"}
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries"} <= check.keys()
        if name in NEEDS:
            assert check["test"][-1] == name, f"{name} asks how {check['test'][-1]} is"


@each_service
def test_a_service_has_no_more_rights_than_it_needs(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name == "postgres" or "cap_add" not in service
    assert not service.get("privileged")
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    # The image of Flywheel and nginx's name a user of their own; Postgres becomes one by itself.
    named = service.get("user", "").split(":")[0]
    assert named not in ("0", "root"), name
    assert named or name in {*NEEDS, "balancer", "postgres"}, f"{name}: name a user"


@each_service
def test_what_is_published_is_on_loopback_unless_a_person_says_otherwise(name):
    for port in SERVICES[name].get("ports", []):
        assert default_of(port).startswith("127.0.0.1:"), f"{name}: {port}"


def test_a_worker_reaches_neither_the_database_nor_the_world():
    for name in ("worker", "trusted"):
        assert set(SERVICES[name]["networks"]) == {"broker", "store", "api"}
    assert [name for name in SERVICES if "database" in SERVICES[name]["networks"]] == [
        "postgres", "init", "api-server", "scheduler", "dag-processor", "triggerer", "mlflow"
    ]  # fmt: skip
    for name in ("database", "broker", "api"):
        assert COMPOSE["networks"][name] == {"internal": True}


def test_label_studio_starts_only_where_it_is_asked_for_and_is_open_to_nobody():
    service = SERVICES["label-studio"]

    assert service["profiles"] == ["labelling"]
    assert service["networks"] == ["api", "edge"]
    own = service["environment"]
    assert own["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    assert own["LABEL_STUDIO_USERNAME"] == LABEL_STUDIO_USER
    told = {"COLLECT_ANALYTICS", "LATEST_VERSION_CHECK", "SENTRY_DSN", "FRONTEND_SENTRY_DSN"}
    assert {own[name] for name in told} == {"false", ""}
    here = (REPO / "scripts" / "labelling" / "requirements.in").read_text()
    assert f"label-studio=={default_of(service['image']).rpartition(':')[2]}" in here


MONITORING = ("metrics", "prometheus", "grafana")


def test_monitoring_starts_only_where_it_is_asked_for():
    for name in MONITORING:
        assert SERVICES[name]["profiles"] == ["monitoring"]
    assert SERVICES["metrics"]["networks"] == ["api"]
    assert COMPOSE["networks"]["monitoring"] == {"internal": True}
    for name in ("prometheus", "grafana"):
        files = [each.partition(":")[0] for each in SERVICES[name]["volumes"] if each[0] == "."]
        assert files
        for file in files:
            assert (REPO / file).exists(), f"{name}: {file}"
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_who_waits_for_a_service_that_runs_on_waits_for_its_health():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ends = SERVICES[other].get("restart") == "no"
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected, f"{name} waits for {other}"


def test_each_service_is_on_the_networks_that_it_needs_and_no_others():
    published = {name for name in SERVICES if SERVICES[name].get("ports")}
    assert {name for name in SERVICES if "edge" in SERVICES[name]["networks"]} == published
    assert SERVICES["balancer"]["networks"] == ["api", "edge"]
    assert SERVICES["flower"]["networks"] == ["broker", "edge"]
    for name in ("postgres", "redis", "s3"):
        assert len(SERVICES[name]["networks"]) == 1, f"{name} must not join two networks"


def test_of_the_object_store_s3_alone_listens_for_others():
    """Its other parts ask for no login."""
    words = default_of(SERVICES["s3"]["command"]).split()

    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"} <= set(words)


@pytest.mark.parametrize("file", balancer.OF_CONTAINERS, ids=lambda file: file.name)
def test_the_balancers_configuration_is_what_the_code_writes(file):
    assert file.read_text() == balancer.OF_CONTAINERS[file], (
        "run `python -m scripts.cluster.balancer`"
    )


DOCKERFILES = [REPO / "Dockerfile", *sorted((REPO / "scripts" / "images").glob("*.Dockerfile"))]
EXCEPTIONS = {
    # Debian keeps only the newest version of a package, with its security fixes: there is no
    # version that could be named and still be had next month.
    "DL3008": {"python", "postgres", "redis", "nginx", "s3"},
}
"""Each rule of hadolint that a file switches off in a line, and which files do."""


def hadolint(file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it with all its rules: no configuration of the caller's is read."""
    config = folder / "hadolint.yaml"
    config.write_text("ignored: []\n")
    program = str(Path(sys.executable).with_name("hadolint"))
    command = [program, "--config", str(config), str(file)]
    return subprocess.run(command, capture_output=True, text=True, env={})


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file, tmp_path):
    done = hadolint(file, tmp_path)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_hadolint_would_find_something(tmp_path):
    file = tmp_path / "Dockerfile"
    file.write_text("FROM debian:latest\nRUN cd /x && apt-get install curl\n")
    done = hadolint(file, tmp_path)

    assert done.returncode == 1
    assert {"DL3007", "DL3008"} <= set(re.findall(r"DL\d+", done.stdout))


def test_no_rule_of_hadolint_is_switched_off_without_being_named_here():
    found: dict[str, set[str]] = {}
    for file in DOCKERFILES:
        text = file.read_text()
        assert "global ignore" not in text, file
        for rules in re.findall(r"hadolint\s+ignore=(\S+)", text):
            for rule in rules.split(","):
                found.setdefault(rule, set()).add(file.stem)
    assert found == EXCEPTIONS


def test_the_image_lacks_what_only_development_needs():
    """The build removes what requirements.in names below `# Development`."""
    below = (REPO / "requirements.in").read_text().partition("\n# Development")[2]
    names = {
        re.split(r"[^a-z0-9-]", line)[0] for line in below.splitlines() if re.match("[a-z]", line)
    }

    assert {"moto", "mypy", "pytest", "ruff", "uv"} <= names
    assert not names & {"flower", "matplotlib", "celery", "mlflow"}


def test_the_image_runs_as_nobody_of_the_host_and_copies_what_is_named():
    lines = (REPO / "Dockerfile").read_text().splitlines()
    last = len(lines) - next(n for n, line in enumerate(lines[::-1]) if line.startswith("FROM"))
    stage = lines[last:]

    assert "USER 10001" in stage
    assert not [line for line in stage if re.match(r"(COPY|ADD) (--\S+ )*\.( |$)", line)]
    assert (
        "python:3.11-slim" in lines[[line.startswith("ARG PYTHON") for line in lines].index(True)]
    )
    ignored = (REPO / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "what is not named must not reach the image: cluster.env, the home"


def test_the_file_is_valid_and_stops_without_a_secret(tmp_path):
    """docker-compose's own schema, and its own reading of cluster.env."""
    compose = shutil.which("docker-compose")
    if compose is None:
        pytest.skip("docker-compose is not installed (Debian: apt-get install docker-compose)")
    file = tmp_path / "cluster.env"
    env_file.ensure(file)

    def config() -> subprocess.CompletedProcess[str]:
        command = [compose, "-f", str(FILE), "--env-file", str(file), "config"]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)

    good = config()
    assert good.returncode == 0, good.stderr
    found = YAML(typ="safe").load(good.stdout)["services"]
    assert found["postgres"]["environment"]["POSTGRES_PASSWORD"] == (
        env_file.load(file).secret("postgres_password")
    )
    lines = [line for line in file.read_text().splitlines() if "REDIS_PASSWORD" not in line]
    file.write_text("\n".join(lines))
    bad = config()
    assert bad.returncode != 0
    assert "FLYWHEEL_REDIS_PASSWORD" in bad.stderr
    assert "run make secrets" in bad.stderr
