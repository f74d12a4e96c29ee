"""A share of the store's answers fails: each publish is there once, and none fails for good.

Delta's client and ours run against moto's S3 server behind a proxy that refuses, resets, or loses
the answer of a write that was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import boto3
import pyarrow as pa
import pytest

from include.errors import ServiceUnavailable
from include.lake.attempts import next_token
from include.lake.table import Lake, LakeTable, Writer
from include.settings import Settings
from scripts.cluster.settings import ClusterSettings
from tests.support.object_stores import object_store
from tests.support.s3_faults import BUSY, LATE, RESET, S3Faults, s3_faults

pytestmark = pytest.mark.slow
SCHEMA = pa.schema([("a", pa.int64())])
WRITERS, EACH, ROWS = 3, 5, 20
ATTEMPTS = 4
"""As many as a task has."""


@pytest.fixture(scope="module")
def store() -> Iterator[S3Faults]:
    with object_store() as url:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        client.create_bucket(Bucket="bucket")
        port = ClusterSettings.free_ports()["FLYWHEEL_S3_PORT"]
        with s3_faults(int(port), int(url.rpartition(":")[2])) as faults:
            yield faults


def lake_at(store: S3Faults, name: str) -> Lake:
    settings = Settings.from_env(
        {
            "FLYWHEEL_LAKE_URI": f"s3://bucket/{name}",
            "AWS_ENDPOINT_URL": store.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }
    )
    return Lake(settings.lake_uri, settings.storage_options())


def table_at(store: S3Faults, name: str) -> LakeTable:
    return lake_at(store, name).table("u", "raw")


def published(table: LakeTable, number: int) -> int:
    """Publish a partition as a task does, with its retries; return the attempts that it took."""
    data = pa.table([[number * 1000 + n for n in range(ROWS)]], schema=SCHEMA)
    for attempt in range(1, ATTEMPTS + 1):
        writer = Writer(f"run {number}", attempt, 10 * number + attempt, "test")
        try:
            table.publish(data, partition=f"p{number:03}", schema=SCHEMA, writer=writer)
        except ServiceUnavailable:
            continue
        return attempt
    raise AssertionError(f"partition {number} failed {ATTEMPTS} times")


@pytest.mark.parametrize(("fault", "share"), [(BUSY, 0.3), (RESET, 0.2), (LATE, 0.3)])
def test_each_publish_is_there_once(store, fault, share):
    table = table_at(store, f"lake_{fault}")
    numbers = range(WRITERS * EACH)
    before = store.caused().get(fault, 0)

    with store.failing(**{fault: share}), ThreadPoolExecutor(WRITERS) as pool:
        attempts = list(pool.map(lambda number: published(table, number), numbers))

    assert store.caused()[fault] - before > 5
    history = table.history()
    for number in numbers:
        rows = table.read([f"p{number:03}"])["a"].to_pylist()
        assert sorted(rows) == [number * 1000 + n for n in range(ROWS)]
        changed = [c for c in history if c["partition"] == f"p{number:03}" and c["changed"]]
        assert len(changed) == 1, f"partition {number} was published {len(changed)} times"
    assert sum(attempts) < 2 * len(attempts)


@pytest.mark.parametrize(("fault", "share"), [(BUSY, 0.3), (RESET, 0.2), (LATE, 0.3)])
def test_an_attempt_gets_a_number_that_rises_at_once(store, fault, share):
    """No task begins without one: a fifth of them would wait for Airflow's retry."""
    lake = lake_at(store, f"counted_{fault}")
    before = store.caused().get(fault, 0)

    with store.failing(**{fault: share}):
        numbers = [next_token(lake, "u") for _ in range(12)]

    assert store.caused()[fault] - before > 5
    assert numbers == sorted(set(numbers))


def test_a_publish_whose_answer_is_lost_is_found_and_not_called_a_conflict(store):
    """Alone in its table: with others at work the lost answer may have been a refusal."""
    table = table_at(store, "alone")

    with store.failing(**{LATE: 0.2}):
        attempts = [published(table, number) for number in range(WRITERS * EACH)]

    assert set(attempts) == {1}
    assert {record["attempt"] for record in table.history()} == {1}
    assert len(table.history()) == WRITERS * EACH


def test_an_append_whose_answer_is_lost_is_there_once(store):
    table = table_at(store, "appended")
    sequences = range(1, 16)

    with store.failing(**{LATE: 0.3}):
        for sequence in sequences:
            data = pa.table([[sequence]], schema=SCHEMA)
            for _ in range(ATTEMPTS):
                try:
                    table.append(
                        data, partition="p", schema=SCHEMA, app_id="r", sequence=sequence, kept=True
                    )
                except ServiceUnavailable:
                    continue
                break

    assert sorted(table.read(["p"])["a"].to_pylist()) == list(sequences)
