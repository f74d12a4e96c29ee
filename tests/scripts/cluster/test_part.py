"""What a container does first: files and variables of its role, then the role's program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from include.errors import ConfigError
from scripts.cluster import env_file
from scripts.cluster.part import prepared
from scripts.cluster.settings import ClusterSettings
from scripts.stack.settings import REPO


@pytest.fixture
def env(tmp_path):
    """Return a container's variables: all of cluster.env."""
    file = tmp_path / "cluster.env"
    env_file.ensure(file)
    return {**env_file.read(file), "FLYWHEEL_CODE_VERSION": "abc", "PATH": "/bin", "OTHER": "x"}


def test_a_worker_becomes_celery_with_its_queues_and_its_own_name(env, tmp_path):
    program, variables = prepared("worker", tmp_path, env)

    assert program[1:3] == ("celery", "worker")
    assert program[program.index("--queues") + 1] == "default,train"
    assert program[program.index("--celery-hostname") + 1] == f"worker-{socket.gethostname()}"
    assert variables["FLYWHEEL_CODE_VERSION"] == "abc"
    assert "OTHER" not in variables
    assert not {name for name in variables if "DATABASE" in name or "JWT" in name}
    assert [path.name for path in tmp_path.glob("*.pem")] == ["verify.pem"]


def test_the_trusted_worker_gets_the_signing_key_as_a_file_of_its_own(env, tmp_path):
    _, variables = prepared("trusted", tmp_path, env)

    assert variables["FLYWHEEL_SIGNING_KEY"] == str(tmp_path / "signing.pem")
    assert (tmp_path / "signing.pem").stat().st_mode & 0o777 == 0o600


def test_the_first_job_knows_the_clusters_own_settings_too(env, tmp_path):
    _, variables = prepared("init", tmp_path, env)

    name = ClusterSettings.variable("postgres_password")
    assert variables[name] == env[name]
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_an_unknown_role_is_told_which_there_are(env, tmp_path):
    with pytest.raises(ConfigError, match="There is no role 'wokrer'"):
        prepared("wokrer", tmp_path, env)


def test_a_missing_secret_ends_it_with_its_name(env, tmp_path):
    del env["FLYWHEEL_REDIS_PASSWORD"]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cluster.part", "worker"],
        cwd=REPO, capture_output=True, text=True,
        env={**env, "PATH": os.environ["PATH"], "FLYWHEEL_HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 1
    assert "not set, and none has a default: FLYWHEEL_REDIS_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr
