"""Settings: defaults, what the environment overrides, and what is refused."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.errors import ConfigError, SettingsError
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
        use_cases=REPO / "include" / "use_cases",
        serving_host="127.0.0.1",
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


@pytest.mark.parametrize("home", ["~nobody-here/flywheel", "a\0b"])
def test_a_home_that_is_no_path_is_refused(home: str) -> None:
    with pytest.raises(ConfigError, match="FLYWHEEL_HOME: must be a path of a folder, got "):
        Settings.from_env({"FLYWHEEL_HOME": home})


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
    given = {
        "AWS_ACCESS_KEY_ID": "hush",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_SESSION_TOKEN": "hush",
        "FLYWHEEL_LAKE_URI": "s3://b/l",
    }
    settings = Settings.from_env(given)
    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert [settings.storage_options()[name] for name in list(given)[:3]] == ["hush"] * 3
    with pytest.raises(ConfigError) as error:
        Settings.from_env({**given, "FLYWHEEL_MLFLOW_PORT": "x"})
    assert "hush" not in "".join(traceback.format_exception(error.value))


def test_only_from_env_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", "/elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    assert Settings() == Settings.from_env({})


def test_unknown_arguments_are_refused_and_other_variables_are_not() -> None:
    with pytest.raises(ValidationError, match="lake_url"):
        Settings(lake_url="/lake")  # type: ignore[call-arg]
    assert Settings.from_env({"FLYWHEEL_LAKE_URL": "/lake", "HOME": "/root"}) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().lake_uri = "/lake"  # type: ignore[misc]


def test_a_wrong_value_is_told_once_and_so_is_every_other() -> None:
    """The address that is made from the wrong port is no second problem."""
    given = {"FLYWHEEL_MLFLOW_PORT": "http", "FLYWHEEL_SERVING_POLL_S": "0"}
    with pytest.raises(SettingsError) as error:
        Settings.from_env(given)
    assert str(error.value).splitlines() == [
        "environment variable FLYWHEEL_MLFLOW_PORT: must be a port from 1 to 65535, got 'http'. "
        "Correct it, or unset it for 5000.",
        "environment variable FLYWHEEL_SERVING_POLL_S: must be a number of seconds above 0, got "
        "'0'. Correct it, or unset it for 2.0.",
    ]


def test_the_rest_of_the_wheel_reads_its_variables_here() -> None:
    settings = Settings.from_env(
        {
            "FLYWHEEL_USE_CASES": "cases",
            "FLYWHEEL_SERVING_HOST": "0.0.0.0",  # noqa: S104
            "FLYWHEEL_SERVING_POLL_S": "0.25",
            "FLYWHEEL_HOUSEKEEPING_CRON": "*/5 * * * *",
            "FLYWHEEL_WARM_TASKS": "0",
            "FLYWHEEL_CODE_VERSION": "1.2",
        }
    )
    assert (settings.use_cases, settings.serving_host) == (Path("cases"), "0.0.0.0")  # noqa: S104
    assert (settings.serving_poll_s, settings.housekeeping_cron) == (0.25, "*/5 * * * *")
    assert (settings.warm_tasks, settings.code_version) == (False, "1.2")


@pytest.mark.parametrize("text", ["hourly", "* * * *", "60", "* * * * * *"])
def test_a_cron_that_is_none_is_refused(text: str) -> None:
    message = "FLYWHEEL_HOUSEKEEPING_CRON: must be five fields of cron, .* got "
    with pytest.raises(ConfigError, match=message + re.escape(repr(text))):
        Settings.from_env({"FLYWHEEL_HOUSEKEEPING_CRON": text})


@pytest.mark.parametrize("folder", ["include", "plugins", "dags", "scripts"])
def test_nobody_else_reads_a_variable_of_ours(folder: str) -> None:
    """`env` mappings are handed on; a look into `os.environ` by name would bypass `Settings`."""
    direct = re.compile(r"""(environ\.get\(|environ\[|getenv\()["']FLYWHEEL_""")
    found = [str(path) for path in (REPO / folder).rglob("*.py") if direct.search(path.read_text())]
    assert found == [], "add a field to `Settings` in include/settings.py, and read that"


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
