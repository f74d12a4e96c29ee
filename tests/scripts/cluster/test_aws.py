"""Login at AWS by a connection or by the machine's role, and secrets that are kept at AWS."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import boto3
import pytest
from airflow.configuration import initialize_secrets_backends

from include.errors import SettingsError
from include.settings import Settings
from scripts.cluster import env_file
from scripts.cluster.environment import NEEDS, environment
from scripts.cluster.part import prepared
from scripts.cluster.settings import KEY_PAIR, MADE, ClusterSettings, verify_key_of
from tests.support.object_stores import object_store

ROLE = "arn:aws:iam::123456789012:role/flywheel"
BY_ROLE = f"aws://?role_arn={quote(ROLE, safe='')}&region_name=eu-west-1"
AIRFLOW = sorted({*NEEDS} - {"mlflow", "serving", "init", "flower"})
SERVERS = ["api-server", "dag-processor", "scheduler", "triggerer"]


def with_a_connection(**more):
    """Make settings whose parts log in by a connection, with or without a key pair."""
    secrets = {field: make() for field, make in MADE.items() if field not in KEY_PAIR}
    verify_key = verify_key_of(secrets["signing_key_base64"])
    return ClusterSettings(aws_connection=BY_ROLE, verify_key_base64=verify_key, **secrets, **more)


@pytest.mark.parametrize("role", AIRFLOW)
def test_a_connection_takes_the_place_of_the_key_pair(tmp_path, role):
    settings = with_a_connection(aws_access_key_id="a", aws_secret_access_key="b")
    found = environment(role, settings, tmp_path)

    assert found["AIRFLOW_CONN_AWS_DEFAULT"] == BY_ROLE
    assert "AWS_ACCESS_KEY_ID" not in found, "the environment's login would take precedence"
    assert Settings.from_env(found).storage_options()["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9000"


@pytest.mark.parametrize("role", ["mlflow", "serving", "init"])
def test_what_is_no_part_of_airflow_keeps_the_key_pair(tmp_path, role):
    settings = with_a_connection(aws_access_key_id="a", aws_secret_access_key="b")
    assert environment(role, settings, tmp_path)["AWS_SECRET_ACCESS_KEY"] == "b"


@pytest.mark.parametrize("role", NEEDS)
def test_without_a_key_pair_the_machines_role_logs_in(tmp_path, role):
    found = environment(role, with_a_connection(), tmp_path)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & found.keys()


def test_a_container_keeps_what_its_platform_says_of_its_role(tmp_path):
    settings = {**env_of(with_a_connection()), "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
    _, found = prepared("worker", tmp_path, settings)
    assert found["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/token"


def env_of(settings):
    """Return settings as variables, as cluster.env has them."""
    made = {ClusterSettings.variable(name): value for name, value in settings}
    return {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in made.items()
        if value is not None
    }


def test_no_key_pair_is_made_for_a_file_with_a_connection(tmp_path):
    file = tmp_path / "cluster.env"
    file.touch(0o600)
    file.write_text(f"FLYWHEEL_AWS_CONNECTION={BY_ROLE}\n")
    added = env_file.ensure(file)
    assert "FLYWHEEL_REDIS_PASSWORD" in added
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & {*added}


@pytest.mark.parametrize("role", NEEDS)
def test_aws_itself_has_no_endpoint(tmp_path, role):
    """The variable would send requests to STS and Secrets Manager to the store as well."""
    found = environment(role, with_a_connection(aws_endpoint_url="aws"), tmp_path)
    assert not {"AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"} & found.keys()
    assert "endpoint_url" not in json.dumps(found)


# Secrets


def kept_at_aws(backend, **more):
    more = {"secrets_connections": "warehouse|aws_", "secrets_variables": "team_", **more}
    return ClusterSettings.with_secrets(secrets_backend=backend, **more)


@pytest.fixture(scope="module")
def moto():
    """Serve Secrets Manager and the Parameter Store, with a connection and a variable in each."""
    with object_store() as url:
        client = {"endpoint_url": url, "region_name": "us-east-1"}
        client |= {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        manager, store = boto3.client("secretsmanager", **client), boto3.client("ssm", **client)
        for name, value in (
            ("connections/warehouse", "postgres://ada:secret@db:5432/sales"),
            ("variables/team_owner", "ada"),
        ):
            manager.create_secret(Name=f"flywheel/{name}", SecretString=value)
            store.put_parameter(Name=f"/flywheel/{name}", Value=value, Type="SecureString")
        yield url


def backend_of(monkeypatch, settings, tmp_path):
    """Let this process read the api-server's options; return the backend that Airflow makes."""
    found = environment("api-server", settings, tmp_path)
    for name, value in found.items():
        if name.startswith(("AIRFLOW__SECRETS__", "AWS_")):
            monkeypatch.setenv(name, value)
    (backend, *_) = initialize_secrets_backends()
    return backend


