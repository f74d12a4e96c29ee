"""Answers: each is recorded once, and whether it counts is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.annotate.choosing import choose_round
from include.errors import DataContractError
from include.labelling.answers import read_answers, record_answers
from include.labelling.asking import Answer, Box, Round
from include.labelling.boxes import read_boxes
from include.lake.table import Lake
from include.use_cases.schema import UseCase
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.annotate.conftest import scans as scans
from tests.include.conftest import writer
from tests.support.scans import DAY, land

HOUR = timedelta(hours=1)


def asked(use_case: UseCase, lake: Lake) -> Round:
    land(use_case, lake)
    return choose_round(use_case, DAY, lake, writer(1))


def say(item: str, answer: str | None, who: str | None = "ann", **how: Any) -> Answer:
    how = {"answered_at": datetime.now(UTC), "external": f"{who} {answer}", **how}
    return Answer(item, who, answer, **how)


def record(use_case: UseCase, lake: Lake, *answers: Answer, **how: Any) -> Any:
    return record_answers(use_case, DAY, 1, answers, lake, writer(2), **{"via": "airflow", **how})


def verdicts(use_case: UseCase, lake: Lake) -> dict[str, tuple[str, int | None]]:
    """Return verdict and label of each answer, by its external name."""
    rows = read_answers(use_case, DAY, lake).to_pylist()
    return {row["_external"]: (row["_verdict"], row["label"]) for row in rows}


def test_each_kind_of_answer_has_its_verdict_and_none_is_dropped(make, lake):
    scans = make({"trusted": ["ann", "bob"]})
    made = asked(scans, lake)
    one, two = made.items[0].item, made.items[1].item
    late = made.closes_at + HOUR
    done = record(
        scans,
        lake,
        say(one, "bill", external="fine"),
        say(two, "Skip", external="skip"),
        say(one, None, "bob", external="cancelled"),
        say("0123456789abcdef", "bill", external="stranger"),
        say(two, "cheque", external="class"),
        say(two, "bill", "mallory", external="untrusted"),
        say(two, "bill", "bob", answered_at=late, external="late"),
        say(two, "Skip", None, external="time-out"),
    )
    assert verdicts(scans, lake) == {
        "fine": ("counts", 1),
        "skip": ("skipped", None),
        "cancelled": ("skipped", None),
        "stranger": ("unknown item", None),
        "class": ("unknown class", None),
        "untrusted": ("not trusted", None),
        "late": ("after closing", None),
        "time-out": ("nobody", None),
    }
    assert (done.new, done.items, done.closed) == (8, 10, False)
    stranger = next(
        row for row in read_answers(scans, DAY, lake).to_pylist() if row["_external"] == "stranger"
    )
    assert stranger["scan"] is None


def test_an_email_address_is_trusted_however_it_is_spelled_and_a_user_name_is_not(make, lake):
    scans = make({"trusted": ["Ann@Example.com ", "Bob"]})
    item = asked(scans, lake).items[0].item
    record(scans, lake, *(say(item, "bill", who) for who in ("ann@example.COM", "bob", "Bob")))
    assert {name: verdict for name, (verdict, _) in verdicts(scans, lake).items()} == {
        "ann@example.COM bill": "counts", "bob bill": "not trusted", "Bob bill": "counts"
    }  # fmt: skip


def test_an_adjudicator_is_trusted_without_standing_there_twice(make, lake):
    scans = make({"trusted": ["ann"], "adjudicators": ["uwe"]})
    item = asked(scans, lake).items[0].item
    record(scans, lake, *(say(item, "bill", who) for who in ("ann", "uwe", "eve")))
    assert {name: verdict for name, (verdict, _) in verdicts(scans, lake).items()} == {
        "ann bill": "counts", "uwe bill": "counts", "eve bill": "not trusted"
    }  # fmt: skip


def test_an_answer_that_is_handed_in_again_is_recorded_once(scans, lake):
    made = asked(scans, lake)
    said = say(made.items[0].item, "bill")
    assert record(scans, lake, said, said).new == 1
    assert record(scans, lake, said).new == 0
    assert record(scans, lake, said, via="label_studio").new == 1


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_an_annotators_answers_the_last_counts_in_whichever_order_they_come(
    scans, lake, newest_first
):
    made = asked(scans, lake)
    item, now = made.items[0].item, datetime.now(UTC)
    answers = [
        say(item, "letter", answered_at=now, external="old"),
        say(item, "form", answered_at=now + HOUR, external="new"),
        say(item, "bill", "bob", answered_at=now - HOUR, external="other"),
    ]
    for one in reversed(answers) if newest_first else answers:
        record(scans, lake, one)
    assert verdicts(scans, lake) == {
        "old": ("repeated", 0),
        "new": ("counts", 2),
        "other": ("counts", 1),
    }


def test_trust_and_classes_count_as_they_are_when_answers_are_read(make, lake):
    scans = make()
    made = asked(scans, lake)
    first, second, third = (one.item for one in made.items[:3])
    record(
        scans,
        lake,
        say(first, "bill"),
        say(second, "form", "bob"),
        say(third, "cheque", external="later a class"),
    )
    labels = {"classes": ["letter", "form", "cheque", "bill"]}
    changed = make({"trusted": ["ann"]}, labels=labels)
    assert verdicts(changed, lake) == {
        "ann bill": ("counts", 3),
        "bob form": ("not trusted", None),
        "later a class": ("counts", 2),
    }


def test_a_round_that_is_closed_says_which_answers_did_not_come(scans, lake):
    made = asked(scans, lake)
    at = datetime.now(UTC) + timedelta(minutes=1)
    done = record(scans, lake, say(made.items[0].item, "bill"), closed_at=at)
    assert (done.verdicts, done.closed, done.new) == ({"counts": 1, "nobody": 9}, True, 10)
    assert record(scans, lake, closed_at=at).new == 0


def test_after_a_round_was_collected_a_change_does_not_count_until_it_is_collected_again(
    scans, lake
):
    made = asked(scans, lake)
    first, second = (one.item for one in made.items[:2])
    said = made.asked_at + timedelta(minutes=1)
    record(scans, lake, say(first, "bill", answered_at=said), closed_at=said + timedelta(minutes=1))
    late = say(first, "form", answered_at=said + HOUR, external="changed")
    in_time = say(second, "form", answered_at=said, external="in time")
    done = record(scans, lake, late, in_time)
    assert done.closed
    told = verdicts(scans, lake)
    assert (told["ann bill"], told["changed"]) == (("counts", 1), ("after closing", None))
    assert told["in time"] == ("counts", 2)
    again = say(first, "form", answered_at=said + 2 * HOUR, external="asked again")
    record(scans, lake, again, closed_at=said + 3 * HOUR)
    told = verdicts(scans, lake)
    assert (told["ann bill"], told["asked again"]) == (("repeated", 1), ("counts", 2))
    past = say(first, "bill", answered_at=made.closes_at + HOUR, external="past")
    record(scans, lake, past, closed_at=made.closes_at + 2 * HOUR)
    assert verdicts(scans, lake)["past"] == ("after closing", None)


def test_boxes_are_kept_in_every_version(scans, lake):
    made = asked(scans, lake)
    item, now = made.items[0].item, datetime.now(UTC)
    box = Box("stamp", 1, 2, 30, 40, 100, 200)
    drawn = say(item, "bill", boxes=[box, box], answered_at=now, external="1")
    again = say(item, "bill", boxes=[Box("stamp", 5, 2, 30, 40, 100, 200)], answered_at=now + HOUR)
    none = say(item, "bill", answered_at=now + 2 * HOUR)
    for answer in (drawn, drawn, again, none, again):
        record(scans, lake, answer)
    rows = read_boxes(scans, DAY, lake).sort_by("_version").to_pylist()
    assert [(row["_version"], row["_name"], row["_x"]) for row in rows] == [
        (1, "stamp", 1),
        (1, "stamp", 1),
        (2, "stamp", 5),
        (3, None, None),
    ]
    assert rows[0]["scan"] == made.items[0].key["scan"]


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(DataContractError, match="must have a time zone"):
        say("x", "bill", answered_at=datetime(2024, 5, 1))
