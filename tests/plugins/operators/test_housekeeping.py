"""Sending again what was lost: to whom, how much, and when a person must look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call, create_autospec

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import ServiceUnavailable
from include.housekeeping.lost import Lost
from include.lake.table import Lake, Writer
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators import housekeeping
from plugins.operators.housekeeping import SendLostEventsOperator
from tests.support.champions import crown
from tests.support.tasks import FAILURES, execute, is_small_json, make_context

USE_CASE = "weather_regimes"
KEYS = ["2013-01", "2013-02", "2013-03"]


@pytest.fixture
def api(monkeypatch) -> Mock:
    """Double Airflow's REST API: nothing is paused, active or failed."""
    double: Mock = create_autospec(AirflowApiHook, instance=True)
    double.is_paused.return_value = False
    double.active_keys.return_value = set()
    double.failures_in_a_row.return_value = {}
    monkeypatch.setattr(SendLostEventsOperator, "api", double)
    return double


@pytest.fixture
def lost(stub, registry) -> Mock:
    """Double what is found; by default three months that were not cleaned."""
    registry.aliases.return_value = {}
    return stub("include.housekeeping.lost.find_lost", [missing()])


def missing(asset: str = "raw", phase: str = "validate_clean", keys: Any = KEYS) -> Lost:
    return Lost(asset, phase, {key: f"due: {key}" for key in keys})


def look(**context: Any) -> dict[str, Any]:
    task = SendLostEventsOperator(task_id="send_lost_events", use_case=USE_CASE)
    return execute(task, make_context(run_type="scheduled", **context))


def sent_to(api: Mock) -> list[tuple[str, str]]:
    return [(one.args[0], one.args[1]) for one in api.create_event.mock_calls]


def test_one_event_for_each_key_with_its_reason(api, lost):
    told = look()
    assert sent_to(api) == [("weather_regimes.raw", key) for key in KEYS]
    extra = {"because": "due: 2013-01", "by": "housekeeping"}
    assert api.create_event.mock_calls[0] == call("weather_regimes.raw", "2013-01", extra)
    assert told["sent"][0] == "weather_regimes.raw 2013-01: due: 2013-01"
    assert told["left"] == []
    assert is_small_json(told)
    api.active_keys.assert_called_once_with("weather_regimes__validate_clean")


def test_each_phase_is_asked_about_by_its_own_name(api, lost):
    lost.return_value = [missing(), missing("clean", "feature", ["2013-02"])]
    look()
    dags = ["weather_regimes__validate_clean", "weather_regimes__feature"]
    assert [one.args[0] for one in api.is_paused.mock_calls] == dags
    assert sent_to(api)[-1] == ("weather_regimes.clean", "2013-02")


def test_a_phase_without_keys_has_an_event_without_one(api, lost):
    lost.return_value = [missing("landing", "ingest_label", [""])]
    look()
    assert sent_to(api) == [("weather_regimes.landing", "")]


def test_red_runs_of_ingestion_do_not_end_its_events(api, lost):
    """A run is red when a file was refused; three such landings, and the next would be lost."""
    lost.return_value = [missing("landing", "ingest_label", [""])]
    api.failures_in_a_row.return_value = {"": (3, datetime.now(UTC))}
    look()
    assert sent_to(api) == [("weather_regimes.landing", "")]


def test_nothing_lost_is_skipped(api, lost):
    lost.return_value = []
    with pytest.raises(AirflowSkipException, match="Nothing was lost"):
        look()
    api.is_paused.assert_not_called()


def test_what_is_queued_or_running_is_not_sent_again(api, lost):
    api.active_keys.return_value = {"2013-01", "2013-03"}
    look()
    assert sent_to(api) == [("weather_regimes.raw", "2013-02")]


def test_all_that_is_due_runs_already(api, lost):
    api.active_keys.return_value = set(KEYS)
    with pytest.raises(AirflowSkipException, match="Nothing was lost"):
        look()


