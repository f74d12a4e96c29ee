"""The wait for annotations: what ends it, and what it outlives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from plugins.hooks.label_studio import LabelStudioHook
from plugins.triggers.annotations import AnnotationsTrigger
from tests.support.label_studio import TOKEN, LabelStudio, label_studio

TITLE, ROUND = "Flywheel: scans", "2024-05-01/1"


@pytest.fixture
def studio(monkeypatch) -> Iterator[LabelStudio]:
    with label_studio() as found:
        connection = {"conn_type": "http", "host": found.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
        hook = LabelStudioHook("labels")
        tasks = [{"data": {"item": str(number), "round": ROUND}} for number in range(3)]
        hook.send(hook.ensure_project(TITLE, "<View/>", 1), tasks)
        yield found


def trigger(**later: float) -> AnnotationsTrigger:
    closes_at = datetime.now(UTC) + timedelta(**later or {"hours": 1})
    return AnnotationsTrigger("labels", TITLE, ROUND, 1, closes_at.isoformat(), poll_s=0.01)


def event_of(waiting: AnnotationsTrigger, within_s: float = 20) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async for event in waiting.run():
            return event.payload
        raise AssertionError("it ended without an event")

    return asyncio.run(asyncio.wait_for(run(), within_s))


def test_it_waits_for_the_last_answer(studio, monkeypatch):
    usual, looks = studio.answer, []

    def answer(method, path, asked, body):
        if path == "/api/users/" or path == "/api/projects/":
            looks.append(path)
            if len(looks) <= 3:
                studio.annotate(len(looks), "letter")
        return usual(method, path, asked, body)

    studio.answer = answer
    assert event_of(trigger()) == {"why": "answered", "told": ""}
    assert len(looks) == 3, "it fires when the third of three is answered, and not before"


def test_the_end_of_the_round_ends_it(studio):
    studio.annotate(1, "letter")
    assert event_of(trigger(seconds=0.2))["why"] == "closed"


def test_it_outlives_an_outage_and_says_so_once_a_minute(studio, caplog):
    studio.fail = [503, 0, 503]
    for number in (1, 2, 3):
        studio.annotate(number, "letter")

    waiting = trigger()
    told = []
    waiting.log.warning = lambda *given: told.append(given)
    assert event_of(waiting)["why"] == "answered"
    assert len(told) == 1


def test_an_outage_does_not_keep_a_round_open(studio):
    studio.fail = [503] * 1000
    assert event_of(trigger(seconds=0.2))["why"] == "closed"


def test_what_is_gone_is_told_with_what_to_do(studio):
    studio.held.clear()
    event = event_of(trigger())
    assert event["why"] == "gone"
    assert "there is no task of the round 2024-05-01/1." in event["told"]
    studio.restart_empty()
    event = event_of(trigger())
    assert event["why"] == "gone"
    assert "there is no project 'Flywheel: scans'." in event["told"]
    assert "Clear the task `send_items`" in event["told"]


def test_a_token_that_is_refused_ends_it(studio, monkeypatch):
    connection = {"conn_type": "http", "host": studio.url, "password": "0" * 40}
    monkeypatch.setenv("AIRFLOW_CONN_LABELS", json.dumps(connection))
    event = event_of(trigger())
    assert event["why"] == "refused"
    assert "'labels' (HTTP 401)" in event["told"]


def test_the_triggerer_makes_it_again_as_it_was():
    path, arguments = trigger().serialize()
    assert path == "plugins.triggers.annotations.AnnotationsTrigger"
    assert TOKEN not in str(arguments)
    again = AnnotationsTrigger(**arguments)
    assert again.serialize() == (path, arguments)
