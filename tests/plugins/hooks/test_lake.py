"""The hook gives the lake and the landing area that the settings name."""

from __future__ import annotations

import json
from unittest.mock import create_autospec

import boto3
import pyarrow as pa
import pytest

from include.ingest_label.landing import Landing
from include.lake import log
from include.lake import store as lake_store
from include.lake.table import Lake
from include.settings import current
from plugins.hooks.lake import LakeHook
from tests.support.object_stores import object_store

ROLE = "arn:aws:iam::123456789012:role/flywheel"


def test_folders_below_the_home(home):
    hook = LakeHook()
    assert (hook.lake.uri, hook.landing.uri) == (f"{home}/lake", f"{home}/landing")
    assert current(hook.lake.storage_options) == {}
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


def options(lake_conn_id=None):
    return current(LakeHook(lake_conn_id).lake.storage_options)


def connect_to_a_role(monkeypatch, name, store, **extra):
    services = {name: {"endpoint_url": store} for name in ("s3", "sts")}
    connect(
        monkeypatch, name, region_name="us-east-1", role_arn=ROLE, service_config=services, **extra
    )


def test_the_connection_gives_login_region_and_endpoint(monkeypatch, in_a_bucket):
    connect(monkeypatch, "aws_default", region_name="eu-west-1", endpoint_url=in_a_bucket)

    found = options()

    assert found["AWS_ACCESS_KEY_ID"] == "key"
    assert found["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert found["AWS_REGION"] == "eu-west-1"
    assert found["AWS_ENDPOINT_URL"] == in_a_bucket
    assert found["AWS_ALLOW_HTTP"] == "true"
    assert "max_retries" in found, "the patience with the store stays ours"


def test_a_role_is_assumed_and_its_login_reads_and_writes(monkeypatch, in_a_bucket):
    connect_to_a_role(monkeypatch, "lake", in_a_bucket)
    hook = LakeHook("lake")

    found = current(hook.lake.storage_options)
    assert found["AWS_ACCESS_KEY_ID"] != "key", "the role's own key"
    assert found["AWS_SESSION_TOKEN"]
    rows = pa.table({"x": [1, 2]})
    table = hook.lake.table("daily", "requests")
    table.append(rows, partition="2024-01-01", schema=rows.schema, app_id="one", sequence=1)
    assert table.read().num_rows == 2


def test_what_the_environment_says_takes_precedence(monkeypatch, in_a_bucket):
    connect(monkeypatch, "aws_default", region_name="eu-west-1", endpoint_url="http://wrong:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", in_a_bucket)

    assert options()["AWS_ENDPOINT_URL"] == in_a_bucket

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    assert options()["AWS_ACCESS_KEY_ID"] == "of-the-environment"


def test_without_any_login_the_stores_client_looks_for_itself(monkeypatch, in_a_bucket, tmp_path):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert "AWS_ACCESS_KEY_ID" not in options("missing")


def test_a_login_that_expires_is_renewed_while_the_task_goes_on(monkeypatch, in_a_bucket):
    """Of 15 minutes, the shortest session there is: all of it is the time of renewal."""
    connect_to_a_role(
        monkeypatch, "short", in_a_bucket, assume_role_kwargs={"DurationSeconds": 900}
    )
    used = []

    def noted(options):
        found = current(options)
        used.append((found["AWS_ACCESS_KEY_ID"], found["AWS_SESSION_TOKEN"]))
        return found

    for module in (log, lake_store):
        monkeypatch.setattr(module, "current", noted)
    hook = LakeHook("short", "short")
    rows = pa.table({"x": [1]})
    table = hook.lake.table("renewed", "requests")
    for number in (1, 2, 3):
        table.append(rows, partition="p", schema=rows.schema, app_id="one", sequence=number)
    assert table.read().num_rows == 3
    assert len({key for key, _ in used}) == len(set(used)) >= 3, "each key with its own token"

    first = hook.landing._store.client
    assert hook.landing._store.client is not first, "a client with the new login"
    assert hook.landing.partitions("flights/{partition}/*.csv") == {}


def test_a_login_that_stays_is_taken_once(monkeypatch, in_a_bucket):
    connect_to_a_role(monkeypatch, "aws_default", in_a_bucket)
    hook = LakeHook()
    assert len({current(hook.lake.storage_options)["AWS_ACCESS_KEY_ID"] for _ in range(3)}) == 1
    assert hook.landing._store.client is hook.landing._store.client


def test_lake_and_landing_may_have_connections_of_their_own(monkeypatch, in_a_bucket):
    """Files land in someone else's bucket, and the environment's login is for ours."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", in_a_bucket)
    monkeypatch.setenv("FLYWHEEL_LANDING_AWS_CONN_ID", "theirs")
    connect(monkeypatch, "theirs", region_name="eu-west-1", endpoint_url="http://theirs:1")

    hook = LakeHook()
    assert current(hook.lake.storage_options)["AWS_ACCESS_KEY_ID"] == "ours"
    client = hook.landing._store.client
    assert client._request_signer._credentials.access_key == "key"
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://theirs:1", "eu-west-1")


@pytest.mark.parametrize("by", ["a profile", "a web identity"])
def test_a_profile_and_a_web_identity_log_in(monkeypatch, in_a_bucket, tmp_path, by):
    """Both are the provider's: here is tried that what they give reaches the store."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    login = "[lake]\naws_access_key_id = of-the-profile\naws_secret_access_key = secret\n"
    (tmp_path / "credentials").write_text(login)
    extra = {"endpoint_url": in_a_bucket, "region_name": "us-east-1"}
    if by == "a web identity":
        (tmp_path / "token").write_text("a.b.c")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", in_a_bucket)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    else:
        extra["profile_name"] = "lake"
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", "extra": extra}))

    hook = LakeHook("lake")
    found = current(hook.lake.storage_options)
    assert (found["AWS_ACCESS_KEY_ID"] == "of-the-profile") == (by == "a profile")
    assert ("AWS_SESSION_TOKEN" in found) == (by == "a web identity")
    rows = pa.table({"x": [1]})
    table = hook.lake.table(by.replace(" ", "_"), "requests")
    table.append(rows, partition="p", schema=rows.schema, app_id="one", sequence=1)
    assert table.read().num_rows == 1