def test_a_paused_dag_would_lose_the_event_so_it_is_left_and_said(api, lost):
    api.is_paused.return_value = True
    told = look()
    assert told == {
        "sent": [],
        "left": ["3 due for weather_regimes__validate_clean, which is paused"],
        "out_of_date": [],
    }
    api.create_event.assert_not_called()


@pytest.mark.parametrize(
    ("failures", "hours_ago", "sent"),
    [(1, 0, 3), (2, 0, 3), (3, 0, 2), (3, 23.9, 2), (3, 24.1, 3), (9, 1, 2), (9, 25, 3)],
)
def test_after_three_failures_in_a_row_a_key_is_tried_once_a_day(
    api, lost, failures, hours_ago, sent
):
    """Once a day and not never: a store that was down for a night must not need a person."""
    newest = datetime.now(UTC) - timedelta(hours=hours_ago)
    api.failures_in_a_row.return_value = {"2013-02": (failures, newest)}
    told = look()
    assert api.create_event.call_count == len(told["sent"]) == sent
    again = f"{newest + timedelta(days=1):%Y-%m-%d %H:%M}"
    line = (
        "weather_regimes__validate_clean 2013-02: failed 3 times in a row, tried again after "
        f"{again}, or when you clear it"
    )
    assert told["left"] == ([line] if sent == 2 else [])
    api.failures_in_a_row.assert_called_once_with("weather_regimes__validate_clean")


def test_airflow_is_asked_for_failures_only_where_something_is_to_be_sent(api, lost):
    api.active_keys.return_value = set(KEYS)
    with pytest.raises(AirflowSkipException, match="Nothing was lost"):
        look()
    api.failures_in_a_row.assert_not_called()


