"""The demo's command line, and what it says at the end of where it ran."""

from __future__ import annotations

import pytest

from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.demo import __main__ as demo
from scripts.demo import report
from scripts.demo.target import COMMANDS
from scripts.stack.stack import Stack


def test_without_settings_of_a_cluster_the_next_step_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(env_file.VARIABLE, str(tmp_path / "cluster.env"))

    assert demo.main(["cluster"]) == 1
    assert "Make it with `make secrets`." in capsys.readouterr().err


def test_another_word_is_refused(capsys):
    assert demo.main(["clutser"]) == 2
    assert "or: cluster" in capsys.readouterr().err


def test_it_runs_on_the_cluster_of_the_env_file_or_on_the_stack(tmp_path, monkeypatch):
    file = tmp_path / "cluster.env"
    env_file.ensure(file, {"FLYWHEEL_CLUSTER_HOME": str(tmp_path / "home")})
    monkeypatch.setenv(env_file.VARIABLE, str(file))
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "own"))

    cluster = demo._target("cluster", print)
    assert isinstance(cluster, Cluster)
    assert cluster.login().user == "admin"
    assert cluster.login().password == cluster.settings.secret("admin_password")
    assert cluster.login().password_file == file
    assert cluster.addresses() == {
        "Airflow": "http://127.0.0.1:8080",
        "MLflow": "http://127.0.0.1:5000",
        "serving": "http://127.0.0.1:8000",
    }
    assert isinstance(demo._target("stack", print), Stack)


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_end_names_the_commands_of_what_it_ran_on(kind):
    found = {
        "partitions": [],
        "models": {},
        "metrics": {},
        "prediction": {"command": "curl", "answer": {"predictions": [0]}},
        "addresses": {"Airflow": "http://127.0.0.1:8080"},
        "login": {"user": "admin", "password_file": "/a/file"},
        "commands": COMMANDS[kind],
        "file": "/a/demo.json",
        "seconds": {"total": 300.0},
        "memory_gib": 4.5,
    }

    told = report.told(found)

    assert f"`{COMMANDS[kind]['down']}` stops it" in told
    assert "the same facts are in /a/demo.json" in told
