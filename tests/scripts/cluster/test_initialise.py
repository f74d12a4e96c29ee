"""What the first job of a cluster leaves behind, as far as it needs no Postgres."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from airflow.models.pool import Pool
from airflow.models.variable import Variable

from plugins.operators.base import REVISION
from plugins.phases import PHASES
from scripts.cluster import aws, initialise
from scripts.cluster.settings import ClusterSettings
from scripts.stack import airflow_database
from tests.support.object_stores import object_store


@pytest.fixture
def variables(monkeypatch):
    """Keep Airflow's variables in a dictionary, with the revision of the former start."""
    held = {REVISION: "before", "other": "1"}
    monkeypatch.setattr(
        Variable, "set", lambda key, value, description=None: held.update({key: value})
    )
    monkeypatch.setattr(Variable, "delete", lambda key: held.pop(key, None))
    return held


def test_the_revision_of_an_image_is_what_workers_must_run(variables):
    initialise.announce_revision("abc123")
    assert variables == {REVISION: "abc123", "other": "1"}


def test_where_code_has_no_revision_none_is_asked_of_workers(variables):
    initialise.announce_revision("")
    assert variables == {"other": "1"}


@pytest.mark.parametrize("factor", [1, 3])
def test_pools_have_the_slots_of_their_phases_times_the_factor(monkeypatch, factor):
    made = {}
    monkeypatch.setattr("airflow.utils.db.upgradedb", lambda: None)
    monkeypatch.setattr(
        Pool, "create_or_update_pool", lambda name, slots, *_, **__: made.update({name: slots})
    )

    airflow_database.main(factor)

    assert made == {name: factor * phase.slots for name, phase in PHASES.items()}


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_buckets_are_made_in_their_region_and_once(region):
    """S3 takes no location for us-east-1, and refuses a bucket elsewhere without one."""
    with object_store() as url:
        settings = ClusterSettings.with_secrets(
            aws_endpoint_url=url, aws_region=region, landing_uri="s3://landing/rows"
        )
        for _ in range(2):
            initialise.buckets(settings)
        client = aws.s3_client(settings)

        assert {each["Name"] for each in client.list_buckets()["Buckets"]} == {
            urlsplit(settings.lake_uri).netloc, "landing"
        }  # fmt: skip
