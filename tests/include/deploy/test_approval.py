"""The words of a question, and the one kind of answer that counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.deploy.approval import Decision, decide, question
from include.errors import DataContractError
from include.use_cases.loader import get
from include.use_cases.schema import Approval, UseCase

VERDICT: dict[str, Any] = {
    "version": "3", "evaluated_version": "3", "reasons": ["promoted by ops: a\n\n# heading"],
    "champion_version": "2", "metric": "roc_auc", "challenger": 0.712345, "champion": 0.7,
    "dummy": 0.5, "linear": None, "effect": 0.012345, "confidence_low": -0.001, "rows": 900,
    "holdout_partition": "2013-05",
}  # fmt: skip
NOBODY = "not approved: nobody answered within 72 hours"
AT = "2026-11-30T20:00:00Z"


def use_case(**approval: Any) -> UseCase:
    known = get("flight_delays")
    wanted = Approval(**{"approvers": ["ann", "ben"], **approval})
    return known.model_copy(update={"deploy": known.deploy.model_copy(update={"approval": wanted})})


def recorded(by: str | None = "ann", chosen: str = "Approve", **more: Any) -> dict[str, Any]:
    asked = question(use_case(), VERDICT, "f" * 64)
    person = by and {"id": "1", "name": by}
    answer = {"responded_at": AT, "responded_by_user": person, "chosen_options": [chosen]}
    return {"subject": asked.subject, "body": asked.body, **answer, **more}


def answered(answer: dict[str, Any] | None, sha: str = "f" * 64, **verdict: Any) -> Decision:
    return decide(use_case(), question(use_case(), VERDICT | verdict, sha), answer)


def test_the_question_in_full():
    asked = question(use_case(within=timedelta(hours=12)), VERDICT, "ab12")
    assert asked.subject == "Promote version 3 of flight_delays?"
    assert asked.body.splitlines() == [
        "Version **3** of `flight_delays` would serve instead of version 2.",
        "",
        "- promoted by ops: a # heading",
        "",
        "| roc_auc, 900 rows up to 2013-05 | |",
        "|---|---|",
        "| challenger | 0.7123 |",
        "| champion | 0.7 |",
        "| dummy | 0.5 |",
        "| effect | 0.01235 |",
        "| confidence low | -0.001 |",
        "",
        "Package: `ab12`",
        "",
        "May answer: ann, ben. Without an answer within 12 hours nothing is promoted.",
    ]


@pytest.mark.parametrize(
    ("by", "chosen", "decision"),
    [
        ("ann", "Approve", Decision(True, "ann", AT, f"approved by ann at {AT}")),
        ("ben", "Reject", Decision(False, "ben", AT, f"rejected by ben at {AT}")),
        # Airflow writes the default so when the time is over; a task could write this itself.
        (None, "Reject", Decision(False, None, AT, NOBODY)),
        (None, "Approve", Decision(False, None, AT, NOBODY)),
    ],
)  # fmt: skip
def test_what_an_answer_means(by, chosen, decision):
    assert answered(recorded(by, chosen)) == decision


def test_several_options_are_no_approval():
    assert not answered(recorded(chosen_options=["Approve", "Reject"])).approved


@pytest.mark.parametrize(
    "changed", [{"version": "4"}, {"reasons": ["other"]}, {"challenger": 0.9}, {"rows": 901}]
)
def test_an_answer_is_to_one_verdict_only(changed):
    with pytest.raises(DataContractError, match="must be to this verdict on this package"):
        answered(recorded(), **changed)


def test_an_answer_is_to_one_package_only():
    with pytest.raises(DataContractError, match="must be to this verdict on this package"):
        answered(recorded(), "e" * 64)


@pytest.mark.parametrize("by", ["Ann", "ann ", "eve", ""])
def test_a_name_is_the_name(by):
    with pytest.raises(DataContractError, match="must be answered by one of ann, ben"):
        answered(recorded() | {"responded_by_user": {"id": "1", "name": by}})
