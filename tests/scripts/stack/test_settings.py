import re
import socket
from pathlib import Path

import pytest

from include.errors import ConfigError
from scripts.stack.settings import HOST, REPO, StackSettings


def test_without_variables_state_is_in_the_repository_and_ports_are_the_usual_ones():
    settings = StackSettings.from_env({})

    assert settings.home == REPO / ".flywheel"
    assert settings.ports == {
        "FLYWHEEL_AIRFLOW_PORT": 8080,
        "FLYWHEEL_MLFLOW_PORT": 5000,
        "FLYWHEEL_SERVING_PORT": 8000,
        "FLYWHEEL_LOG_PORT": 8793,
    }


def test_variables_move_home_and_ports():
    env = {"FLYWHEEL_HOME": "/srv/wheel", "FLYWHEEL_MLFLOW_PORT": "5001"}

    settings = StackSettings.from_env(env)

    assert settings.password_file == Path("/srv/wheel/secrets/airflow_passwords.json")
    assert settings.mlflow_url == "http://127.0.0.1:5001"
    assert settings.mlflow_database == "sqlite:////srv/wheel/mlflow/mlflow.db"


def test_a_relative_home_is_made_absolute_because_parts_run_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert StackSettings.from_env({"FLYWHEEL_HOME": "state"}).home == tmp_path / "state"


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused_with_the_variable_and_the_default(text):
    expected = (
        f"environment variable FLYWHEEL_SERVING_PORT: must be a port from 1 to 65535, got {text!r}."
        " Correct it, or unset it for 8000."
    )
    with pytest.raises(ConfigError, match=re.escape(expected)):
        StackSettings.from_env({"FLYWHEEL_SERVING_PORT": text})


def test_one_port_for_two_parts_is_refused():
    with pytest.raises(
        ConfigError, match=r"MLFLOW_PORT and FLYWHEEL_AIRFLOW_PORT must differ.*8080"
    ):
        StackSettings.from_env({"FLYWHEEL_MLFLOW_PORT": "8080"})


def test_free_ports_differ_and_can_be_bound(tmp_path):
    ports = StackSettings.on_free_ports(tmp_path).ports.values()

    assert len(set(ports)) == 4
    for port in ports:
        with socket.socket() as listener:
            listener.bind((HOST, port))
