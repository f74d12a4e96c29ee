"""A look finds what is wrong, and each channel hears of it once, whatever the others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest

from include.errors import ConfigError, ServiceUnavailable
from include.lake.table import Lake
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.hooks.serving import ServingHook
from plugins.operators import alerts
from plugins.operators.alerts import RaiseAlertsOperator
from tests.support.champions import crown
from tests.support.tasks import FAILURES, execute, is_small_json, make_context

USE_CASE = "weather_regimes"
FAILED = "validate_clean has failed for 2013-02."


@pytest.fixture(autouse=True)
def api(monkeypatch) -> Mock:
    """Double Airflow's REST API: nothing has failed."""
    double: Mock = create_autospec(AirflowApiHook, instance=True)
    double.dags_with_failed_runs.return_value = set()
    monkeypatch.setattr(alerts, "AirflowApiHook", lambda: double)
    return double


@pytest.fixture(autouse=True)
def serving(monkeypatch) -> Mock:
    double: Mock = create_autospec(ServingHook, instance=True)
    double.served_version.return_value = "1"
    monkeypatch.setattr(alerts, "ServingHook", lambda: double)
    monkeypatch.setattr(alerts, "BETWEEN_S", 0.0)
    return double


class Sent(list[tuple[str, str]]):
    """What two channels got; one of them may be `down`."""

    down = False

    def to_mail(self, message, owner) -> None:
        self.append(("mail", message.subject))

    def to_hook(self, message, owner) -> None:
        if self.down:
            raise OSError("POST https://hooks.example.com/S3cret: refused")
        self.append(("hook", message.text))


@pytest.fixture
def sent(monkeypatch) -> Sent:
    got = Sent()
    both = {"mail": got.to_mail, "hook": got.to_hook}
    monkeypatch.setattr("plugins.hooks.alerts.channels", lambda: both)
    return got


def look() -> dict[str, Any]:
    task = RaiseAlertsOperator(task_id="raise_alerts", use_case=USE_CASE)
    return execute(task, make_context(run_type="scheduled"))


def fail(api: Mock, *keys: str) -> None:
    api.dags_with_failed_runs.return_value = {f"{USE_CASE}__validate_clean"}
    api.failures_in_a_row.return_value = dict.fromkeys(keys, (1, None))


def test_where_nothing_is_wrong_nothing_is_written_or_sent(sent, home):
    assert look() == {"open": [], "sent": []}
    assert sent == []
    assert not Lake(str(home / "lake")).table(USE_CASE, "incidents").exists()


def test_a_failed_phase_is_told_once_to_each_and_again_when_it_is_over(api, sent):
    fail(api, "2013-02")
    told = look()
    assert is_small_json(told)
    assert [one.split("/")[:2] for one in told["open"]] == [["phase_failed", "validate_clean"]]
    mail, hook = sent
    assert mail == ("mail", "[Flywheel] weather_regimes: a phase has failed")
    for words in (FAILED, "/dags/weather_regimes__validate_clean", "runbooks/phase_failed.md"):
        assert words in hook[1]
    assert look()["sent"] == []
    fail(api, "2013-02", "2013-03")
    assert look()["sent"] == [], "other words are no other incident"
    fail(api)
    assert len(look()["sent"]) == 2
    assert sent[2] == ("mail", "[Flywheel] weather_regimes: over: a phase has failed")
    assert look() == {"open": [], "sent": []}


def test_a_channel_that_is_down_makes_red_without_its_secret_and_gets_it_later(api, sent):
    fail(api, "2013-02")
    sent.down = True
    with pytest.raises(ServiceUnavailable, match="not taken by hook: OSError") as caught:
        look()
    assert "S3cret" not in str(caught.value)
    assert [channel for channel, _ in sent] == ["mail"]
    sent.down = False
    assert len(look()["sent"]) == 1
    assert [channel for channel, _ in sent] == ["mail", "hook"]


def test_what_a_connection_lacks_is_told(api, monkeypatch):
    def lacks(message, owner) -> None:
        raise ConfigError("Airflow connection x: its extra must have `from_email`. Add it.")

    fail(api, "2013-02")
    monkeypatch.setattr("plugins.hooks.alerts.channels", lambda: {"x": lacks})
    with pytest.raises(ServiceUnavailable, match="its extra must have `from_email`"):
        look()


def test_without_a_channel_it_is_written_for_the_page(api, monkeypatch):
    fail(api, "2013-02")
    assert len(look()["open"]) == 1


def test_a_phase_of_its_own_is_not_told(api, sent):
    api.dags_with_failed_runs.return_value = {f"{USE_CASE}__housekeeping"}
    api.failures_in_a_row.return_value = {"": (3, None)}
    assert look() == {"open": [], "sent": []}


def test_serving_is_away_when_it_does_not_answer_three_times(serving, sent, home: Path):
    crown(home, USE_CASE)
    away = ServiceUnavailable("Serving must answer with its version, got HTTP 500: S3cret row")
    serving.served_version.side_effect = [away, away, "1"]
    assert [one.split("/")[0] for one in look()["open"]] == []
    serving.served_version.side_effect = away
    assert [one.split("/")[0] for one in look()["open"]] == ["serving_away"]
    assert ("mail", "[Flywheel] weather_regimes: a new model serves") in sent
    (told,) = [text for to, text in sent if to == "hook" and "Serving must" in text]
    assert "got HTTP 500" in told
    assert "S3cret" not in told


@pytest.mark.parametrize(("error", "expected"), FAILURES)
def test_what_fails_at_the_lake_fails_the_task(stub, error, expected):
    stub("include.overview.card.card_of", error)
    with pytest.raises(expected):
        look()
