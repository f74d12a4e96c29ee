"""The hook gives the lake and the landing area that the settings name."""

from __future__ import annotations

import json
from unittest.mock import create_autospec

import boto3
import pyarrow as pa
import pytest

from include.ingest_label.landing import Landing
from include.lake.table import Lake
from plugins.hooks.lake import LakeHook
from tests.support.object_stores import object_store

ROLE = "arn:aws:iam::123456789012:role/flywheel"


def test_folders_below_the_home(home):
    hook = LakeHook()
    assert (hook.lake.uri, hook.landing.uri) == (f"{home}/lake", f"{home}/landing")
    assert hook.lake.storage_options == {}
    assert hook.lake is hook.lake


def test_settings_are_read_when_they_are_needed(monkeypatch, tmp_path):
    hook = LakeHook()
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", str(tmp_path / "other"))
    assert hook.lake.uri == str(tmp_path / "other")


def test_a_store_gets_its_options(monkeypatch):
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", "s3://bucket/lake")
    monkeypatch.setenv("FLYWHEEL_LANDING_URI", "s3://bucket/landing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    lake, landing = create_autospec(Lake), create_autospec(Landing)
    monkeypatch.setattr("include.lake.table.Lake", lake)
    monkeypatch.setattr("include.ingest_label.landing.Landing", landing)

    hook = LakeHook()

    assert hook.lake is lake.return_value
    assert hook.landing is landing.return_value
    for double, address in ((lake, "s3://bucket/lake"), (landing, "s3://bucket/landing")):
        (uri, options), _ = double.call_args
        assert uri == address
        assert options["AWS_ENDPOINT_URL"] == "http://store:9000"


@pytest.fixture(scope="module")
def store():
    """Run a server that speaks S3 and STS, with a bucket; return its address."""
    with object_store() as url:
        login = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **login)
        client.create_bucket(Bucket="bucket")
        yield url


@pytest.fixture
def in_a_bucket(monkeypatch, store):
    """Have lake and landing in a bucket; the environment has no login."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", "s3://bucket/lake")
    monkeypatch.setenv("FLYWHEEL_LANDING_URI", "s3://bucket/landing")
    return store


def connect(monkeypatch, name, **extra):
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


def test_the_connection_gives_login_region_and_endpoint(monkeypatch, in_a_bucket):
    connect(monkeypatch, "aws_default", region_name="eu-west-1", endpoint_url=in_a_bucket)

    found = LakeHook().storage_options

    assert found["AWS_ACCESS_KEY_ID"] == "key"
    assert found["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert found["AWS_REGION"] == "eu-west-1"
    assert found["AWS_ENDPOINT_URL"] == in_a_bucket
    assert found["AWS_ALLOW_HTTP"] == "true"
    assert "max_retries" in found, "the patience with the store stays ours"


def test_a_role_is_assumed_and_its_login_reads_and_writes(monkeypatch, in_a_bucket):
    connect(
        monkeypatch,
        "lake",
        region_name="us-east-1",
        role_arn=ROLE,
        service_config={"s3": {"endpoint_url": in_a_bucket}, "sts": {"endpoint_url": in_a_bucket}},
    )
    hook = LakeHook("lake")

    assert hook.storage_options["AWS_ACCESS_KEY_ID"] != "key", "the role's own key"
    assert hook.storage_options["AWS_SESSION_TOKEN"]
    rows = pa.table({"x": [1, 2]})
    table = hook.lake.table("daily", "requests")
    table.append(rows, partition="2024-01-01", schema=rows.schema, app_id="one", sequence=1)
    assert table.read().num_rows == 2


def test_what_the_environment_says_takes_precedence(monkeypatch, in_a_bucket):
    connect(monkeypatch, "aws_default", region_name="eu-west-1", endpoint_url="http://wrong:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", in_a_bucket)

    assert LakeHook().storage_options["AWS_ENDPOINT_URL"] == in_a_bucket

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    assert LakeHook().storage_options["AWS_ACCESS_KEY_ID"] == "of-the-environment"


def test_without_any_login_the_stores_client_looks_for_itself(monkeypatch, in_a_bucket, tmp_path):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert "AWS_ACCESS_KEY_ID" not in LakeHook("missing").storage_options
