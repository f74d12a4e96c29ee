"""The server of these tests keeps Delta's commits, as a real store must."""

from __future__ import annotations

import threading
import time

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from include.errors import ServiceUnavailable
from include.lake.proof import prove
from tests.support.moto_server import one_at_a_time
from tests.support.object_stores import object_store

WRITERS = 6


@pytest.fixture(scope="module")
def options():
    """Run the server; how to reach it."""
    with object_store() as url:
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }


def bucket_of(options, name, versioning=None):
    client = boto3.client(
        "s3",
        endpoint_url=options["AWS_ENDPOINT_URL"],
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=name)
    if versioning:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return client


@pytest.mark.parametrize("versioning", [None, "Enabled"])
def test_it_proves_itself_with_and_without_versioning_and_nothing_stays(options, versioning):
    name = f"proof-{str(versioning).lower()}"
    client = bucket_of(options, name, versioning)

    for _ in range(3):
        prove(f"s3://{name}/lake", options)

    assert client.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_a_missing_bucket_is_told(options):
    with pytest.raises(ServiceUnavailable, match="NoSuchBucket"):
        prove("s3://missing/lake", options)


def test_concurrent_appends_are_all_kept(options):
    bucket_of(options, "appends")
    uri = "s3://appends/table"
    write_deltalake(uri, pa.table({"x": [-1]}), storage_options=options)
    start = threading.Barrier(WRITERS)

    def append(number):
        start.wait()
        write_deltalake(uri, pa.table({"x": [number]}), mode="append", storage_options=options)

    threads = [threading.Thread(target=append, args=[number]) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    table = DeltaTable(uri, storage_options=options)
    assert sorted(table.to_pyarrow_table()["x"].to_pylist()) == list(range(-1, WRITERS))


def test_no_two_requests_are_inside_at_once():
    inside, most = [], []

    def application(environ, start_response):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return [b"a", b"b"]

    answer = one_at_a_time(application)
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(answer({}, None))) for _ in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 1
    assert found == [b"ab"] * WRITERS