def test_one_look_sends_so_many_and_the_next_the_rest(api, lost, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_AT_ONCE", 2)
    told = look()
    assert [key for _, key in sent_to(api)] == KEYS[:2]
    assert told["left"] == ["1 more for weather_regimes__validate_clean, in the next run"]
    api.active_keys.return_value = set(KEYS[:2])
    assert look()["left"] == []
    assert sent_to(api)[-1] == ("weather_regimes.raw", "2013-03")


def test_a_long_reason_is_cut(api, lost):
    lost.return_value = [Lost("raw", "validate_clean", {"2013-01": "x" * 9999})]
    look()
    assert len(api.create_event.call_args.args[2]["because"]) == 500


def test_a_run_with_a_key_or_an_unknown_wish_is_refused(api, lost):
    for how in ({"key": "2013-01"}, {"conf": {"phase": "feature"}}):
        with pytest.raises(
            AirflowFailException, match=r"this Dag has no partition key|does not kn"
        ):
            look(**how)
    api.create_event.assert_not_called()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
@pytest.mark.parametrize(
    "method", ["is_paused", "active_keys", "failures_in_a_row", "create_event"]
)
def test_it_fails_in_airflows_words(api, lost, method, error, seen):
    getattr(api, method).side_effect = error
    with pytest.raises(seen, match=str(error)):
        look()


def test_what_was_sent_before_airflow_went_away_is_not_sent_twice_when_it_runs(api, lost):
    api.create_event.side_effect = [None, ServiceUnavailable("nobody answers")]
    with pytest.raises(ServiceUnavailable):
        look()
    api.create_event.side_effect = None
    api.active_keys.return_value = {"2013-01"}
    look()
    assert [key for _, key in sent_to(api)] == ["2013-01", "2013-02", "2013-02", "2013-03"]


# The aliases


def test_aliases_that_differ_from_the_ledger_are_put_right(api, lost, registry, home):
    crown(home, USE_CASE, version="1")
    promotion = crown(home, USE_CASE, version="2")
    registry.aliases.return_value = {"champion": "1"}
    look()
    registry.follow.assert_called_once_with(USE_CASE, promotion)


@pytest.mark.parametrize(
    "aliases",
    [
        {"champion": "2", "previous": "1"},
        {"champion": "2", "previous": "1", "challenger": "3"},
    ],
)
def test_aliases_that_agree_are_left(api, lost, registry, home, aliases):
    crown(home, USE_CASE, version="1")
    crown(home, USE_CASE, version="2")
    registry.aliases.return_value = aliases
    look()
    registry.follow.assert_not_called()


def test_the_first_champion_has_no_previous_one(api, lost, registry, home):
    crown(home, USE_CASE, version="1")
    registry.aliases.return_value = {"champion": "1", "previous": "9"}
    look()
    registry.follow.assert_not_called()


def test_without_a_champion_no_alias_is_touched(api, lost, registry):
    registry.aliases.return_value = {"champion": "9"}
    look()
    registry.follow.assert_not_called()


# With a real lake


def test_a_lost_event_is_found_in_the_lake_itself(api, registry, home: Path):
    """Raw has two months, and only the first was cleaned from what is there now."""
    from include.due.definitions import DEFINITION, definition_of
    from include.use_cases.loader import get

    registry.versions.return_value = []
    lake = Lake(str(home / "lake"))

    def publish(stage: str, key: str, consumed: dict[str, int] | None = None) -> int:
        data = pa.table({"x": [int(key[-2:])]})
        done = lake.table(USE_CASE, stage).publish(
            data, partition=key, schema=data.schema, writer=Writer("t", 1, 1, "t"),
            consumed=consumed,
        )  # fmt: skip
        return done.partition_version

    versions = {key: publish("raw", key) for key in KEYS[:2]}
    definition = definition_of(get(USE_CASE), "clean")
    publish("clean", KEYS[0], {f"{USE_CASE}.raw": versions[KEYS[0]], DEFINITION: definition})

    told = look()

    assert ("weather_regimes.raw", "2013-02") in sent_to(api)
    assert ("weather_regimes.raw", "2013-01") not in sent_to(api)
    assert ("weather_regimes.clean", "2013-01") in sent_to(api), "its features were not built"
    assert "due: weather_regimes.raw, definition changed" in told["sent"][0]


def test_what_is_out_of_date_is_said_and_nothing_is_sent_for_it(api, lost, home: Path):
    """An edit of the suite alone: two months of `clean` are named, with what changed since."""
    from include.due.definitions import DEFINITION, definition_of
    from include.due.recorded import record_definitions
    from include.use_cases.loader import get

    lost.return_value = []
    lake, use_case = Lake(str(home / "lake")), get(USE_CASE)
    stricter = use_case.validation.model_copy(update={"max_quarantined_share": 0.5})
    before = use_case.model_copy(update={"validation": stricter})
    record_definitions(before, ["clean"], lake, Writer("t", 1, 1, "t"))
    for key in KEYS[:2]:
        for stage, use, made_from in (
            ("raw", use_case, []),
            ("clean", before, [lake.table(USE_CASE, "raw").name]),
        ):
            data = pa.table({"x": [int(key[-2:])]})
            raw = lake.table(USE_CASE, "raw").partition_versions().get(key) or 0
            lake.table(USE_CASE, stage).publish(
                data, partition=key, schema=data.schema, writer=Writer("t", 1, 1, "t"),
                consumed={**dict.fromkeys(made_from, raw), DEFINITION: definition_of(use, stage)},
            )  # fmt: skip

    told = look()

    (line,) = told["out_of_date"]
    assert line.startswith("clean of 2013-01, 2013-02 (made by the definition of 20")
    assert line.endswith(
        "; changed since: validate). Start weather_regimes__rebuild with phase=validate_clean, "
        "first=2013-01, last=2013-02 to make it again"
    )
    assert told["sent"] == told["left"] == []
    api.create_event.assert_not_called()
    assert is_small_json(told)
