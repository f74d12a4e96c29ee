"""What `make new` decides about a label of three classes or more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.errors import DataContractError
from include.profiling.plan import Plan
from include.profiling.yaml_files import use_case_yaml
from include.use_cases.loader import load_text

Planned = Callable[..., Plan]
N = 1200
IDS = [f"c{n}" for n in range(N)]
AMOUNTS = [(n * 37) % 101 for n in range(N)]


def cells(**shares: int) -> list[str]:
    """Repeat each name so many times, mixed."""
    flat = [name for name, times in shares.items() for _ in range(times)]
    return [flat[(n * 11) % len(flat)] for n in range(len(flat))]


def columns(label: list[Any], name: str = "kind") -> dict[str, list[Any]]:
    count = len(label)
    return {"id": IDS[:count], "x": AMOUNTS[:count], name: label}


def test_a_few_texts_are_classes_in_alphabetical_order(planned: Planned) -> None:
    label = cells(versicolor=400, setosa=400, virginica=400)
    plan = planned(columns(label))
    outcome = plan.outcome
    assert (outcome.column, outcome.task, outcome.kind) == ("kind", "classification", "string")
    assert outcome.classes == ["setosa", "versicolor", "virginica"]
    assert [outcome.classes[int(number)] for number in outcome.labels] == label
    assert (outcome.metric, plan.coverage) == ("log_loss", 1.0)
    assert "judges the probabilities of all classes" in outcome.why
    assert "  classes: [setosa, versicolor, virginica]\n" in use_case_yaml(plan, schema=None)


@pytest.mark.parametrize(
    ("rarest", "metric"),
    [(99, "log_loss"), (100, "f1_macro"), (80, "log_loss")],
)
def test_a_rare_class_with_enough_rows_is_judged_like_the_others(
    planned: Planned, rarest: int, metric: str
) -> None:
    """100 of 1,400 rows are below a quarter of a third."""
    rows = {"a": 650, "b": 650, "c": rarest}
    label = cells(**rows)
    made = {"id": [f"c{n}" for n in range(len(label))], "x": list(range(7, 7 + len(label)))}
    outcome = planned({**made, "kind": label}, label="kind", key="id").outcome
    assert outcome.metric == metric
    assert f"judged by {metric}" in outcome.why


@pytest.mark.parametrize(
    ("numbers", "task"),
    [
        (range(10), "classification"),
        ([1, 2, 3], "classification"),
        (range(11), "regression"),  # more than ten
        ([0, 2, 3], "regression"),  # one is left out
        ([2, 3, 4], "regression"),  # a count that begins in between
        ([-1, 0, 1], "regression"),
        ([0.5, 1.5, 2.5], "regression"),
    ],
)
def test_small_whole_numbers_without_a_gap_are_classes(
    planned: Planned, numbers: Any, task: str
) -> None:
    numbers = list(numbers)
    label = [numbers[(n * 7) % len(numbers)] for n in range(660)]
    plan = planned(columns(label, "grade"), label="grade")
    assert plan.outcome.task == task
    if task == "classification":
        assert plan.outcome.classes == [str(number) for number in numbers]
        assert "if it is a quantity, remove labels.classes" in plan.outcome.why
        shown = ", ".join(map(str, numbers))
        assert f"  classes: [{shown}]\n" in use_case_yaml(plan, schema=None)


def test_a_rare_number_is_no_class(planned: Planned) -> None:
    label = [0, 1] * 300 + [2] * 9
    assert planned(columns(label, "visits"), label="visits").outcome.task == "regression"


def test_what_is_written_can_be_loaded(planned: Planned) -> None:
    """Names with blanks, quotes, commas and letters beyond ASCII, and numbers, come back."""
    names = ["Größe 'x'", "a: b", "true", "7", "nil", "#no", "[x]"]
    label = [names[n % 7] for n in range(700)]
    plan = planned(columns(label), label="kind")
    text = use_case_yaml(plan, schema=None).replace(
        "columns: columns.yaml", "columns: {id: string, x: int64}"
    )
    use_case = load_text(text, "churn", "made")
    assert use_case.class_names == sorted(names) == plan.outcome.classes
    assert use_case.train.metric == "log_loss"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            [f"k{n % 101}" for n in range(N)],
            r"LABEL=kind: has 101 classes, 100 at most can be told apart\. Put rare ones together",
        ),
        (
            ["a", "b", "c"] * 300 + ["d"] * 9,
            r"of 4 classes 1 have fewer: \['d \(9\)'\]\. Put rare classes together .* leave their",
        ),
        (["a", "b", "A"] * 100, r"'A' and 'a' differ only in upper and lower case"),
        ([f"t{n}" for n in range(90)], r"has another text in nearly each row"),
    ],
)
def test_classes_that_cannot_be_learned_are_refused(
    planned: Planned, label: list[Any], message: str
) -> None:
    with pytest.raises(DataContractError, match=message):
        planned(columns(label), label="kind")


def test_a_column_that_tells_the_class_is_left_out(planned: Planned) -> None:
    label = cells(a=200, b=200, c=200)
    ranges = [{"a": 0.5, "b": 100.5, "c": 200.5}[name] + n % 50 for n, name in enumerate(label)]
    beside = [n * 37 % 101 + 0.5 for n in range(600)]
    plan = planned({**columns(label), "after": ranges, "code": [f"k{name}" for name in label],
                    "fine": beside}, label="kind")  # fmt: skip
    roles = {role.column: role.kind for role in plan.roles}
    assert roles == {"x": "numeric", "after": "left out", "code": "left out", "fine": "numeric"}


def test_the_label_is_found_by_its_name_or_its_place(planned: Planned) -> None:
    wide = [f"s{n % 30}" for n in range(N)]  # too many values for a guess by place
    three = ["x", "y", "z"] * (N // 3)
    named = planned({"id": IDS, "Species": wide, "x": AMOUNTS, "city": three})
    assert named.outcome.column == "Species"
    last = planned({"id": IDS, "x": AMOUNTS, "town": wide, "city": three})
    assert last.outcome.column == "city"
