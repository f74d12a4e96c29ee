"""Ask, read the recorded answer, and promote what was approved, or say why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include.deploy.approval import question
from include.errors import ServiceUnavailable
from include.lake.table import Lake
from include.registry.ledger import Ledger
from include.registry.manifest import MANIFEST, sha256
from include.settings import Settings
from include.use_cases.loader import get
from include.use_cases.schema import Approval, UseCase
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators.approval import (
    APPROVE_PROMOTION,
    ApplyVerdictOperator,
    ask_for_approval,
)
from plugins.operators.base import PhaseOperator
from tests.support.champions import crown
from tests.support.tasks import FAILURES, execute, make_context

USE_CASE = "weather_regimes"


@pytest.fixture(autouse=True)
def kept(stub):
    """Put a double in the place of the table of verdicts."""
    return stub("include.deploy.verdicts.record", None)


# Apply


def apply(promote: bool, **context: Any) -> dict[str, Any]:
    verdict = {
        "version": "2", "promote": promote, "reasons": ["because"], "champion_version": None,
    }  # fmt: skip
    task = ApplyVerdictOperator(task_id="a", use_case=USE_CASE, verdict=verdict)
    return execute(task, make_context(key="2013-02", **context))


def test_a_promotion_says_who_and_in_which_run(stub, registry):
    double = stub("include.deploy.apply.promote", "2")
    assert apply(True, user="ann") == {"version": "2", "champion": "2"}
    (config, version, verdict, given, ledger), more = double.call_args
    assert (config.name, version, verdict["promote"]) == (USE_CASE, "2", True)
    assert given is registry
    assert isinstance(ledger, Ledger)
    assert more == {"who": "ann", "run_id": "weather_regimes__test/manual__1/do/3"}


@pytest.mark.parametrize("champion", ["1", None])
def test_a_rejection_tells_who_stays_champion(stub, registry, kept, champion):
    double = stub("include.deploy.apply.reject", champion)
    assert apply(False) == {"version": "2", "champion": champion}
    assert kept.call_args.kwargs == {"promoted": False}
    (config, version, verdict, given, _), _ = double.call_args
    assert (config.name, version, verdict["promote"]) == (USE_CASE, "2", False)
    assert given is registry


def _packages(registry: Any, home: Path) -> None:
    """Let each version have a package, from which its entry is written."""
    (home / "manifest.json").write_text("{}")
    registry.fetch.return_value = home
    registry.client = Mock(spec=["set_registered_model_tag"])
    registry.load.return_value.facts = {"as_of": "2013-02", "partitions": ["2013-01", "2013-02"]}


def test_a_promotion_is_refused_when_another_champion_serves_by_now(registry, home):
    """An old run that is cleared does not bring its model back."""
    crown(home, USE_CASE, version="1")
    registry.signing_key = Settings.from_env().signing_key
    _packages(registry, home)
    with pytest.raises(
        AirflowFailException,
        match=r"version 2 was judged against champion none, but 1 serves now\. Nothing was changed",
    ):
        apply(True)
    registry.follow.assert_not_called()


def test_a_retry_finds_the_entry_that_its_first_attempt_made(registry, home):
    crown(home / "elsewhere", USE_CASE)  # keys
    (home / "keys").symlink_to(home / "elsewhere" / "keys")
    registry.signing_key = Settings.from_env().signing_key
    _packages(registry, home)
    registry.follow.side_effect = [ServiceUnavailable("MLflow is away"), None]
    with pytest.raises(ServiceUnavailable):
        apply(True)
    assert apply(True, attempt=2) == {"version": "2", "champion": "2"}
    ledger = Ledger(Lake(str(home / "lake")), USE_CASE, home / "keys" / "verify.pem")
    assert [entry.version for entry in ledger.entries()] == ["2"], "one entry"
    noted = [json.loads(call.args[2]) for call in registry.client.mock_calls]
    assert noted[0] == noted[1], "the second attempt notes the same promotion"
    assert noted[0]["number"] == 1
    assert registry.follow.call_count == 2


@pytest.mark.parametrize("which", ["promote", "reject"])
@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_applying_fails_in_airflows_words(stub, registry, which, error, seen):
    stub(f"include.deploy.apply.{which}", error)
    with pytest.raises(seen, match=str(error)):
        apply(which == "promote")


# Approval

VERDICT = {
    "version": "3", "evaluated_version": "2", "overridden": False, "promote": True,
    "reasons": ["freshness: surely not worse"], "champion_version": None, "as_of": "2013-02",
    "metric": "silhouette", "challenger": 0.31234, "champion": 0.3, "dummy": None, "rows": 2000,
    "holdout_partition": "2013-02",
}  # fmt: skip
AT = "2026-11-30T20:00:00Z"


@pytest.fixture
def config(monkeypatch):
    """Let two people answer in this use case."""
    known = get(USE_CASE)
    deploy = known.deploy.model_copy(update={"approval": Approval(approvers=["ann", "ben"])})
    found = known.model_copy(update={"deploy": deploy})
    monkeypatch.setattr(PhaseOperator, "config", found)
    return found


@pytest.fixture
def answers(monkeypatch):
    """Put a double in the place of what Airflow has recorded."""
    double = create_autospec(AirflowApiHook.answer_to)
    monkeypatch.setattr(AirflowApiHook, "answer_to", double)
    return double


def recorded(config: UseCase, home: Path, **more: Any) -> dict[str, Any]:
    asked = question(config, VERDICT, sha256(home / MANIFEST))
    answer = {"chosen_options": ["Approve"], "responded_at": AT, "responded_by_user": user("ann")}
    return {"subject": asked.subject, "body": asked.body, **answer, **more}


def user(name: str) -> dict[str, str]:
    return {"id": "7", "name": name}


def promote(verdict: dict[str, Any] = VERDICT, **context: Any) -> dict[str, Any]:
    task = ApplyVerdictOperator(task_id="promote", use_case=USE_CASE, verdict=verdict)
    task.upstream_task_ids.add(APPROVE_PROMOTION)
    return execute(task, make_context(key="2013-02", **context))


@pytest.fixture
def house(registry, home):
    """Keys, a lake, and packages; returns the ledger."""
    crown(home / "elsewhere", USE_CASE)
    (home / "keys").symlink_to(home / "elsewhere" / "keys")
    registry.signing_key = Settings.from_env().signing_key
    _packages(registry, home)
    return Ledger(Lake(str(home / "lake")), USE_CASE, home / "keys" / "verify.pem")


def test_the_question_says_what_would_serve_why_and_by_which_figures(
    registry, config, home, monkeypatch
):
    _packages(registry, home)
    asked = Mock()
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", asked)
    task = ask_for_approval(config, VERDICT)
    context = make_context(key="2013-02")
    context["ti"].id, context["task_instance"] = "id", context["ti"]
    with pytest.raises(TaskAwaitingInput) as waiting:
        execute(task, context)
    assert waiting.value.timeout == config.deploy.approval.within
    sent = asked.call_args.kwargs
    assert sent["subject"] == f"Promote version 3 of {USE_CASE}?"
    assert (sent["options"], sent["defaults"]) == (["Approve", "Reject"], ["Reject"])
    for words in (
        f"Version **3** of `{USE_CASE}` (version 2, fitted again) would serve as the first",
        "- freshness: surely not worse\n",
        "| silhouette, 2000 rows up to 2013-02 | |\n|---|---|\n| challenger | 0.3123 |",
        f"Package: `{sha256(home / MANIFEST)}`",
        "May answer: ann, ben. Without an answer within 72 hours nothing is promoted.",
    ):
        assert words in sent["body"], sent["body"]
    assert "dummy" not in sent["body"], "it is not known"


def test_what_was_approved_is_promoted_and_the_entry_names_who_and_when(
    config, home, house, answers, kept
):
    answers.return_value = recorded(config, home)
    assert promote(user="ops") == {"version": "3", "champion": "3"}
    assert answers.call_args.args[1:] == (
        "weather_regimes__test", "manual__1", "approve_promotion",
    )  # fmt: skip
    entry = house.current()
    assert kept.call_args.kwargs == {"promoted": True}
    assert (entry.version, entry.who) == ("3", "ann")
    assert entry.why == f"approved by ann at {AT}; freshness: surely not worse"
    assert f'"approval": {{"at": "{AT}", "by": "ann"}}' in entry.evidence


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"chosen_options": ["Reject"]}, f"rejected by ann at {AT}"),
        ({"responded_by_user": None}, "not approved: nobody answered within 72 hours"),
        (
            {"responded_by_user": None, "chosen_options": ["Reject"]},
            "not approved: nobody answered within 72 hours",
        ),
    ],
    ids=["rejected", "an answer without a person", "timed out"],
)
def test_a_no_is_a_result_that_both_versions_keep(
    config, home, house, answers, registry, answer, words
):
    answers.return_value = recorded(config, home, **answer)
    with pytest.raises(AirflowSkipException, match=f"Version 3 is {words}"):
        promote()
    assert house.current() is None
    rejected = {call.args[1]: call.args[2] for call in registry.reject.call_args_list}
    assert rejected == {each: [words, "freshness: surely not worse"] for each in ("2", "3")}


def test_a_version_that_a_person_named_keeps_its_verdict_when_it_is_turned_down(
    config, home, house, answers, registry
):
    named = VERDICT | {"overridden": True}
    answers.return_value = recorded(config, home, chosen_options=["Reject"])
    with pytest.raises(AirflowSkipException, match="Version 3 is rejected by ann"):
        promote(named)
    registry.reject.assert_not_called()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "has no recorded answer: the task that asks was marked as successful"),
        ({"responded_at": None}, "has no recorded answer: the task that asks was marked as succ"),
        (
            {"responded_by_user": user("eve")},
            r"must be answered by one of ann, ben \(deploy\.approval\.approvers .* by eve at",
        ),
        (
            {"responded_by_user": user("eve"), "chosen_options": ["Reject"]},
            r"must be answered by one of ann, ben",
        ),
        ({"subject": "Promote version 2?"}, "to another question: 'Promote version 2"),
        ({"body": "better by far"}, "must be to this verdict on this package"),
    ],
    ids=["never asked", "marked as success", "not an approver", "nor to say no", "subject", "body"],
)
def test_what_is_no_answer_of_an_approver_fails_with_words(
    config, home, house, answers, registry, answer, words
):
    answers.return_value = None if answer is None else recorded(config, home, **answer)
    with pytest.raises(AirflowFailException, match=words) as caught:
        promote()
    assert "Nothing was promoted. Clear the task `approve_promotion`" in str(caught.value)
    assert house.current() is None
    registry.reject.assert_not_called()


def test_another_package_than_the_approved_one_is_not_promoted(config, home, house, answers):
    answers.return_value = recorded(config, home)
    (home / MANIFEST).write_text('{"changed": true}')
    with pytest.raises(AirflowFailException, match="must be to this verdict on this package"):
        promote()
    assert house.current() is None


def test_an_approval_that_was_taken_out_meanwhile_is_not_passed_over(house):
    with pytest.raises(AirflowFailException, match=r"deploy\.approval was added or removed"):
        promote()
    assert house.current() is None


def test_an_approval_that_was_added_meanwhile_is_not_passed_over(config, house):
    with pytest.raises(AirflowFailException, match=r"deploy\.approval was added or removed"):
        apply(True)
    assert house.current() is None


def test_an_answer_that_cannot_be_read_is_read_again_later(config, house, answers):
    answers.side_effect = ServiceUnavailable("Airflow is away")
    with pytest.raises(ServiceUnavailable):
        promote()
