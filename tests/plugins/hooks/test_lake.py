"""The hook gives the lake and the landing area that the settings name."""

from __future__ import annotations

from unittest.mock import create_autospec

from include.ingest_label.landing import Landing
from include.lake.table import Lake
from plugins.hooks.lake import LakeHook


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
