"""A landing of more objects than one page of a listing holds, which is 1,000."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from include.ingest_label.landing import Landing
from tests.support.object_stores import object_store

OBJECTS = 1_050
LOGIN = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def full() -> Iterator[tuple[Landing, Any]]:
    """Land 1,050 objects in three months, and one that is no part of the pattern."""
    with object_store() as url:
        landing = Landing("s3://bucket/landing", {**LOGIN, "AWS_ENDPOINT_URL": url})
        client = landing._store.client
        client.create_bucket(Bucket="bucket")
        keys = [f"flights/2013-0{1 + number % 3}/{number:05}.csv" for number in range(OBJECTS)]
        with ThreadPoolExecutor(8) as pool:
            for key in [*keys, "weather/2013-01/a.csv"]:
                pool.submit(client.put_object, Bucket="bucket", Key=f"landing/{key}", Body=b"x")
        yield landing, client


def counted(client: Any) -> list[str]:
    """Note each request that lists."""
    asked: list[str] = []
    client.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: asked.append("list"))
    return asked


def test_all_pages_are_read_and_no_more(full: tuple[Landing, Any]) -> None:
    landing, client = full
    asked = counted(client)
    found = landing.list("flights/{partition}/*.csv").files
    assert {key: len(files) for key, files in found.items()} == {
        f"2013-0{month}": OBJECTS // 3 for month in (1, 2, 3)
    }
    assert len(asked) == 2, "one request for each 1,000 objects"


def test_one_partition_is_looked_at_without_the_others(full: tuple[Landing, Any]) -> None:
    landing, client = full
    asked = counted(client)
    assert len(landing.files("flights/{partition}/*.csv", "2013-02")) == OBJECTS // 3
    assert len(asked) == 1


def test_the_fingerprint_is_of_all_of_them(full: tuple[Landing, Any]) -> None:
    landing, client = full
    before = landing.partitions("flights/{partition}/*.csv")
    last = f"landing/flights/2013-03/{OBJECTS - 1:05}.csv"  # on the second page
    client.put_object(Bucket="bucket", Key=last, Body=b"changed")
    after = landing.partitions("flights/{partition}/*.csv")
    assert {key for key in before if before[key] != after[key]} == {"2013-03"}
