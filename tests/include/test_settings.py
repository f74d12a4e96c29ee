"""Settings: defaults, what the environment overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import ConfigError
from include.settings import REPO, Settings


def test_defaults_are_below_the_home_folder() -> None:
    settings = Settings.from_env({})
    home = REPO / ".flywheel"
    assert settings == Settings(
        home=home,
        landing_uri=f"{home}/landing",
        lake_uri=f"{home}/lake",
        tracking_uri="http://127.0.0.1:5000",
        serving_url="http://127.0.0.1:8000",
        optuna_storage=f"sqlite:///{home}/optuna.db",
        signing_key=home / "keys/signing.pem",
        verify_key=home / "keys/verify.pem",
    )
    assert (REPO / "pyproject.toml").is_file()


def test_every_setting_can_be_given(tmp_path: Path) -> None:
    given = {
        "FLYWHEEL_HOME": str(tmp_path),
        "FLYWHEEL_LANDING_URI": "s3://b/landing",
        "FLYWHEEL_LAKE_URI": "s3://b/lake",
        "MLFLOW_TRACKING_URI": "http://mlflow:1",
        "FLYWHEEL_SERVING_URL": "http://serving:2",
        "FLYWHEEL_OPTUNA_STORAGE": "postgresql://o",
        "FLYWHEEL_SIGNING_KEY": "/k/s",
        "FLYWHEEL_VERIFY_KEY": "/k/v",
    }
    settings = Settings.from_env(given)
    assert [
        str(settings.home),
        settings.landing_uri,
        settings.lake_uri,
        settings.tracking_uri,
        settings.serving_url,
        settings.optuna_storage,
        str(settings.signing_key),
        str(settings.verify_key),
    ] == list(given.values())


def test_ports_are_read_and_an_empty_variable_is_not_set() -> None:
    settings = Settings.from_env(
        {"FLYWHEEL_MLFLOW_PORT": "5001", "FLYWHEEL_SERVING_PORT": "8001", "FLYWHEEL_HOME": ""}
    )
    assert settings.tracking_uri == "http://127.0.0.1:5001"
    assert settings.serving_url == "http://127.0.0.1:8001"
    assert settings.home == REPO / ".flywheel"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.0"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match=f"FLYWHEEL_MLFLOW_PORT: must be a port .* got '{port}'"):
        Settings.from_env({"FLYWHEEL_MLFLOW_PORT": port})


def test_the_environment_is_read_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", "/elsewhere")
    assert Settings.from_env().lake_uri == "/elsewhere"


def test_storage_options_are_for_s3_only_and_carry_no_other_variable() -> None:
    aws = {"AWS_ENDPOINT_URL": "http://m:1", "AWS_ALLOW_HTTP": "true", "AWS_PROFILE": "x"}
    assert Settings.from_env({**aws, "FLYWHEEL_LAKE_URI": "/folder"}).storage_options() == {}
    landing = Settings.from_env({**aws, "FLYWHEEL_LANDING_URI": "s3://b/l"}).storage_options()
    options = Settings.from_env({**aws, "FLYWHEEL_LAKE_URI": "s3://b/l"}).storage_options()
    assert landing == options
    assert options == {
        "AWS_ENDPOINT_URL": "http://m:1",
        "AWS_ALLOW_HTTP": "true",
        "max_retries": "5",
        "retry_timeout": "30s",
    }


def test_secrets_are_not_shown() -> None:
    settings = Settings.from_env({"AWS_SECRET_ACCESS_KEY": "hush"})
    assert "hush" not in repr(settings)
    assert settings.s3_environment["AWS_SECRET_ACCESS_KEY"] == "hush"


def test_seconds_between_looks_at_the_landing() -> None:
    assert Settings.from_env({}).landing_poll_s == 0.5
    for text, seconds in (("0.1", 0.1), ("30", 30.0), ("3600", 3600.0), ("", 0.5)):
        assert Settings.from_env({"FLYWHEEL_LANDING_POLL_S": text}).landing_poll_s == seconds


@pytest.mark.parametrize("text", ["0", "0.09", "3601", "-1", "nan", "inf", "half", "1,5"])
def test_seconds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"FLYWHEEL_LANDING_POLL_S: must be a number of seconds from 0.1 to 3600, got "
        rf"'{text}'. Correct it, or unset it for 0.5.",
    ):
        Settings.from_env({"FLYWHEEL_LANDING_POLL_S": text})
