"""The demo's landing: months go into a folder, or into a bucket, once."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from include.errors import ServiceUnavailable
from include.settings import Settings
from scripts.demo.landing import DemoLanding
from tests.support.object_stores import object_store

LOGIN = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
FILES = {"flights/2013-01/flights.csv", "weather/2013-01/weather.csv", "planes/planes.csv"}


def settings_of(home: Path, url: str) -> Settings:
    landing = {"FLYWHEEL_LANDING_URI": "s3://bucket/some/landing", "AWS_ENDPOINT_URL": url}
    return Settings.from_env({"FLYWHEEL_HOME": str(home), **landing, **LOGIN})


def test_in_a_folder_it_lands_there(tmp_path):
    settings = Settings.from_env({"FLYWHEEL_HOME": str(tmp_path)})
    DemoLanding(settings).land("2013-01", outcomes_of=None)
    landed = Path(settings.landing_uri)
    assert {file.relative_to(landed).as_posix() for file in landed.rglob("*.csv")} == FILES


def test_in_a_bucket_each_file_lands_once(tmp_path):
    with object_store() as url:
        settings = settings_of(tmp_path, url)
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        client.create_bucket(Bucket="bucket")

        def objects():
            found = client.list_objects_v2(Bucket="bucket").get("Contents", [])
            return {item["Key"]: item["LastModified"] for item in found}

        DemoLanding(settings).land("2013-01", outcomes_of=None)
        first = objects()
        assert first.keys() == {f"some/landing/{name}" for name in FILES}

        again = DemoLanding(settings)  # the demo is run a second time
        again.land("2013-01", outcomes_of="2013-01")
        second = objects()
        assert second.keys() - first.keys() == {"some/landing/flight_outcomes/2013-01/outcomes.csv"}
        assert {key: second[key] for key in first} == first

        client.delete_object(Bucket="bucket", Key="some/landing/planes/planes.csv")
        again.land("2013-01", outcomes_of=None)  # the store has lost it
        assert objects().keys() == second.keys()


def test_a_store_that_does_not_answer_is_named(tmp_path):
    settings = settings_of(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable, match=r"s3://bucket/some/landing: .*cluster-status"):
        DemoLanding(settings).land("2013-01", outcomes_of=None)
