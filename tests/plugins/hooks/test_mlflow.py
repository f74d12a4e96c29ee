"""The hook gives MLflow's address, and a registry with this stack's keys."""

from __future__ import annotations

import os
from unittest.mock import create_autospec

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.registry.client import Registry
from plugins.hooks.mlflow import MlflowHook


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://mlflow", "http://mlflow"),
        ("https://mlflow.example.com", "https://mlflow.example.com"),
        ("http://ann:s3cret@mlflow:5000", "http://mlflow:5000"),
    ],
)
def test_tracking_uri_is_the_connections(monkeypatch, written, address):
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_MLFLOW", written)
    assert MlflowHook().tracking_uri == address


def test_the_login_goes_to_mlflows_client_and_not_into_the_address(monkeypatch, home):
    login, password = "ann@example.com", "p/w:with @?#%"
    known = Connection(
        conn_id="c", conn_type="http", host="mlflow", port=5000, login=login, password=password
    )
    monkeypatch.setattr(MlflowHook, "get_connection", lambda self, name: known)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "another")

    hook = MlflowHook()

    assert hook.registry.tracking_uri == hook.tracking_uri == "http://mlflow:5000"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == (
        login, password,
    )  # fmt: skip


def test_a_connection_of_another_name(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_MLFLOW", "http://wrong:1")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "http://right:2")
    assert MlflowHook("other").tracking_uri == "http://right:2"


def test_a_missing_connection_is_named(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_FLYWHEEL_MLFLOW", raising=False)
    with pytest.raises(AirflowNotFoundException, match="flywheel_mlflow"):
        _ = MlflowHook().tracking_uri


def test_the_registry_has_this_stacks_keys_and_cache(monkeypatch, home):
    double = create_autospec(Registry)
    monkeypatch.setattr("include.registry.client.Registry", double)
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_MLFLOW", "http://mlflow:5000")
    monkeypatch.setenv("FLYWHEEL_VERIFY_KEY", "/elsewhere/verify.pem")

    hook = MlflowHook()

    assert hook.registry is double.return_value
    assert hook.registry is hook.registry
    (address,), given = double.call_args
    assert address == "http://mlflow:5000"
    assert {name: str(path) for name, path in given.items()} == {
        "login": "None",
        "signing_key": f"{home}/keys/signing.pem",
        "verify_key": "/elsewhere/verify.pem",
        "cache": f"{home}/models",
    }
    assert double.call_count == 1
