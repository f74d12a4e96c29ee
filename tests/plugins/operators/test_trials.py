"""Draw a round, run a trial: what the operators hand over and pass on."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.lake.table import Lake
from include.modelling.search import Trial, TrialDone, draw
from include.train_tune.prepare import Prepared
from include.use_cases.loader import dump, get
from plugins.operators.trials import DrawRoundOperator, RunTrialOperator
from tests.support.tasks import FAILURES, execute, is_small_json, make_context

NAME = "weather_regimes"
USE_CASE = get(NAME).with_trials(9)
ROUND_1 = draw(USE_CASE, 1)
DONE_1 = [
    TrialDone(one.candidate, one.number, one.params, 0.1 * number)
    for number, one in enumerate(ROUND_1)
]
ROUND_2 = draw(USE_CASE, 2, DONE_1)
DONE_2 = [TrialDone(one.candidate, one.number, one.params, 0.2) for one in ROUND_2]
PREPARED = Prepared(
    run_id="abc",
    as_of="2013-02",
    partitions=["2013-01", "2013-02"],
    holdout_partition="2013-02",
    inputs=[],
    trials=[],
    rows=2211,
    configuration=dump(USE_CASE),
    python=[],
    definitions={},
)


@pytest.fixture(autouse=True)
def recall(stub, registry):
    """Give what was prepared, as the training's MLflow run holds it."""
    return stub("include.train_tune.prepare.recall", PREPARED)


def facts(each: Any) -> list[dict[str, Any]]:
    return [asdict(one) for one in each]


def context_of(**more: Any) -> dict[str, Any]:
    """Make the context after two rounds; `more` are XComs by key."""
    found = {
        ("prepare", "return_value"): facts(ROUND_1),
        ("trial", "return_value"): facts(DONE_1),
        ("draw_2", "return_value"): facts(ROUND_2),
        ("trial_2", "return_value"): facts(DONE_2),
        "run_id": "abc",
    }
    return make_context(pulled=found | more)


def drawn(context: dict[str, Any], number: int = 2) -> list[dict[str, Any]]:
    rounds = [("prepare", "trial"), ("draw_2", "trial_2")][: number - 1]
    task = DrawRoundOperator(task_id="d", use_case=NAME, round_number=number, rounds=rounds)
    return execute(task, context)


@pytest.mark.parametrize(("number", "told", "count"), [(2, DONE_1, 6), (3, [*DONE_1, *DONE_2], 6)])
def test_a_round_is_drawn_from_all_rounds_before_it(recall, registry, number, told, count):
    trials = drawn(context_of(), number)
    assert trials == facts(draw(USE_CASE, number, told))
    assert len(trials) == count
    assert is_small_json(trials)
    recall.assert_called_once_with(registry, "abc")


def test_the_results_matter_and_their_order_does_not():
    first, context = drawn(context_of()), context_of()
    context["ti"].pulled["trial", "return_value"] = facts(DONE_1)[::-1]
    assert drawn(context) == first
    context["ti"].pulled["trial", "return_value"] = facts(
        replace(one, value=-one.value) for one in DONE_1
    )
    assert drawn(context) != first


def test_trials_whose_tasks_failed_are_told_as_failed():
    lost = {("kmeans", 1), ("gaussian_mixture", 0)}
    context = context_of()
    context["ti"].pulled["trial", "return_value"] = [
        one for one in facts(DONE_1) if (one["candidate"], one["number"]) not in lost
    ]
    told = [
        replace(one, value=None) if (one.candidate, one.number) in lost else one for one in DONE_1
    ]
    assert drawn(context) == facts(draw(USE_CASE, 2, told))


@pytest.mark.parametrize("nothing", [[None], [], None])
def test_a_round_of_which_every_task_failed_is_followed_by_the_next(nothing):
    context = context_of()
    context["ti"].pulled["trial", "return_value"] = nothing
    told = [replace(one, value=None) for one in DONE_1]
    assert drawn(context) == facts(draw(USE_CASE, 2, told))


def test_a_search_of_few_trials_has_no_second_round(recall):
    few = get(NAME)
    assert few.train.tuning.trials == 4
    recall.return_value = replace(PREPARED, configuration=dump(few))
    first = draw(few, 1)
    context = context_of()
    context["ti"].pulled |= {
        ("prepare", "return_value"): facts(first),
        ("trial", "return_value"): [],
        ("draw_2", "return_value"): [],
        ("trial_2", "return_value"): [None],
    }
    assert drawn(context, 2) == drawn(context, 3) == []


def test_a_training_that_is_not_needed_is_skipped_in_its_words():
    context = context_of(run_id=None, up_to_date="up to date: it is done.")
    with pytest.raises(AirflowSkipException, match=r"^up to date: it is done\.$"):
        drawn(context)


def test_without_a_training_the_draw_fails_and_so_does_the_run():
    with pytest.raises(AirflowFailException, match="prepare failed: there is no training"):
        drawn(context_of(run_id=None))


def test_a_round_after_one_that_could_not_be_drawn_fails():
    context = context_of()
    context["ti"].pulled["draw_2", "return_value"] = None
    with pytest.raises(AirflowFailException, match="draw_2 failed: the search cannot go on"):
        drawn(context, 3)


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_a_draw_fails_in_airflows_words(recall, error, seen):
    recall.side_effect = error
    with pytest.raises(seen, match=str(error)):
        drawn(context_of())


def trial() -> dict[str, Any]:
    task = RunTrialOperator(task_id="t", use_case=NAME, run_id="abc", trial=facts(ROUND_1)[1])
    return execute(task, make_context())


def test_a_trial_is_run_as_it_was_drawn(stub, registry, home, recall):
    double = stub("include.train_tune.trial.run_trial", DONE_1[1])
    assert trial() == asdict(DONE_1[1])
    (name, prepared, tried, lake, given), named = double.call_args
    assert (name, prepared, tried) == (NAME, PREPARED, ROUND_1[1])
    assert isinstance(tried, Trial)
    assert isinstance(lake, Lake)
    assert given is registry
    assert named == {"kept_in": home / "trainings"}
    recall.assert_called_once_with(registry, "abc")


def test_a_trial_without_a_value_succeeds_and_says_so(stub):
    stub("include.train_tune.trial.run_trial", replace(DONE_1[1], value=None))
    assert trial()["value"] is None


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_a_trial_fails_in_airflows_words(stub, error, seen):
    stub("include.train_tune.trial.run_trial", error)
    with pytest.raises(seen, match=str(error)):
        trial()
