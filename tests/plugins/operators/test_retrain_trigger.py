"""Deciding and asking: a no is skipped with its reasons, and a person's word counts."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.due.definitions import DEFINITION, definition_of
from include.lake.table import Lake, Writer
from include.retrain_trigger.facts import Decision
from include.use_cases.loader import get
from plugins.operators.retrain_trigger import DecideRetrainingOperator, RequestTrainingOperator
from tests.support.champions import crown
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

USE_CASE, KEY = "weather_regimes", "2013-02"
YES = Decision(True, KEY, ["no champion yet"], {"training_set": "a"})
NO = Decision(False, KEY, ["cooling down"], {"training_set": "a"}, "1")
TOKENS = count(1)


@pytest.fixture
def library(stub, registry):
    """Put doubles in the place of deciding and recording."""
    return stub("include.retrain_trigger.gather.decide", NO), stub(
        "include.retrain_trigger.records.record", None
    )


def decide(key: str | None = KEY, **context: Any) -> dict[str, Any]:
    context = {"run_type": "asset_triggered", "ask": False, **context}
    task = DecideRetrainingOperator(task_id="d", use_case=USE_CASE)
    return execute(task, make_context(key=key, **context))


@pytest.mark.parametrize("decision", [YES, NO])
def test_the_decision_is_recorded_and_passed_on(library, registry, decision):
    decider, recorder = library
    decider.return_value = decision
    returned = decide()
    assert (returned["ask"], returned["as_of"], returned["reasons"]) == (
        decision.ask,
        decision.as_of,
        decision.reasons,
    )
    assert is_small_json(returned)
    recorder.assert_called_once_with(ANY, decision, ANY, ANY)
    (config, key, lake, given, champion), more = decider.call_args
    assert (config.name, key, champion) == (USE_CASE, KEY, None)
    assert isinstance(lake, Lake)
    assert given is registry
    assert more["run_id"] == recorder.call_args.args[3].run_id, "a retry finds its own decision"


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_run_without_a_key_fails_with_words(library, run_type):
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        decide(None, run_type=run_type)
    library[1].assert_not_called()


# Before the first champion


def test_before_the_first_champion_earlier_phases_that_run_are_waited_for(library):
    """What they bring belongs into the first training; a monitor that runs does not count."""
    decide(
        active={
            f"{USE_CASE}__validate_clean": 3,
            f"{USE_CASE}__feature": 0,
            f"{USE_CASE}__drift_monitor": 9,
            "air_time__feature": 9,
        }
    )
    assert library[0].call_args.kwargs["active"] == [f"{USE_CASE}__validate_clean"]


def test_with_a_champion_nothing_is_waited_for(library, home):
    champion = crown(home, USE_CASE, version="4")
    decide(run_type="manual", active={f"{USE_CASE}__validate_clean": 3})
    assert library[0].call_args.kwargs["active"] == []
    assert library[0].call_args.args[4] == champion


# With a champion


def monitor(home: Path, key: str = KEY, number: int = 1) -> int:
    """Publish a monitored partition; returns the version of its content."""
    return _publish(home, "monitoring", key, number, {})


def decided(home: Path, version: int, key: str = KEY) -> None:
    """Publish a decision on what was monitored."""
    made_from = {
        f"{USE_CASE}.monitoring": version,
        DEFINITION: definition_of(get(USE_CASE), "decisions"),
    }
    _publish(home, "decisions", key, 1, made_from)


def _publish(home: Path, stage: str, key: str, number: int, consumed: dict[str, int]) -> int:
    data, writer = pa.table({"x": [number]}), Writer("test", 1, next(TOKENS), "test")
    table = Lake(str(home / "lake")).table(USE_CASE, stage)
    published = table.publish(
        data, partition=key, schema=data.schema, writer=writer, consumed=consumed
    )
    return published.partition_version


def test_what_was_monitored_is_decided_on_once(library, home):
    crown(home, USE_CASE)
    version = monitor(home)
    assert decide()["reasons"] == ["cooling down"]
    decided(home, version)
    with pytest.raises(AirflowSkipException, match=r"Decision on 2013-02: up to date: made from"):
        decide()
    monitor(home, number=2)
    assert decide()["reasons"] == ["cooling down"]


@pytest.mark.parametrize(
    "how", [{"run_type": "manual"}, {"run_type": "asset_materialization"}, {"clear_number": 1}]
)
def test_a_person_has_it_decided_again(library, home, how):
    crown(home, USE_CASE)
    decided(home, monitor(home))
    assert decide(**how)["reasons"] == ["cooling down"]


def test_labels_that_come_before_the_monitor_has_looked_decide_nothing(library, home):
    crown(home, USE_CASE, version="4")
    monitor(home, "2013-01")
    with pytest.raises(
        AirflowSkipException,
        match="Champion 4 serves, and 2013-02 has not been monitored: the monitor's report decides",
    ):
        decide()
    library[0].assert_not_called()


@pytest.fixture
def new_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the use case the signal `new_labels`."""
    config = get(USE_CASE)
    retrain = config.retrain.model_copy(update={"when": ["new_labels"]})
    changed = config.model_copy(update={"retrain": retrain})
    monkeypatch.setattr(DecideRetrainingOperator, "config", changed)


