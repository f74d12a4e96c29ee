"""Compare, apply, confirm, announce: verdicts are results; only what answers is announced."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy.rule import Verdict
from include.due.definitions import DEFINITION, definition_of
from include.errors import DataContractError, ServiceUnavailable
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from plugins.hooks.serving import ServingHook
from plugins.operators import deploy
from plugins.operators.deploy import (
    AnnounceChampionOperator,
    CompareModelsOperator,
    ConfirmServingOperator,
)
from tests.support.champions import crown
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

USE_CASE = "weather_regimes"
VERDICT = Verdict(
    promote=False,
    reasons=["not surely better"],
    metric="silhouette",
    challenger=float("nan"),
    champion=0.3,
    dummy=0.0,
    effect=float("nan"),
    confidence_low=None,
    rows=2000,
    holdout_partition="2013-02",
    champion_version="1",
)
AS_OF = {"1": "2013-01", "2": "2013-02", "3": "2013-02"}
TOKENS = count(1)


@pytest.fixture
def models(registry):
    """Make three versions, of which the gate has judged the first."""
    registry.versions.return_value = list(AS_OF)
    registry.newest_as_of.side_effect = lambda name, as_of: {"2013-01": "1", "2013-02": "3"}.get(
        as_of
    )
    registry.details.side_effect = lambda name, version: {"tags": {"as_of": AS_OF[version]}}
    registry.judged.side_effect = lambda name, version: "promoted" if version == "1" else None
    return registry


def compare(key: str | None = "2013-02", **context: Any) -> dict[str, Any]:
    context = {"version": None, "override": None, "run_type": "asset_triggered", **context}
    task = CompareModelsOperator(task_id="c", use_case=USE_CASE)
    return execute(task, make_context(key=key, **context))


# Compare


def test_the_newest_version_of_the_runs_key_is_judged_and_a_no_is_a_result(stub, models, home):
    double = stub("include.deploy.compare.compare", VERDICT)
    crown(home, USE_CASE, version="1")
    verdict = compare()
    assert (verdict["version"], verdict["as_of"], verdict["promote"]) == ("3", "2013-02", False)
    assert verdict["reasons"] == ["not surely better"]
    assert verdict["effect"] is None, "not defined, and strict JSON has no NaN"
    assert is_small_json(verdict)
    (config, version, champion, lake, registry), _ = double.call_args
    assert (config.name, version, champion) == (USE_CASE, "3", "1")
    assert lake.uri == str(home / "lake")
    assert registry is models
    assert compare(attempt=2) == verdict, "a rerun reaches the same"


def test_the_first_challenger_has_no_champion_to_beat(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    compare()
    assert double.call_args.args[2] is None


def test_the_champion_is_the_ledgers_and_not_the_aliass(stub, models, home):
    double = stub("include.deploy.compare.compare", VERDICT)
    models.version_of.side_effect = lambda name, alias: "7"
    crown(home, USE_CASE, version="2")
    compare()
    assert double.call_args.args[2] == "2"


def test_a_later_challenger_is_compared_with_the_refit_that_serves(stub, models, home):
    double = stub("include.deploy.compare.compare", VERDICT)
    crown(home, USE_CASE, version="4", evaluated_version="1")
    compare()
    assert double.call_args.args[1:3] == ("3", "4")


@pytest.fixture
def refit(models):
    """Make version 4, the refit of version 2."""
    tags = {"as_of": "2013-02", "refit_of": "2"}
    known = models.details.side_effect
    models.versions.return_value = [*AS_OF, "4"]
    models.details.side_effect = lambda name, version: (
        {"tags": tags} if version == "4" else known(name, version)
    )
    return "4"


def test_figures_of_a_refit_that_is_named_are_those_of_what_it_was_made_of(stub, refit):
    double = stub("include.deploy.compare.compare", VERDICT)
    found = compare(version=refit, run_type="manual")
    assert double.call_args.args[1] == "2"
    assert (found["version"], found["evaluated_version"], found["overridden"]) == ("2", "2", False)


def test_a_person_may_go_back_to_a_refit(stub, refit, home):
    stub("include.deploy.compare.compare", VERDICT)
    crown(home, USE_CASE, version="5", evaluated_version="3")
    found = compare(version=refit, override="5 is slow", run_type="manual", user="ann")
    assert (found["version"], found["evaluated_version"], found["overridden"]) == ("4", "2", True)
    assert (found["promote"], found["champion_version"]) == (True, "5")


def test_what_was_judged_is_not_judged_again_for_an_event(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    with pytest.raises(
        AirflowSkipException,
        match=r"^up to date: version 1, the newest as of 2013-01, was promoted\.$",
    ):
        compare("2013-01")
    double.assert_not_called()


@pytest.mark.parametrize(
    "how", [{"run_type": "manual"}, {"run_type": "asset_materialization"}, {"clear_number": 1}]
)
def test_a_person_has_it_judged_again(stub, models, how):
    stub("include.deploy.compare.compare", VERDICT)
    assert compare("2013-01", **how)["version"] == "1"


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_run_without_a_key_fails_with_words(models, run_type):
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        compare(None, run_type=run_type)


def test_a_key_that_nothing_was_trained_as_of(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    said = "No version of model 'weather_regimes' was trained as of 2013-03"
    with pytest.raises(AirflowSkipException, match=f"{said}: nothing to deploy"):
        compare("2013-03")
    with pytest.raises(
        AirflowFailException, match=rf"{said}\. Start weather_regimes__train_tune with that key"
    ):
        compare("2013-03", run_type="manual")
    double.assert_not_called()


def test_the_form_names_a_version(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    assert compare(version="2", run_type="manual")["version"] == "2"
    assert double.call_args.args[1] == "2"


@pytest.mark.parametrize(("there", "said"), [(["1", "2"], "1, 2"), ([], "nothing yet")])
def test_an_unknown_version_says_what_there_is(models, there, said):
    models.versions.return_value = there
    with pytest.raises(
        AirflowFailException,
        match=f"Model version '7' is not in the model 'weather_regimes'. There is: {said}.",
    ):
        compare(version="7", run_type="manual")


def test_a_version_of_another_key_says_which_key(models):
    with pytest.raises(
        AirflowFailException,
        match=r"Model version 1 was trained as of 2013-01, and this run's partition key is "
        r"2013-02\. Start the Dag again with partition key 2013-01\.",
    ):
        compare(version="1", run_type="manual")


@pytest.mark.parametrize("promote", [False, True])
def test_a_person_overrides_the_verdict_with_name_and_reason(stub, models, home, promote):
    verdict = {**VERDICT.__dict__, "promote": promote}
    stub("include.deploy.compare.compare", Verdict(**verdict))
    crown(home, USE_CASE, version="3")
    found = compare(version="2", override="rollback: 3 is slow", run_type="manual", user="ann")
    assert (found["version"], found["promote"]) == ("2", True)
    assert found["reasons"] == [
        "promoted by ann whatever the verdict: rollback: 3 is slow",
        "not surely better",
    ]


def test_an_override_for_the_champion_itself_promotes_nothing(stub, models, home):
    stub("include.deploy.compare.compare", VERDICT)
    crown(home, USE_CASE, version="2")
    assert compare(version="2", override="again", run_type="manual")["promote"] is False


def test_an_override_must_name_its_version(models):
    with pytest.raises(AirflowFailException, match=r"must name the model version.*Fill in the ver"):
        compare(override="rollback", run_type="manual")


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_comparing_fails_in_airflows_words(stub, models, error, seen):
    stub("include.deploy.compare.compare", error)
    with pytest.raises(seen, match=str(error)):
        compare()


def test_a_version_that_is_gone_meanwhile_fails_at_once(stub, models):
    stub("include.deploy.compare.compare", VERDICT)
    models.judged.side_effect = DataContractError("no such version")
    with pytest.raises(AirflowFailException, match="no such version"):
        compare()


# Confirm


def confirm(**more: Any) -> ConfirmServingOperator:
    return ConfirmServingOperator(
        task_id="s", use_case=USE_CASE, version="2", timeout=timedelta(hours=1), **more
    )


@pytest.fixture
def served(monkeypatch):
    """Double what serving answers."""
    double = create_autospec(ServingHook.served_version)
    monkeypatch.setattr(ServingHook, "served_version", double)
    monkeypatch.setattr(ServingHook, "url", lambda self: "http://127.0.0.1:9")
    return double


def put(home: Path, stage: str, key: str, consumed: dict[str, int] | None = None) -> int:
    """Publish something into a table; returns the version of its content."""
    data = pa.table({"x": [int(key[-2:])]})
    writer = Writer("test", 1, next(TOKENS), "test")
    table = Lake(str(home / "lake")).table(USE_CASE, stage)
    published = table.publish(
        data, partition=key, schema=data.schema, writer=writer, consumed=consumed
    )
    return published.partition_version


def months(home: Path, *keys: str, scored: tuple[str, ...] = ()) -> None:
    """Publish features, and predictions of those that were scored from them."""
    definition = definition_of(get(USE_CASE), "predictions")
    for key in keys:
        made = {f"{USE_CASE}.features": put(home, "features", key), DEFINITION: definition}
        if key in scored:
            put(home, "predictions", key, made)


@pytest.mark.parametrize("answer", [None, "1", "22", ServiceUnavailable("nobody answers")])
def test_it_waits_in_the_triggerer_also_through_an_outage(served, home, answer):
    months(home, "2013-03")
    crown(home, USE_CASE, version="2", known_up_to="2013-02")
    if isinstance(answer, Exception):
        served.side_effect = answer
    served.return_value = answer
    context = make_context()
    with pytest.raises(TaskDeferred) as deferred:
        execute(confirm(), context)
    trigger = deferred.value.trigger
    assert (trigger.url, trigger.use_case, trigger.version) == (
        "http://127.0.0.1:9",
        USE_CASE,
        "2",
    )
    assert deferred.value.timeout == timedelta(hours=1)
    resumed = getattr(confirm(), deferred.value.method_name)
    assert resumed(context, event="2") == [["2013-03"]]


def test_a_cleared_wait_for_a_version_that_was_replaced_ends_at_once(served, home):
    """Deploy runs one at a time: it would hold up every promotion for an hour."""
    crown(home, USE_CASE)
    served.return_value = "1"
    with pytest.raises(AirflowFailException, match="version 1 was promoted since"):
        execute(confirm(), make_context())


def test_a_time_out_is_not_followed_by_another_wait():
    assert confirm(default_args={"retries": 3}).retries == 0


def test_the_version_that_answers_has_to_score_what_is_later_and_not_scored(served, home):
    served.return_value = "2"
    months(home, "2013-01", "2013-02", "2013-03", "2013-04", "2013-05", scored=("2013-04",))
    crown(home, USE_CASE, version="2", known_up_to="2013-02")
    assert execute(confirm(), make_context()) == [["2013-03", "2013-05"]]
    (hook, use_case), _ = served.call_args
    assert (hook.serving_conn_id, use_case) == ("flywheel_serving", USE_CASE)


def test_nothing_to_score_is_an_empty_list(served, home):
    served.return_value = "2"
    crown(home, USE_CASE, version="2", known_up_to="2013-02")
    assert execute(confirm(), make_context()) == []
    months(home, "2013-01", "2013-02")
    assert execute(confirm(), make_context()) == []


def test_where_people_label_the_newest_partition_is_announced_too(served, home):
    """The champion has learned from it, and people are asked what it is unsure of there."""
    served.return_value = "2"
    digits = get("digits")
    crown(home, digits.name, version="2", known_up_to="2024-05-02")
    confirming = ConfirmServingOperator(
        task_id="confirm", use_case=digits.name, version="2", timeout=timedelta(hours=1)
    )
    assert execute(confirming, make_context()) == [], "nothing has landed"
    lake = Lake(str(home / "lake"))
    for number, day in enumerate(("2024-05-01", "2024-05-02"), start=1):
        rows = pa.table({"image": ["a"]})
        lake.table(digits.name, "features").publish(
            rows, partition=day, schema=rows.schema, writer=Writer("test", 1, number, "test")
        )
    assert execute(confirming, make_context()) == [["2024-05-02"]]


def test_what_has_to_be_scored_comes_in_lists_of_at_most_so_many(served, home, monkeypatch):
    monkeypatch.setattr(deploy, "ANNOUNCED_AT_ONCE", 2)
    served.return_value = "2"
    months(home, *(f"2013-{number:02}" for number in range(1, 8)))
    crown(home, USE_CASE, version="2", known_up_to="2013-02")
    assert execute(confirm(), make_context()) == [
        ["2013-03", "2013-04"],
        ["2013-05", "2013-06"],
        ["2013-07"],
    ]


def test_it_asks_the_connection_it_was_given(served):
    served.return_value = "2"
    execute(confirm(serving_conn_id="other"), make_context())
    assert served.call_args.args[0].serving_conn_id == "other"


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_listing_fails_in_airflows_words(stub, served, error, seen):
    served.return_value = "2"
    stub("include.due.wanted.wanted_predictions", error)
    with pytest.raises(seen, match=str(error)):
        execute(confirm(), make_context())


# Announce


def test_each_partition_is_announced():
    context = make_context(key="2013-02")
    task = AnnounceChampionOperator(
        task_id="announce", use_case=USE_CASE, partitions=["2013-03", "2013-05"], outlets=[OUTLET]
    )
    assert execute(task, context) is None
    assert emitted(context) == ({"2013-03", "2013-05"}, {})
