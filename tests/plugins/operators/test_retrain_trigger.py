"""Deciding and asking: a no is skipped with its reasons, and a person's word counts."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.lake.table import Lake
from include.retrain_trigger.decide import Decision
from plugins.operators.retrain_trigger import DecideRetrainingOperator, RequestTrainingOperator
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

YES = Decision(True, "2013-02", ["no champion yet"], {"training_set": "a"})
NO = Decision(False, "2013-02", ["cooling down"], {"training_set": "a"}, "1")
NOTHING = Decision(False, "", ["weather_regimes has no features yet: nothing to learn from"])


@pytest.fixture
def library(stub, registry):
    """Put doubles in the place of deciding and recording."""
    return stub("include.retrain_trigger.gather.decide", NO), stub(
        "include.retrain_trigger.gather.record", None
    )


def decide(**context: Any) -> dict[str, Any]:
    task = DecideRetrainingOperator(task_id="d", use_case="weather_regimes")
    return execute(task, make_context(**context))


@pytest.mark.parametrize("decision", [YES, NO, NOTHING])
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
    (config, lake, given, run_id), _ = decider.call_args
    assert config.name == "weather_regimes"
    assert isinstance(lake, Lake)
    assert given is registry
    assert run_id == recorder.call_args.args[3].run_id, "a retry finds its own decision again"


def test_a_person_asks_against_the_signals_and_that_is_recorded(library):
    _, recorder = library
    returned = decide(ask=True)
    assert returned["ask"] is True
    assert returned["reasons"] == ["asked for by hand, against:", "cooling down"]
    recorded = recorder.call_args.args[1]
    assert (recorded.ask, recorded.reasons) == (True, returned["reasons"])
    assert recorded.signals == NO.signals


def test_a_person_who_asks_for_what_is_due_anyway_changes_nothing(library):
    decider, recorder = library
    decider.return_value = YES
    assert decide(ask=True)["reasons"] == ["no champion yet"]
    assert recorder.call_args.args[1] == YES


def test_there_must_be_something_to_ask_for(library):
    decider, recorder = library
    decider.return_value = NOTHING
    with pytest.raises(AirflowFailException, match=r"no features yet.*Land data first"):
        decide(ask=True)
    recorder.assert_not_called()


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