@pytest.mark.usefixtures("new_labels")
def test_labels_of_a_partition_that_the_champion_knows_are_decided_on(library, home):
    """It was learned from before it could be scored, so no monitor ever looks at it."""
    crown(home, USE_CASE, as_of=KEY, known_up_to=KEY)
    assert decide()["reasons"] == ["cooling down"]
    with pytest.raises(AirflowSkipException, match="2013-03 has not been monitored"):
        decide("2013-03")


def test_a_retry_finds_its_decision_and_a_cleared_run_decides_anew(library):
    decider, recorder = library
    ids = []
    for how in ({}, {"attempt": 2}, {"attempt": 3, "clear_number": 1}, {"clear_number": 2}):
        decide(**how)
        ids.append(decider.call_args.kwargs["run_id"])
        assert recorder.call_args.args[3].run_id == ids[-1]
    assert ids[0] == ids[1] == "weather_regimes__test/manual__1/do/3"
    assert ids[2:] == [f"{ids[0]}#1", f"{ids[0]}#2"]


# A person asks


def test_a_person_asks_against_the_signals_and_that_is_recorded(library):
    _, recorder = library
    returned = decide(ask=True, run_type="manual", user="ann")
    assert (returned["ask"], returned["as_of"]) == (True, KEY)
    assert returned["reasons"] == ["asked for by ann, against:", "cooling down"]
    recorded = recorder.call_args.args[1]
    assert (recorded.ask, recorded.reasons) == (True, returned["reasons"])
    assert recorded.signals == NO.signals | {"person": {"fires": True, "who": "ann"}}


def test_a_person_who_asks_for_what_is_due_anyway_changes_nothing(library):
    decider, recorder = library
    decider.return_value = YES
    assert decide(ask=True, run_type="manual")["reasons"] == ["no champion yet"]
    assert recorder.call_args.args[1] == YES


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_deciding_fails_in_airflows_words(library, which, error, seen):
    library[which].side_effect = error
    with pytest.raises(seen, match=str(error)):
        decide()


def request(decision: dict[str, Any]) -> dict[str, Any]:
    context = make_context()
    task = RequestTrainingOperator(
        task_id="r", use_case="weather_regimes", decision=decision, outlets=[OUTLET]
    )
    assert execute(task, context) is None
    return context


def test_a_request_carries_the_as_of_partition_and_few_reasons():
    reasons = [f"reason {number}" for number in range(9)]
    context = request({"ask": True, "as_of": "2013-02", "reasons": reasons})
    assert emitted(context) == ({"2013-02"}, {"partition": "2013-02", "reasons": reasons[:5]})


def test_a_no_is_skipped_with_its_reasons():
    with pytest.raises(AirflowSkipException, match="cooling down; budget spent"):
        request({"ask": False, "as_of": "2013-02", "reasons": ["cooling down", "budget spent"]})