BACKENDS = pytest.mark.parametrize("backend", ["secrets-manager", "parameter-store"])


@BACKENDS
def test_airflow_finds_a_connection_and_a_variable_there(monkeypatch, moto, tmp_path, backend):
    settings = kept_at_aws(backend, aws_endpoint_url=moto)
    found = backend_of(monkeypatch, settings, tmp_path)

    connection = found.get_connection("warehouse")
    assert (connection.host, connection.login, connection.password) == ("db", "ada", "secret")
    assert found.get_variable("team_owner") == "ada"
    assert found.get_connection("aws_nothing") is None
    assert found.get_variable("team_nothing") is None


@BACKENDS
def test_the_backend_logs_in_by_the_connections_role(monkeypatch, moto, tmp_path, backend):
    settings = with_a_connection(
        aws_endpoint_url=moto, secrets_backend=backend, secrets_connections="warehouse"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    found = backend_of(monkeypatch, settings, tmp_path)

    login = found.client._request_signer._credentials
    assert login.method == "sts-assume-role"
    assert login.access_key != "of-the-machine"
    assert found.client.meta.region_name == "eu-west-1"


@BACKENDS
def test_other_names_are_not_asked_for(monkeypatch, tmp_path, backend):
    """Nothing listens at the address: a request would take long, and raise."""
    settings = kept_at_aws(backend, aws_endpoint_url="http://127.0.0.1:1")
    found = backend_of(monkeypatch, settings, tmp_path)
    started = time.monotonic()
    assert found.get_connection("flywheel_mlflow") is None
    assert found.get_variable("owner") is None
    assert found.get_config("core/fernet_key") is None
    assert time.monotonic() - started < 0.5
    assert "client" not in vars(found), "not even a client was made"


def test_what_has_no_pattern_is_not_asked_for(monkeypatch, tmp_path):
    settings = kept_at_aws(
        "secrets-manager", aws_endpoint_url="http://127.0.0.1:1", secrets_variables=""
    )
    found = backend_of(monkeypatch, settings, tmp_path)
    assert found.get_variable("team_owner") is None
    assert "client" not in vars(found)


def test_a_backend_without_any_pattern_is_refused(tmp_path):
    settings = kept_at_aws("secrets-manager", secrets_connections="", secrets_variables="")
    with pytest.raises(SettingsError, match="Set FLYWHEEL_SECRETS_CONNECTIONS"):
        environment("api-server", settings, tmp_path)


def test_another_backend_is_refused():
    with pytest.raises(SettingsError, match="must be secrets-manager or parameter-store, got 'x'"):
        ClusterSettings.from_env({"FLYWHEEL_SECRETS_BACKEND": "x"})


@pytest.mark.parametrize("role", NEEDS)
def test_workers_ask_airflows_api_and_need_no_right_to_read_secrets(tmp_path, role):
    found = environment(role, kept_at_aws("secrets-manager"), tmp_path)
    assert ("AIRFLOW__SECRETS__BACKEND" in found) == (role in [*SERVERS, "init"])
    assert "AIRFLOW__WORKERS__SECRETS_BACKEND" not in found
