"""A round in Label Studio: sent, waited for, recorded; and what goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.annotate.choosing import choose_round
from include.errors import ServiceUnavailable
from include.labelling.answers import read_answers
from include.labelling.rounds import append_round, next_number, picture_path, read_round, round_ids
from include.lake.files import LakeFiles
from plugins.hooks import label_studio as hooks
from plugins.hooks.lake import LakeHook
from plugins.operators.label_studio import (
    CollectAnnotationsOperator,
    SendItemsOperator,
    WaitForAnnotationsOperator,
)
from tests.include.annotate.conftest import make  # noqa: F401 - a fixture
from tests.include.conftest import writer
from tests.support.label_studio import TOKEN, LabelStudio, label_studio
from tests.support.scans import DAY, land
from tests.support.tasks import execute, is_small_json, make_context

PEOPLE = {"ask": "label_studio", "connection": "labels", "items": 6}
PNG = bytes.fromhex("89504e470d0a1a0a") + b"and so on"


@pytest.fixture
def studio(monkeypatch) -> Iterator[LabelStudio]:
    with label_studio() as found:
        connection = {"conn_type": "http", "host": found.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
        yield found


class Round:
    """One round of `scans`, and its three tasks."""

    def __init__(self, use_case: Any, number: int) -> None:
        self.use_case = use_case
        self.lake = LakeHook().lake
        run = writer(number)
        self.chosen = choose_round(
            use_case, DAY, self.lake, type(run)(f"run {number}", 1, 1, "test")
        )
        assert self.chosen.number == number, self.chosen.why_not

    def task(self, kind: Any) -> Any:
        return kind(
            task_id="it",
            use_case="scans",
            number=self.chosen.number,
            conn_id="labels",
            partition=DAY,
        )

    def send(self) -> dict[str, Any]:
        return execute(self.task(SendItemsOperator), make_context(key=DAY))

    def wait(self) -> Any:
        return execute(self.task(WaitForAnnotationsOperator), make_context(key=DAY))

    def collect(self) -> dict[str, Any]:
        return execute(self.task(CollectAnnotationsOperator), make_context(key=DAY))

    def key(self) -> str:
        number = self.chosen.number
        return f"{DAY}/{number}/{round_ids(self.use_case, DAY, self.lake)[number]}"

    def verdicts(self, number: int | None = None) -> list[tuple[Any, ...]]:
        rows = read_answers(self.use_case, DAY, self.lake).to_pylist()
        number = number or self.chosen.number
        found = [
            (row["_annotator"] or "", row["_answer"] or "", row["label"], row["_verdict"])
            for row in rows
            if row["_round"] == number
        ]
        return sorted(found, key=str)


@pytest.fixture
def first(make, studio) -> Round:  # noqa: F811
    use_case = make(PEOPLE)
    land(use_case, LakeHook().lake)
    return Round(use_case, 1)


def now(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def test_a_round_is_sent_once_with_cards_in_an_order_that_says_nothing(first, studio):
    found = first.send()

    assert is_small_json(found)
    assert found == {
        "sent": 6, "tasks": 6, "rows_gone": 0, "page": f"{studio.url}/projects/1/data"
    }  # fmt: skip
    sent = [task["data"] for task in studio.held.values()]
    assert [data["item"] for data in sent] == sorted(one.item for one in first.chosen.items)
    assert {data["round"] for data in sent} == {first.key()}
    rows = {one.item: one.row for one in first.chosen.items}
    for data in sent:
        assert f"<td>{rows[data['item']]['scan']}</td>" in data["card"]
    again = first.send()
    assert (again["sent"], len(studio.held)) == (0, 6)


def test_a_round_that_was_half_sent_is_completed(first, studio, monkeypatch):
    monkeypatch.setattr(hooks, "_AT_ONCE", 2)
    usual, imports = studio.answer, []

    def breaks_down(method, path, asked, body):
        imports.append(path)
        if path.endswith("import") and sum(each.endswith("import") for each in imports) == 2:
            return 503, {"detail": "restarting"}
        return usual(method, path, asked, body)

    studio.answer = breaks_down
    with pytest.raises(ServiceUnavailable, match="503: restarting"):
        first.send()
    assert len(studio.held) == 2
    assert first.send()["sent"] == 4
    items = [task["data"]["item"] for task in studio.held.values()]
    assert sorted(items) == sorted(one.item for one in first.chosen.items)


def test_two_that_send_at_once_leave_one_task_of_each_item(first, studio):
    usual = studio.answer

    def another_sends_the_same(method, path, asked, body):
        if path.endswith("import"):
            studio.answer = usual
            usual(method, path, asked, body)
        return usual(method, path, asked, body)

    studio.answer = another_sends_the_same
    assert first.send()["sent"] == 6
    items = [task["data"]["item"] for task in studio.held.values()]
    assert sorted(items) == sorted(one.item for one in first.chosen.items)
    assert max(studio.held) == 6, "of each the first stays, whoever looks"


def test_pictures_go_with_their_items_and_a_row_that_is_gone_does_not(make, studio):  # noqa: F811
    use_case = make(PEOPLE)
    lake = LakeHook().lake
    land(use_case, lake)
    made = Round(use_case, 1)
    with_one = made.chosen.items[0].item
    LakeFiles(lake).write(picture_path(use_case, DAY, with_one), PNG)
    land(use_case, lake, count=made.chosen.items[1].key["scan"], token=2)  # it, and what follows

    found = made.send()

    left = [one for one in made.chosen.items if one.key["scan"] < made.chosen.items[1].key["scan"]]
    assert found["rows_gone"] == 6 - len(left) > 0
    held = {task["data"]["item"]: task["data"].get("picture") for task in studio.held.values()}
    assert held.keys() == {one.item for one in left}
    for item, picture in held.items():
        assert (picture is not None) == (item == with_one)


def test_a_round_that_has_closed_is_not_sent(first, studio, make):  # noqa: F811
    past = datetime.now(UTC) - timedelta(days=9)
    chosen = type(first.chosen)(
        DAY, next_number(first.use_case, DAY, first.lake), first.chosen.items, past, past
    )
    append_round(first.use_case, chosen, first.lake, model=None, run_id="x")
    first.chosen = read_round(first.use_case, DAY, chosen.number, first.lake)

    with pytest.raises(AirflowFailException, match="must be open, and closed at"):
        first.send()
    assert studio.held == {}


def test_waiting_is_deferred_until_the_round_closes(first):
    with pytest.raises(TaskDeferred) as deferred:
        first.wait()

    trigger = deferred.value.trigger
    assert (trigger.title, trigger.round_key) == ("Flywheel: scans", first.key())
    assert trigger.annotators == 1
    assert datetime.fromisoformat(trigger.closes_at) == first.chosen.closes_at
    operator = first.task(WaitForAnnotationsOperator)
    go_on = getattr(operator, deferred.value.method_name)
    for why in ("answered", "closed"):
        assert go_on(make_context(key=DAY), {"why": why, "told": ""}) == why
    for why in ("gone", "refused"):
        with pytest.raises(AirflowFailException, match="what to do"):
            go_on(make_context(key=DAY), {"why": why, "told": "what to do"})


def test_each_annotation_is_recorded_with_what_became_of_it(first, studio):
    first.send()
    studio.users.append({"id": 2, "email": "bob@x"})
    studio.annotate(1, "letter", updated_at=now())
    studio.annotate(2, "bill", updated_at=now(seconds=-9))
    studio.annotate(2, "form", updated_at=now(seconds=-5))  # the same annotator, again
    studio.annotate(3, "poem", updated_at=now())
    studio.annotate(4, was_cancelled=True, updated_at=now())
    studio.annotate(5, "letter", "bill", by=2, updated_at=now())
    studio.held[7] = {**studio.held[1], "id": 7, "annotations": [],
                      "data": {"item": "made up", "round": first.key()}}  # fmt: skip
    studio.annotate(7, "bill", updated_at=now())
    # Label Studio's clock is ahead: what is there when the round closes came before that.
    studio.annotate(5, "form", by=1, updated_at=now(minutes=1))

    done = first.collect()

    assert is_small_json(done)
    assert first.verdicts() == [
        ("", "", None, "nobody"), ("", "", None, "nobody"),
        ("ann@x", "Skip", None, "skipped"), ("ann@x", "bill", 1, "repeated"),
        ("ann@x", "bill", None, "unknown item"), ("ann@x", "form", 2, "counts"),
        ("ann@x", "form", 2, "counts"), ("ann@x", "letter", 0, "counts"),
        ("ann@x", "poem", None, "unknown class"),
        ("bob@x", "(several classes were chosen: letter, bill)", None, "unknown class"),
    ]  # fmt: skip
    assert done["new"] == 10
    assert 6 not in studio.held, "nobody is to work on it in vain"
    assert len(studio.held) == 6
    assert first.collect()["new"] == 0


def test_a_malformed_annotation_blocks_neither_its_round_nor_the_next(first, studio):
    first.send()
    for number in studio.held:
        studio.annotate(number, "letter", updated_at=now())
    studio.annotate(4, by=2, updated_at=now(), result=["oops"])

    assert first.collect()["verdicts"] == {"counts": 6, "unknown class": 1}
    assert ("user 2", "a result that cannot be read: 'oops'", None, "unknown class") in (
        first.verdicts()
    )
    second = Round(first.use_case, 2)
    second.send()
    assert second.collect()["verdicts"] == {"nobody": 6}


def test_what_comes_after_the_end_is_recorded_in_the_next_round(first, studio):
    first.send()
    for number in (1, 2, 3):
        studio.annotate(number, "letter", updated_at=now())
    first.collect()
    late = (first.chosen.closes_at + timedelta(seconds=1)).isoformat()
    studio.annotate(3, "form", by=7, updated_at=late)
    second = Round(first.use_case, 2)
    second.send()
    second.collect()

    assert ("user 7", "form", None, "after closing") in second.verdicts(1)
    assert [each for each in second.verdicts(2) if each[3] != "nobody"] == []


def test_an_empty_database_loses_nothing_that_is_recorded_and_the_round_is_sent_again(
    first, studio
):
    first.send()
    studio.annotate(1, "letter", updated_at=now())
    first.collect()
    second = Round(first.use_case, 2)
    second.send()
    studio.restart_empty()

    with pytest.raises(AirflowFailException, match="Clear the task `send_items`"):
        second.collect()
    assert ("ann@x", "letter", 0, "counts") in second.verdicts(1)
    assert second.verdicts(2) == [], "a round that was lost must not be closed with nobody"
    assert second.send()["sent"] == 6
    studio.annotate(min(studio.held), "bill", updated_at=now())
    second.collect()
    assert ("ann@x", "bill", 1, "counts") in second.verdicts(2)
    assert ("ann@x", "letter", 0, "counts") in second.verdicts(1)


def test_answers_of_another_lake_are_not_read(first, studio, monkeypatch, tmp_path):
    """As after the home was made anew: round 1 of the day is asked about again."""
    first.send()
    for number in list(studio.held):
        studio.annotate(number, "letter", updated_at=now())
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "anew"))
    land(first.use_case, LakeHook().lake)
    anew = Round(first.use_case, 1)

    assert anew.lake.uri != first.lake.uri
    assert anew.send()["sent"] == 6
    assert anew.collect()["verdicts"] == {"nobody": 6}


def test_a_round_that_was_retracted_says_so(first):
    first.send()
    first.chosen = replace(first.chosen, number=7)
    with pytest.raises(AirflowFailException, match=r"round 7 of .* was retracted"):
        first.collect()


def test_a_round_that_was_lost_is_not_closed_though_another_has_made_the_project_again(
    first, studio
):
    first.send()
    studio.restart_empty()
    hooks.LabelStudioHook("labels").ensure_project("Flywheel: scans", "<View/>", 1)

    with pytest.raises(AirflowFailException, match=r"no task of the round .*/1/.*send_items"):
        first.collect()
    assert first.verdicts() == []


def test_a_round_that_nobody_answered_can_be_collected_again(first, studio):
    first.send()
    assert first.collect()["verdicts"] == {"nobody": 6}
    assert studio.held == {}
    assert first.collect()["new"] == 0


def test_a_label_studio_that_is_down_is_tried_again_and_a_refused_token_is_not(
    first, studio, monkeypatch
):
    first.send()
    studio.fail = [503]
    with pytest.raises(ServiceUnavailable):
        first.collect()
    connection = {"conn_type": "http", "host": studio.url, "password": "0" * 40}
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
    with pytest.raises(AirflowFailException, match="the Airflow connection 'labels'"):
        first.collect()
    assert first.verdicts() == []
    assert len(studio.held) == 6
