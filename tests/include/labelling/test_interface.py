"""What Label Studio is sent."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest

from include.labelling.asking import Item
from include.labelling.interface import card, interface, task, title
from include.use_cases.schema import UseCase
from tests.support.three_classes import NAMES, three_classes

PEOPLE = {"ask": "label_studio", "connection": "label_studio"}


def asked(classes: Any = NAMES, **people: Any) -> UseCase:
    held = three_classes().model_dump(by_alias=True, exclude_unset=True)
    held["labels"] |= {"people": PEOPLE | people, "classes": classes}
    return UseCase.model_validate(held)


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - what the test itself has made


def chosen(*names: str, field: str = "label") -> dict[str, Any]:
    return {
        "from_name": field, "to_name": "card", "type": "choices", "value": {"choices": list(names)}
    }  # fmt: skip


def test_the_interface_offers_the_classes_by_keys():
    view = parsed(interface(asked()))
    choices = view.find("Choices")

    assert [each.get("value") for each in choices] == NAMES
    assert [each.get("hotkey") for each in choices] == ["1", "2", "3"]
    assert choices.get("choice") == "single-radio"
    assert choices.get("toName") == view.find("HyperText").get("name")
    assert view.find("Image") is None
    assert view.find("RectangleLabels") is None


def test_ten_classes_have_a_key_and_the_rest_has_none():
    names = [f"class {number}" for number in range(12)]
    keys = [each.get("hotkey") for each in parsed(interface(asked(names))).iter("Choice")]

    assert keys == [*"1234567890", None, None]


def test_a_class_of_one_letter_or_digit_has_its_own_key():
    """The key 1 must not choose the class 0."""
    names = [*"0123456789"]
    choices = parsed(interface(asked(names))).iter("Choice")

    assert [each.get("hotkey") for each in choices] == names


def test_boxes_are_drawn_on_the_picture_and_not_turned():
    use_case = asked(picture={"python": "drawn"}, boxes=["stamp", "signature"])
    view = parsed(interface(use_case))
    boxes = view.find("RectangleLabels")

    assert view.find("Image").get("value") == "$picture"
    assert boxes.get("toName") == view.find("Image").get("name")
    assert boxes.get("canRotate") == "false"
    assert [each.get("value") for each in boxes] == ["stamp", "signature"]


def test_what_a_row_holds_is_shown_and_never_run():
    shown = card({"<i>": "<script>alert('x')</script> & \"", "a": None, "b": math.nan, "at": 3.5})

    table = parsed(shown)
    assert [["".join(cell.itertext()) for cell in line] for line in table] == [
        ["<i>", "<script>alert('x')</script> & \""], ["a", "missing"], ["b", "missing"],
        ["at", "3.5"],
    ]  # fmt: skip


def test_a_long_value_is_cut_and_what_has_no_shape_is_written_out():
    shown = card({"a": "x" * 2_003, "b": "12\x0034\u202e56\n7"})

    cells = [["".join(cell.itertext()) for cell in line] for line in parsed(shown)]
    assert cells == [
        ["a", "x" * 2_000 + " and 3 more characters"], ["b", "12\\u000034\\u202e56\n7"]
    ]  # fmt: skip


def test_a_task_carries_the_champions_answer():
    item = Item(
        item="a1", key={"id": 1}, row={"x": 1}, policy="uncertain", score=0.9, guess=2,
        guess_probability=0.4, picture=None,
    )  # fmt: skip
    sent = task(asked(), item, "2024-05/1", None)

    assert sent["data"] == {"item": "a1", "round": "2024-05/1", "card": card({"x": 1})}
    (prediction,) = sent["predictions"]
    assert prediction["score"] == 0.4
    assert prediction["result"] == [chosen(NAMES[2])]
    assert "uncertain" not in str(sent), "annotators must not see why an item was chosen"


@pytest.mark.parametrize("policy", ["random", "gold"])
def test_what_others_are_measured_by_is_answered_without_a_suggestion(policy):
    """A guess draws answers to itself, and holdouts are made of random items."""
    item = Item(
        item="a1", key={"id": 1}, row={"x": 1}, policy=policy, score=None, guess=2,
        guess_probability=0.4, picture=None,
    )  # fmt: skip
    assert "predictions" not in task(asked(), item, "2024-05/1", None)


def test_without_a_guess_nothing_is_suggested_and_a_picture_is_shown():
    item = Item("a1", {"id": 1}, {}, "random", None, None, None, "x.png")
    sent = task(asked(), item, "2024-05/1", "/data/upload/1/x.png")

    assert sent["data"]["picture"] == "/data/upload/1/x.png"
    assert "predictions" not in sent


def test_titles_fit_and_differ():
    long = "a" * 60
    assert len(title(long)) == len(title(long + "b")) == 50
    assert title(long) != title(long + "b")
    assert title("x" * 40) == "Flywheel: " + "x" * 40
