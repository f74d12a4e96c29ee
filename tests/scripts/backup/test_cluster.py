"""Postgres and an object store are saved and filled, without the rest of a cluster."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import SecretStr

from include.errors import ConfigError, ServiceUnavailable
from scripts.backup import cluster as backup
from scripts.backup import manifest, trees
from scripts.cluster import initialise, install, parts, services
from scripts.cluster.manager import places
from scripts.cluster.settings import ClusterSettings
from scripts.stack.parts import HEALTHY
from tests.support.object_stores import object_store
from tests.support.waiting import until

LAKE_TABLE = "s3://flywheel/lake/daily/raw"


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    if absent := install.missing():
        pytest.skip(f"{absent} are not installed; `make cluster-install` installs them")


@contextmanager
def running() -> Iterator[ClusterSettings]:
    """Run a Postgres and an object store, with secrets of their own."""
    folder = Path(tempfile.mkdtemp(prefix="flywheel-tests-"))
    folder.chmod(0o711)  # Postgres has a user of its own
    try:
        with object_store() as url:
            port = int(ClusterSettings.free_ports()["FLYWHEEL_POSTGRES_PORT"])
            settings = ClusterSettings.with_secrets(
                cluster_home=folder / "home", postgres_port=port, aws_endpoint_url=url
            )
            place, _ = places(settings)
            services.prepare(settings, place)
            postgres = services.parts(settings, place)[0]
            process = subprocess.Popen(
                postgres.command, env=postgres.environment, cwd="/", stderr=subprocess.DEVNULL
            )
            try:
                assert until(lambda: parts._postgres(settings) == HEALTHY, within_s=60)
                yield settings
            finally:
                process.terminate()
                process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def options(settings: ClusterSettings) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": settings.aws_region,
        "AWS_ACCESS_KEY_ID": settings.secret("aws_access_key_id"),
        "AWS_SECRET_ACCESS_KEY": settings.secret("aws_secret_access_key"),
    }


def client(settings: ClusterSettings) -> Any:
    login = {name.lower(): value for name, value in options(settings).items() if "KEY" in name}
    return boto3.client(
        "s3", endpoint_url=settings.aws_endpoint_url, region_name="us-east-1", **login
    )


def execute(settings: ClusterSettings, name: str, statement: str) -> list[Any]:
    with psycopg.connect(
        host=settings.postgres_host,
        port=settings.postgres_port,
        user=initialise.DATABASES[name],
        password=settings.secret(f"{initialise.DATABASES[name]}_database_password"),
        dbname=name,
    ) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Iterator[tuple[ClusterSettings, Path]]:
    """Make a backup of three databases, a table, an artifact and a landed file."""
    folder = tmp_path_factory.mktemp("backup") / "saved"
    with running() as settings:
        initialise.databases(settings)
        initialise.buckets(settings)
        for name in initialise.DATABASES:
            execute(settings, name, f"CREATE TABLE kept (id serial, name text DEFAULT '{name}')")
            execute(settings, name, "INSERT INTO kept DEFAULT VALUES")
        for value in range(2):
            write_deltalake(
                LAKE_TABLE,
                pa.table({"value": [value]}),
                mode="append",
                storage_options=options(settings),
            )
        put = client(settings).put_object
        put(Bucket="flywheel", Key="mlflow/1/a/model.skops", Body=b"model")
        put(Bucket="flywheel", Key="landing/parts/2024-01-01/a.csv", Body=b"1,2")
        put(Bucket="flywheel", Key="logs/a", Body=b"a log is no part of a backup")
        backup.save(settings, folder)
        yield settings, folder


def test_nothing_of_a_cluster_that_is_in_use_is_given_up_without_a_word(saved):
    settings, folder = saved
    made = manifest.read(folder, "cluster")
    with pytest.raises(ConfigError, match=r"must be empty, and is not.*REPLACE=s3://flywheel/lake"):
        backup.fill(settings, folder, made)
    assert execute(settings, "mlflow", "SELECT name FROM kept") == [("mlflow",)]


def test_with_a_word_it_is_what_it_was_when_it_was_saved(saved):
    settings, folder = saved
    execute(settings, "airflow", "INSERT INTO kept (name) VALUES ('later')")
    execute(settings, "airflow", "CREATE TABLE later ()")
    client(settings).put_object(Bucket="flywheel", Key="lake/daily/later/a", Body=b"x")
    made = manifest.read(folder, "cluster")
    home = settings.cluster_home / "wheel" / "homes" / "serving-1"
    for kept in ("serving/packages/daily/2", "models/daily/2", "trainings/daily"):
        (home / kept).mkdir(parents=True)
    (home / "verify.pem").write_text("a key")
    backup.fill(settings, folder, made, replace="s3://flywheel/lake")
    check(settings)
    assert [each.name for each in home.iterdir()] == ["verify.pem"], "no package of a later 2"
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert execute(settings, "airflow", tables) == [("kept",)]


def test_another_cluster_with_other_passwords_is_filled(saved):
    _, folder = saved
    with running() as settings:
        made = manifest.read(folder, "cluster")
        backup.fill(settings, folder, made)
        check(settings)
        for name in initialise.DATABASES:  # its owner may change what was restored
            execute(settings, name, "INSERT INTO kept DEFAULT VALUES")


def check(settings: ClusterSettings) -> None:
    for name in initialise.DATABASES:
        assert execute(settings, name, "SELECT id, name FROM kept") == [(1, name)]
    rows = DeltaTable(LAKE_TABLE, storage_options=options(settings)).to_pyarrow_table()
    assert sorted(rows["value"].to_pylist()) == [0, 1]
    listed = client(settings).list_objects_v2(Bucket="flywheel")["Contents"]
    keys = {
        each["Key"] for each in listed if not each["Key"].startswith(("lake/daily/raw", "logs"))
    }
    keys -= {"lake/", "landing/", "mlflow/"}  # empty objects that stand for the folders
    assert keys == {"mlflow/1/a/model.skops", "landing/parts/2024-01-01/a.csv"}


@pytest.mark.parametrize(
    ("role", "name"), [("airflow", "mlflow"), ("airflow", "mlflow_users"), ("mlflow", "airflow")]
)
def test_a_role_reaches_its_own_databases_alone(saved, role, name):
    settings, _ = saved
    initialise.databases(settings)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host=settings.postgres_host, port=settings.postgres_port, user=role, dbname=name,
            password=settings.secret(f"{role}_database_password"),
        )  # fmt: skip


def test_the_store_is_reached_as_the_parts_reach_it():
    settings = ClusterSettings.with_secrets(aws_endpoint_url="aws", aws_region="eu-central-1")
    itself = backup._trees(settings)["lake"]._files
    assert itself.region == "eu-central-1"
    assert "'aws'" not in str(itself.__reduce__()), "which stands for AWS's own addresses"

    role = settings.model_copy(
        update={
            "aws_connection": SecretStr("aws://?role_arn=a"),
            "aws_access_key_id": None,
            "aws_secret_access_key": None,
        }
    )
    assert sorted(backup._trees(role)) == ["artifacts", "lake", "landing"], "no key pair is needed"


def test_a_client_of_another_major_version_is_refused(saved, tmp_path, monkeypatch):
    settings, _ = saved
    other = tmp_path / "pg_dump"
    other.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    other.chmod(0o700)
    monkeypatch.setattr(backup, "tool", lambda _: str(other))
    with pytest.raises(ConfigError, match="must be of the server's major version"):
        backup.save(settings, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_server_that_is_older_than_the_backups_is_refused(saved):
    from dataclasses import replace

    settings, folder = saved
    made = replace(manifest.read(folder, "cluster"), postgres="99")
    with pytest.raises(ConfigError, match="was made of Postgres 99, and the server is"):
        backup.fill(settings, folder, made, replace="s3://flywheel/lake")


def test_no_password_is_on_a_command_line(saved, tmp_path, monkeypatch):
    settings, _ = saved
    seen: list[str] = []
    run = subprocess.run

    def noted(command: list[str], **how: Any) -> Any:
        seen.extend(command)
        return run(command, **how)

    monkeypatch.setattr(backup.subprocess, "run", noted)
    backup.save(settings, tmp_path / "saved")
    assert len([each for each in seen if each.endswith(".dump")]) == 3
    assert not [each for each in seen if settings.secret("airflow_database_password") in each]


def test_a_postgres_that_is_away_is_told(saved, tmp_path):
    settings, _ = saved
    away = settings.model_copy(update={"postgres_port": 1})
    with pytest.raises(ServiceUnavailable, match=r"Postgres at 127\.0\.0\.1:1 did not answer"):
        backup.save(away, tmp_path / "saved")


def test_a_store_at_aws_is_reached_by_the_machines_role(monkeypatch):
    """Without an address of its own and without a key pair, as docs/scaling.md offers it."""
    given: list[dict[str, str]] = []
    monkeypatch.setattr(trees.fs, "S3FileSystem", lambda **options: given.append(options))
    settings = ClusterSettings(
        aws_endpoint_url="aws", aws_region="eu-central-1", aws_connection="aws://?role_arn=a"
    )
    backup._trees(settings)
    assert given == [{"region": "eu-central-1"}] * 3


def test_the_env_file_is_copied_apart_from_the_backup(tmp_path):
    file = tmp_path / "cluster.env"
    file.write_text("A=b\n")
    backup.save_keys(file, tmp_path / "keys", tmp_path / "saved")
    copy = tmp_path / "keys" / "cluster.env"
    assert copy.read_text() == "A=b\n"
    assert copy.stat().st_mode & 0o077 == 0
