"""The address that a connection names, whichever of Airflow's ways it was written in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from plugins.hooks.address import address_of


def connection(**parts: Any) -> Connection:
    return Connection(conn_id="x", **{"conn_type": "http", **parts})


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        ({}, "http://127.0.0.1"),
        ({"host": "mlflow"}, "http://mlflow"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "http://mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "https://mlflow.example.com"}, "https://mlflow.example.com"),
        ({"host": "mlflow", "schema": "https", "port": 5000}, "https://mlflow:5000"),
        ({"host": "http://mlflow", "schema": "https"}, "http://mlflow"),
        ({"host": "mlflow", "conn_type": "https"}, "https://mlflow"),
        ({"host": "https://one.example.com/mlflow", "port": 8443}, "https://one.example.com:8443/mlflow"),
        ({"host": "https://one.example.com/"}, "https://one.example.com"),
    ],
)  # fmt: skip
def test_address(parts, address):
    assert address_of(connection(**parts)) == address


def test_the_login_stays_out():
    known = connection(host="mlflow", port=5000, login="ann", password="s3cret")
    assert address_of(known) == "http://mlflow:5000"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        # Airflow reads the scheme of a URI as the connection's type: https must stay https.
        ("https://mlflow.example.com", "https://mlflow.example.com"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("http://mlflow:5000/https", "https://mlflow:5000"),
        ("http://https%3A%2F%2Fmlflow.example.com", "https://mlflow.example.com"),
        (json.dumps({"conn_type": "http", "host": "https://m.example.com"}), "https://m.example.com"),
    ],
)  # fmt: skip
def test_as_written_in_the_environment(monkeypatch, text, address):
    from airflow.sdk.bases.hook import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_SOMEWHERE", text)
    assert address_of(BaseHook.get_connection("somewhere")) == address
