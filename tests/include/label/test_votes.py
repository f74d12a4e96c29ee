"""Votes of labelling functions on rows, and what each function is said to do; by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from include.label import functions
from include.label.functions import Voted, classes_of, vote
from include.label.summary import summaries
from include.labelling.label_model import ABSTAIN
from include.use_cases.python_package import OwnPython
from include.use_cases.sections.rules import Rules
from tests.support.packages import tiny_use_case

ROWS = pa.table({"calls": [9, 1, None, 5], "plan": ["gold", "basic", "gold", None]})
PYTHON = """\
def of_row(row):
    calls, row["calls"] = row["calls"], 0
    if calls == 5:
        return True
    if calls > 8:  # raises where it is missing
        return 7
    return None


def unchanged(row):
    return 1 if row["calls"] == 9 else None
"""
_ = ABSTAIN  # so that rows of votes are short


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnPython("tiny", (("labels.py", PYTHON),))
    monkeypatch.setattr(functions, "labels_python_of", lambda use_case: own)


def voted(**said: dict[str, object]) -> Voted:
    use_case = tiny_use_case()
    assert use_case.labels is not None
    return vote(use_case, use_case.labels, Rules.model_validate({"functions": said}), ROWS)


def test_a_condition_votes_where_it_holds_and_abstains_elsewhere() -> None:
    found = voted(
        many={"when": "calls > 4", "label": 1}, gold={"when": "plan == 'gold'", "label": 0}
    )
    assert found.names == ["many", "gold"]
    assert found.votes.tolist() == [[1, 0], [_, _], [_, 0], [1, _]]
    assert found.raised == {}


def test_a_function_abstains_where_it_raises_or_returns_no_class(python: None) -> None:
    found = voted(of_row={"python": "of_row"}, unchanged={"python": "unchanged"})
    # 7 is no class, 1 abstains, a missing number cannot be compared, and True is class 1.
    assert found.votes[:, 0].tolist() == [_, _, _, 1]
    assert found.raised == {"of_row": 2}
    assert found.first_error["of_row"] == (
        "data row 1: ValueError: must return 0, 1 or None, got 7"
    )
    # The first function changes its copy of the row, and not the row.
    assert found.votes[:, 1].tolist() == [1, _, _, _]


def test_with_several_classes_a_rule_may_vote_for_each_of_them(python: None) -> None:
    use_case = tiny_use_case()
    assert classes_of(use_case) == 2
    assert use_case.labels is not None
    names = [f"class {number}" for number in range(8)]
    several = use_case.model_copy(
        update={"labels": use_case.labels.model_copy(update={"classes": names})}
    )
    assert classes_of(several) == 8
    said = {"of_row": {"python": "of_row"}, "few": {"when": "calls < 4", "label": 5}}
    assert several.labels is not None
    found = vote(several, several.labels, Rules.model_validate({"functions": said}), ROWS)
    assert found.votes.tolist() == [[7, _], [_, 5], [_, _], [1, _]]
    assert found.raised == {"of_row": 1}, "a missing number alone"


def test_what_functions_do_is_summed_up_by_hand() -> None:
    votes = np.array([[1, 0, _], [1, 1, _], [_, 0, _], [1, _, _]])
    posterior = np.array([[0.4, 0.6], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]])
    one, other, never = summaries(Voted(["one", "other", "never"], votes, {"one": 3}), posterior)
    assert (one.coverage, one.overlap, one.conflict) == (0.75, 0.5, 0.25)
    assert one.accuracy == pytest.approx((0.6 + 0.9 + 0.8) / 3)
    assert (one.raised, one.first_error) == (3, "")
    assert other.accuracy == pytest.approx((0.4 + 0.9 + 0.7) / 3)
    assert (never.coverage, never.overlap, never.conflict, never.accuracy) == (0, 0, 0, None)
