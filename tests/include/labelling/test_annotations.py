"""What annotations of Label Studio say, whatever they hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include.labelling.annotations import NO_CLASS, answers
from include.labelling.asking import SKIP, Box


def annotated(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotation = {
        "id": 7, "result": list(results), "completed_by": 1, "was_cancelled": False,
        "updated_at": "2026-01-02T03:04:05.000006Z", **more,
    }  # fmt: skip
    return {"data": {"item": "a1"}, "annotations": [annotation]}


def chosen(*names: str, field: str = "label") -> dict[str, Any]:
    return {
        "from_name": field, "to_name": "card", "type": "choices", "value": {"choices": list(names)}
    }  # fmt: skip


def box(**more: Any) -> dict[str, Any]:
    value = {"x": 25, "y": 50, "width": 12.5, "height": 10, "rectanglelabels": ["stamp"], **more}
    return {
        "from_name": "boxes", "to_name": "picture", "type": "rectanglelabels",
        "original_width": 200, "original_height": 80,
        "value": {name: given for name, given in value.items() if given is not ...},
    }  # fmt: skip


def said(*results: dict[str, Any], **more: Any) -> Any:
    (answer,) = answers(annotated(*results, **more), {1: "ann@x"})
    return answer


def test_an_annotation_is_an_answer():
    answer = said(chosen("low"))

    assert (answer.item, answer.annotator, answer.answer, answer.external) == (
        "a1", "ann@x", "low", "7"
    )  # fmt: skip
    assert answer.answered_at == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert list(answer.boxes) == []


def test_boxes_come_in_pixels():
    answer = said(box(), chosen("low"), box(x=0, y=0, width=100, height=100))

    assert list(answer.boxes) == [
        Box("stamp", 50, 40, 25, 8, 200, 80), Box("stamp", 0, 0, 200, 80, 200, 80)
    ]  # fmt: skip
    assert answer.answer == "low"


@pytest.mark.parametrize(
    ("results", "more", "expected"),
    [
        ([], {"was_cancelled": True}, SKIP),
        ([chosen("low")], {"was_cancelled": True}, SKIP),
        ([], {}, NO_CLASS),
        ([chosen()], {}, NO_CLASS),
        ([box()], {}, NO_CLASS),
        ([chosen("low", "mid range")], {}, "(several classes were chosen: low, mid range)"),
        ([chosen("low"), chosen("low")], {}, "(several classes were chosen: low, low)"),
        ([chosen("never heard of")], {}, "never heard of"),
        ([chosen("low"), chosen("x", field="mood")], {},
         "a result of the unknown field 'mood' ('choices')"),
        ([{**chosen("low"), "type": "textarea"}], {},
         "a result of the unknown field 'label' ('textarea')"),
        ([{}], {}, "a result of the unknown field None (None)"),
        ([chosen("low"), box(rotation=30)], {}, "a box 'stamp' that is rotated by 30 degrees"),
        ([chosen("low"), {**box(), "image_rotation": 90}], {},
         "a box 'stamp' that is rotated by 90"),
        ([box(rectanglelabels=["a", "b"])], {}, "a box with 2 names, ['a', 'b']"),
        ([box(rectanglelabels=...)], {}, "a box with 0 names, []"),
        ([box(x=...)], {}, "a box 'stamp' without sides in numbers (x: None)"),
        ([box(width=None)], {}, "a box 'stamp' without sides in numbers"),
    ],
)  # fmt: skip
def test_an_annotation_that_is_no_class_says_what_it_is(results, more, expected):
    answer = said(*results, **more)

    assert answer.answer.startswith(expected)
    if answer.answer.startswith("a "):
        assert list(answer.boxes) == [], "boxes of what cannot be read do not count either"


def test_each_annotator_answers_for_themselves():
    several = annotated(chosen("low"))
    several["annotations"] += [
        {**several["annotations"][0], "id": 8, "completed_by": 2, "result": [chosen("mid range")]},
        {**several["annotations"][0], "id": 9, "completed_by": None},
    ]
    found = list(answers(several, {1: "ann@x"}))

    assert [(each.annotator, each.answer, each.external) for each in found] == [
        ("ann@x", "low", "7"), ("user 2", "mid range", "8"), (None, "low", "9")
    ]  # fmt: skip


def test_an_item_without_an_id_is_unknown_and_stays_a_record():
    (answer,) = answers({**annotated(chosen("low")), "data": {"text": "by hand"}}, {1: "ann@x"})

    assert (answer.item, answer.answer) == ("", "low")


UNREADABLE = [
    (None, "results that cannot be read: None"),
    ("oops", "results that cannot be read: 'oops'"),
    (["oops"], "a result that cannot be read: 'oops'"),
    ([1], "a result that cannot be read: 1"),
    ([None], "a result that cannot be read: None"),
    ([{**chosen("low"), "value": "abc"}], "a value that cannot be read: 'abc'"),
    ([{**chosen("low"), "value": ["low"]}], "a value that cannot be read: ['low']"),
    ([{**chosen("low"), "value": None}], "a value that cannot be read: None"),
    ([{**chosen("low"), "value": {"choices": 5}}], "choices that cannot be read: 5"),
    ([{**chosen("low"), "value": {"choices": "bill"}}], "choices that cannot be read: 'bill'"),
    ([{**chosen("low"), "value": {"choices": [["low"]]}}], "a name among choices that cannot"),
    ([{**chosen("low"), "from_name": ["label"]}], "a result of the unknown field ['label']"),
    ([box(rectanglelabels=5)], "rectanglelabels that cannot be read: 5"),
    ([box(rectanglelabels="s")], "rectanglelabels that cannot be read: 's'"),
    ([box(rectanglelabels=[None])], "a name among rectanglelabels that cannot be read: None"),
    ([{**box(), "original_width": float("inf")}], "a box 'stamp' without sides in numbers"),
    ([{**box(), "original_width": 10**400}], "a box 'stamp' without sides in numbers"),
    ([box(x=float("nan"))], "a box 'stamp' without sides in numbers (x: nan)"),
    ([box(x="5")], "a box 'stamp' without sides in numbers (x: 5)"),
    ([box(x=True)], "a box 'stamp' without sides in numbers (x: True)"),
    ([box(rotation="up")], "a box 'stamp' that is rotated by 'up' degrees"),
    ([{**chosen("low"), "type": "x" * 9_999}], "a result of the unknown field 'label' ('xxx"),
]


@pytest.mark.parametrize(("results", "expected"), UNREADABLE)
def test_one_malformed_annotation_says_so_and_holds_nothing_up(results, expected):
    """Label Studio's REST API takes a result of any shape."""
    task = annotated(chosen("low"))
    task["annotations"].append({**task["annotations"][0], "id": 8, "result": results})
    good, bad = answers(task, {1: "ann@x"})

    assert good.answer == "low"
    assert bad.answer.startswith(expected)
    assert len(bad.answer) <= 300
    assert (bad.annotator, list(bad.boxes)) == ("ann@x", [])


def test_several_classes_are_never_read_as_one_with_a_comma_in_its_name():
    assert said(chosen("a", "b")).answer not in ("a", "b", "a, b")
    assert said(chosen("a, b")).answer == "a, b"


def test_half_a_surrogate_pair_is_written_out():
    """JSON may hold one, UTF-8 may not: recording would fail on it each time."""
    half = json.loads('"\\ud800"')
    answer = said(chosen(half), box(rectanglelabels=[half]))

    assert answer.answer == "\\ud800"
    assert answer.boxes[0].name.encode() == b"\\ud800"
