"""Fit again what was accepted: a refusal is a result, and a person's word is not touched."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy.refit import Refit
from include.use_cases.loader import get
from plugins.operators.refit import RefitModelOperator
from tests.support.tasks import FAILURES, execute, is_small_json, make_context

USE_CASE = "weather_regimes"
VERDICT = {
    "version": "2",
    "evaluated_version": "2",
    "overridden": False,
    "as_of": "2013-02",
    "promote": True,
    "reasons": ["better"],
    "champion_version": "1",
}


def run(**verdict: Any) -> dict[str, Any]:
    task = RefitModelOperator(task_id="r", use_case=USE_CASE, verdict={**VERDICT, **verdict})
    return execute(task, make_context(key="2013-02"))


def test_the_verdict_goes_on_with_the_refit_in_place_of_what_was_judged(stub, registry, home):
    double = stub("include.deploy.refit.refit", Refit("3", ["refit: of 2"]))

    found = run()

    assert found == {**VERDICT, "version": "3", "reasons": ["better", "refit: of 2"]}
    assert is_small_json(found)
    (config, version, lake, given, folder), _ = double.call_args
    assert (config.name, version, lake.uri) == (USE_CASE, "2", str(home / "lake"))
    assert given is registry
    assert not folder.exists(), "nothing is left on the disk"


def test_a_refit_that_may_not_serve_rejects_what_was_judged(stub, registry):
    kept = stub("include.deploy.verdicts.record", None)
    stub("include.deploy.refit.refit", Refit(None, ["refit: it ranks otherwise"]))
    reject = stub("include.deploy.apply.reject", "1")

    with pytest.raises(
        AirflowSkipException, match=r"^Version 2 is rejected: refit: it ranks otherwise\.$"
    ):
        run()

    (config, version, said, given, _), _ = reject.call_args
    assert (config.name, version, said["promote"]) == (USE_CASE, "2", False)
    assert said["reasons"] == ["refit: it ranks otherwise"]
    assert kept.call_args.args[1] == said
    assert kept.call_args.kwargs == {"promoted": False}
    assert given is registry


def test_a_person_who_names_a_version_gets_this_version(stub, registry):
    double = stub("include.deploy.refit.refit", Refit("3", []))
    overridden = {"overridden": True, "version": "1", "evaluated_version": "1"}
    assert run(**overridden) == {**VERDICT, **overridden}
    double.assert_not_called()


def test_without_refits_the_challenger_itself_serves(stub, registry, monkeypatch):
    double = stub("include.deploy.refit.refit", Refit("3", []))
    use_case = get(USE_CASE)
    without = use_case.deploy.model_copy(update={"refit": False})
    changed = use_case.model_copy(update={"deploy": without})
    monkeypatch.setattr(RefitModelOperator, "config", changed)
    assert run() == VERDICT
    double.assert_not_called()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_refitting_fails_in_airflows_words(stub, registry, error, seen):
    stub("include.deploy.refit.refit", error)
    with pytest.raises(seen, match=str(error)):
        run()
