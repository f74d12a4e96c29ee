"""The store of a cluster of plain processes: its login, its proof, and what kill -9 leaves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from include.lake.proof import prove
from scripts.cluster import object_store
from scripts.cluster.settings import ClusterSettings
from scripts.stack.parts import HEALTHY, answers_at
from tests.support.waiting import until

LOGIN = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-the-key"}


@contextmanager
def running(port: str, data: Path) -> Iterator[str]:
    """Run the store, and kill it -9 at the end."""
    process = subprocess.Popen(
        object_store.command(int(port), data),
        env={**os.environ, **LOGIN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: answers_at(f"{url}/healthz") == HEALTHY, within_s=60)
        yield url
    finally:
        process.kill()
        process.wait()


# It says that it is healthy a moment before its volumes are found again: 500 until then.
PATIENT = Config(retries={"mode": "standard", "max_attempts": 8})


def client_of(url: str, secret: str = LOGIN["AWS_SECRET_ACCESS_KEY"]):
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=LOGIN["AWS_ACCESS_KEY_ID"], aws_secret_access_key=secret,
        config=PATIENT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Run it; return its address."""
    port = ClusterSettings.free_ports()["FLYWHEEL_S3_PORT"]
    with running(port, tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.mark.parametrize("versioning", [None, "Enabled"])
def test_it_proves_itself_with_and_without_versioning(store, versioning):
    name = f"proof-{str(versioning).lower()}"
    client = client_of(store)
    client.create_bucket(Bucket=name)
    if versioning:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    options = {**LOGIN, "AWS_ENDPOINT_URL": store, "AWS_REGION": "us-east-1"}

    for _ in range(3):
        prove(f"s3://{name}/lake", {**options, "AWS_ALLOW_HTTP": "true"})

    assert client.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_it_asks_for_the_login_of_the_cluster(store):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client_of(store, secret="another").list_buckets()


def test_objects_are_there_after_a_kill_9_and_other_inner_ports(tmp_path):
    port = ClusterSettings.free_ports()["FLYWHEEL_S3_PORT"]
    with running(port, tmp_path) as url:
        client_of(url).create_bucket(Bucket="bucket")
        client_of(url).put_object(Bucket="bucket", Key="a/b", Body=b"kept")
    with running(port, tmp_path) as url:
        assert client_of(url).get_object(Bucket="bucket", Key="a/b")["Body"].read() == b"kept"
