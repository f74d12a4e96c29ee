"""What the report says of people: agreement, annotators, conflicts, boxes; by hand."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.annotate.choosing import choose_round
from include.annotate.publish import publish_people
from include.label.report import report_labels
from include.labelling.annotators import Finding, report_people
from include.labelling.answers import record_answers
from include.labelling.asking import Answer, Box, Item
from include.lake.table import Lake
from include.use_cases.schema import UseCase
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.annotate.conftest import scans as scans
from tests.include.conftest import writer
from tests.support.scans import DAY, land, truth

NAMES = ("letter", "bill", "form")
STUDIO = {"ask": "label_studio", "connection": "label_studio", "picture": {"python": "picture"}}


def stamp(x: float) -> Box:
    return Box("stamp", x, 0, 10, 10, 100, 50)


def answer(
    use_case: UseCase,
    lake: Lake,
    said: dict[str, list[str]],
    boxes: dict[str, list[Box]] | None = None,
) -> list[Item]:
    """Ask once; let annotators answer, each one item after the other."""
    items = choose_round(use_case, DAY, lake, writer(1)).items
    answers = [
        Answer(
            item.item,
            who,
            NAMES[truth(item.key["scan"])] if name == "right" else name,
            datetime.now(UTC),
            f"{who} {place}",
            (boxes or {}).get(who, []) if place == 0 else [],
        )
        for who, names in said.items()
        for place, (item, name) in enumerate(zip(items, names, strict=False))
    ]
    closed = datetime.now(UTC) + timedelta(seconds=1)
    record_answers(use_case, DAY, 1, answers, lake, writer(2), via="test", closed_at=closed)
    return items


def rows_of(rows: list[Finding], topic: str) -> dict[str, tuple[float | None, Any]]:
    return {one.subject: (one.value, json.loads(one.details)) for one in rows if one.topic == topic}


def test_agreement_and_conflicts_are_told(make, lake):
    scans = make({"items": 4, "annotators": 2})
    land(scans, lake, count=20)
    items = answer(
        scans,
        lake,
        {"ann": ["letter", "letter", "bill", "bill"], "bob": ["letter", "bill", "bill", "Skip"]},
    )
    found = report_people(scans, DAY, lake)
    agreed = rows_of(found.rows, "agreement")
    # Three items with two answers. Cohen: observed 2/3, by chance 1/3 * 2/3 + 2/3 * 1/3 = 4/9.
    assert agreed["Cohen's kappa of ann and bob"][0] == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    # Krippendorff: of 6 answers 3 of each class, expected 1 - (2 * 3 * 2) / (6 * 5) = .6.
    assert found.alpha == pytest.approx(1 - (1 / 3) / 0.6)
    assert agreed["Krippendorff's alpha"] == (found.alpha, {"items": 3, "annotators": 2})
    # Fleiss: the same, expected 1 - 2 * .5 ** 2 = .5.
    assert agreed["Fleiss' kappa"][0] == pytest.approx(1 - (1 / 3) / 0.5)
    (conflict,) = rows_of(found.rows, "conflict").items()
    assert json.loads(conflict[0]) == items[1].key
    assert conflict[1] == (
        2.0,
        {"answers": {"ann": "letter", "bob": "bill"}, "asked": 1, "asked again": True},
    )
    assert found.conflicts == 1
    (warning,) = found.warnings
    assert warning.startswith("annotators agree little: Krippendorff's alpha is 0.44 on 3 items")
    told = rows_of(found.rows, "annotator")
    assert told["bob"] == (
        None,
        {
            "answers": {"counts": 3, "skipped": 1},
            "gold": 0,
            "lower": None,
            "upper": None,
            "below": False,
        },
    )


def test_gold_items_tell_who_is_below_the_limit_and_what_becomes_of_the_answers(
    make, lake, tmp_path
):
    lines = "".join(f"{scan},{NAMES[truth(scan)]}\n" for scan in range(4))
    (tmp_path / "use_cases" / "scans" / "gold.csv").write_text("scan,label\n" + lines)
    people = {
        "items": 6, "annotators": 2, "gold": "gold.csv", "gold_items": 4, "min_accuracy": 0.7,
    }  # fmt: skip
    scans = make(people)
    land(scans, lake, count=6)
    wrong = [NAMES[(truth(one) + 1) % 3] for one in range(6)]
    items = choose_round(scans, DAY, lake, writer(1)).items
    by_scan = [wrong[one.key["scan"]] for one in items]
    answer(scans, lake, {"ann": ["right"] * 6, "bob": by_scan})
    found = report_people(scans, DAY, lake)
    assert found.below == ["bob"]
    told = rows_of(found.rows, "annotator")
    assert told["ann"][0] == 1.0
    assert (told["bob"][0], told["bob"][1]["gold"], told["bob"][1]["below"]) == (0.0, 4, True)
    assert told["bob"][1]["upper"] == pytest.approx(1.959964**2 / (4 + 1.959964**2), abs=1e-6)
    assert found.conflicts == 2
    assert any(
        one.startswith("bob is right on 0% of 4 gold items") and one.endswith("count as before.")
        for one in found.warnings
    )
    excluded = report_people(make({**people, "below": "exclude"}), DAY, lake)
    assert excluded.conflicts == 0
    assert excluded.alpha is None, "one annotator counts"
    assert any(one.endswith("the answers no longer count.") for one in excluded.warnings)


def test_what_stays_without_a_label_is_warned_of(make, lake):
    scans = make({"items": 2, "annotators": 2, "ask_again": 0})
    land(scans, lake, count=4)
    answer(scans, lake, {"ann": ["letter", "bill"], "bob": ["bill", "bill"]})
    found = report_people(scans, DAY, lake)
    assert "1 items have contradicting answers after 0 more rounds" in found.warnings[-1]


def test_boxes_are_compared_by_name_and_pictures_that_differ_are_named(make, lake, tmp_path):
    python = "def picture(row):\n    return None\n"
    (tmp_path / "use_cases" / "scans" / "labels.py").write_text(python)
    scans = make({**STUDIO, "boxes": ["stamp"], "items": 2, "annotators": 2})
    land(scans, lake, count=4)
    boxes = {
        "ann": [stamp(0), Box("star", 0, 0, 1, 1, 100, 50)],
        "bob": [stamp(1), stamp(60)],
        "eve": [stamp(200)],
    }
    items = answer(scans, lake, {who: ["right", "right"] for who in boxes}, boxes)
    found = report_people(scans, DAY, lake)
    # Boxes of an unknown name or outside the picture are not read: eve drew none. Of three pairs
    # of annotators one has a pair of boxes, with IoU 9 / 11; 6 boxes are compared.
    value, told = rows_of(found.rows, "boxes")["stamp"]
    assert value == pytest.approx(2 / 6)
    assert told == {"name": "stamp", "drawn": 6, "matched": 2, "mean IoU": pytest.approx(9 / 11)}
    assert [*rows_of(found.rows, "boxes of a picture")] == [items[0].item]


@pytest.mark.parametrize("becomes", ["report", "exclude"])
def test_a_limit_for_gold_items_stands_also_before_anybody_has_answered(
    make, lake, tmp_path, becomes
):
    (tmp_path / "use_cases" / "scans" / "gold.csv").write_text("scan,label\n0,letter\n1,bill\n")
    limit = {"gold": "gold.csv", "gold_items": 2, "min_accuracy": 0.8, "below": becomes}
    scans = make(limit)
    land(scans, lake)
    first = choose_round(scans, DAY, lake, writer(1))
    assert sorted(one.policy for one in first.items) == ["gold"] * 2 + ["random"] * 8
    assert publish_people(scans, DAY, lake, writer(2)).labelled == 0
    found = report_people(scans, DAY, lake)
    assert (found.below, found.warnings) == ([], [])


def test_nobody_has_answered_yet(scans, lake):
    land(scans, lake, count=4)
    found = report_people(scans, DAY, lake)
    assert (found.rows, found.alpha, found.conflicts, found.warnings) == ([], None, 0, [])


def test_the_report_on_labels_holds_what_is_said_of_people(make, lake):
    scans = make({"items": 40, "annotators": 2})
    land(scans, lake, count=60)
    items = answer(scans, lake, {"ann": ["right"] * 40, "bob": ["letter"] * 4})
    publish_people(scans, DAY, lake, writer(3))
    done = report_labels(scans, DAY, lake, writer(4))
    table = lake.table("scans", "label_quality").read([DAY]).to_pylist()
    assert done.strategies == {"people": done.rows}
    assert done.rows == 40 - done.conflicts
    # Of eight answers to four items, by Krippendorff's formula for nominal answers.
    given = Counter(truth(one.key["scan"]) for one in items[:4])
    differ = 4 - given[0]
    given[0] += 4
    expected = (8**2 - sum(count**2 for count in given.values())) / (8 - 1)
    assert done.alpha == pytest.approx(1 - 2 * differ / expected)
    topics = {row["topic"] for row in table}
    assert {"agreement", "annotator", "conflict", "class share", "strategy"} <= topics
    assert all(json.loads(row["details"]) is not None for row in table)
    shares = {row["details"]: row["value"] for row in table if row["topic"] == "class share"}
    assert sum(shares.values()) == pytest.approx(1)
