"""Compare, apply, confirm: verdicts are results, and only an answering version is announced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import create_autospec

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy.compare import Verdict
from include.errors import DataContractError, ServiceUnavailable
from plugins.hooks.serving import ServingHook
from plugins.operators.deploy import (
    ApplyVerdictOperator,
    CompareModelsOperator,
    ConfirmServingSensor,
)
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

VERDICT = Verdict(
    promote=False,
    reasons=["not surely better"],
    metric="silhouette",
    challenger=float("nan"),
    champion=0.3,
    dummy=0.0,
    effect=float("nan"),
    confidence_low=float("nan"),
    rows=2000,
    holdout_partition="2013-02",
    champion_version="1",
)


@pytest.fixture
def models(registry):
    """Make version 2 the challenger of version 1."""
    aliases = {"champion": "1", "challenger": "2"}
    registry.version_of.side_effect = lambda name, alias: aliases.get(alias)
    registry.versions.return_value = ["1", "2"]
    registry.details.return_value = {"tags": {"as_of": "2013-02"}}
    return registry


def compare(context: dict[str, Any]) -> dict[str, Any]:
    return execute(CompareModelsOperator(task_id="c", use_case="weather_regimes"), context)


def test_the_challenger_is_compared_and_a_no_is_a_result(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    verdict = compare(make_context())
    assert (verdict["version"], verdict["as_of"], verdict["promote"]) == ("2", "2013-02", False)
    assert verdict["reasons"] == ["not surely better"]
    assert verdict["effect"] is None, "not defined, and strict JSON has no NaN"
    assert is_small_json(verdict)
    (config, version, _, registry), _ = double.call_args
    assert (config.name, version) == ("weather_regimes", "2")
    assert registry is models
    assert compare(make_context(attempt=2)) == verdict, "a rerun reaches the same"


def test_the_form_names_a_version(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    assert compare(make_context(version="1"))["version"] == "1"
    assert double.call_args.args[1] == "1"


@pytest.mark.parametrize(("there", "said"), [(["1", "2"], "1, 2"), ([], "nothing yet")])
def test_an_unknown_version_says_what_there_is(models, there, said):
    models.versions.return_value = there
    with pytest.raises(
        AirflowFailException,
        match=f"Model version '7' is not in the model 'weather_regimes'. There is: {said}.",
    ):
        compare(make_context(version="7"))


def test_without_a_challenger_it_is_skipped(stub, models):
    double = stub("include.deploy.compare.compare", VERDICT)
    models.version_of.side_effect = lambda name, alias: None
    with pytest.raises(AirflowSkipException, match="no challenger: nothing to deploy"):
        compare(make_context())
    double.assert_not_called()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_comparing_fails_in_airflows_words(stub, models, error, seen):
    stub("include.deploy.compare.compare", error)
    with pytest.raises(seen, match=str(error)):
        compare(make_context())


def test_a_version_that_is_gone_meanwhile_fails_at_once(stub, models):
    stub("include.deploy.compare.compare", VERDICT)
    models.details.side_effect = DataContractError("no such version")
    with pytest.raises(AirflowFailException, match="no such version"):
        compare(make_context())


def apply(promote: bool) -> dict[str, Any]:
    verdict = {"version": "2", "promote": promote, "reasons": ["because"]}
    task = ApplyVerdictOperator(task_id="a", use_case="weather_regimes", verdict=verdict)
    return execute(task, make_context())


@pytest.mark.parametrize(("promote", "champion"), [(True, "2"), (False, "1"), (False, None)])
def test_apply_tells_who_is_champion(stub, models, promote, champion):
    double = stub("include.deploy.apply.apply", champion)
    assert apply(promote) == {"version": "2", "champion": champion}
    (config, version, verdict, registry), _ = double.call_args
    assert (config.name, version, verdict["promote"]) == ("weather_regimes", "2", promote)
    assert registry is models


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_applying_fails_in_airflows_words(stub, models, error, seen):
    stub("include.deploy.apply.apply", error)
    with pytest.raises(seen, match=str(error)):
        apply(True)


def sensor(**more: Any) -> ConfirmServingSensor:
    return ConfirmServingSensor(
        task_id="s",
        use_case="weather_regimes",
        version="2",
        partition="2013-02",
        outlets=[OUTLET],
        **more,
    )


@pytest.fixture
def served(monkeypatch):
    """Double what serving answers."""
    double = create_autospec(ServingHook.served_version)
    monkeypatch.setattr(ServingHook, "served_version", double)
    return double


@pytest.mark.parametrize("answer", [None, "1", "22"])
def test_it_waits_in_the_triggerer_and_emits_nothing(served, monkeypatch, answer):
    monkeypatch.setattr(ServingHook, "url", lambda self: "http://127.0.0.1:9")
    served.return_value = answer
    context = make_context()
    with pytest.raises(TaskDeferred) as deferred:
        sensor().execute(context)
    trigger = deferred.value.trigger
    assert (trigger.url, trigger.use_case, trigger.version) == (
        "http://127.0.0.1:9",
        "weather_regimes",
        "2",
    )
    assert deferred.value.timeout == timedelta(seconds=600)
    assert emitted(context) == (set(), {})

    getattr(sensor(), deferred.value.method_name)(context, event="2")
    assert emitted(context) == ({"2013-02"}, {"partition": "2013-02", "model_version": "2"})


def test_the_version_that_answers_is_announced(served):
    served.return_value = "2"
    context = make_context()
    sensor().execute(context)
    assert emitted(context) == ({"2013-02"}, {"partition": "2013-02", "model_version": "2"})
    (hook, use_case), _ = served.call_args
    assert (hook.serving_conn_id, use_case) == ("flywheel_serving", "weather_regimes")


def test_it_asks_the_connection_it_was_given(served):
    served.return_value = "2"
    sensor(serving_conn_id="other").execute(make_context())
    assert served.call_args.args[0].serving_conn_id == "other"


def test_an_application_that_is_down_is_asked_again_by_a_retry(served):
    served.side_effect = ServiceUnavailable("nobody answers")
    with pytest.raises(ServiceUnavailable, match="nobody answers"):
        sensor().execute(make_context())
