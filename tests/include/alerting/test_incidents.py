"""One alert an incident: whatever the order of looks, deaths between them, and flapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.alerting.conditions import Condition
from include.alerting.incidents import (
    Event,
    Incident,
    add,
    changes,
    due,
    folded,
    incidents_of,
    look,
)
from include.lake.table import Lake, Writer
from tests.support.packages import tiny_use_case

START = datetime(2026, 12, 1, tzinfo=UTC)
MAIL = "mail"
DRIFT = Condition("drift", "", "The data of 2026-11 differ.", "drift_monitor")
LATE = Condition("rows_late", "", "No rows have come.", "ingest_label")
NEWS = Condition("promoted", "1", "Version 1 serves.", "deploy", lasts=False)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def delivered(incident: Incident, of: str, when: datetime, channel: str = MAIL) -> Event:
    return Event(incident.id, incident.condition, "delivered", when, channel, of)


def test_an_incident_is_told_when_it_begins_and_when_it_is_over() -> None:
    events = changes([], [DRIFT], at(0))
    (incident,) = folded(events)
    assert incident.id == "drift//20261201T000000"
    assert due([incident], MAIL, at(0)) == [(incident, "opened")]
    assert changes([incident], [DRIFT], at(10)) == [], "a second look tells nothing new"
    events.append(delivered(incident, "opened", at(1)))
    assert due(folded(events), MAIL, at(10)) == []
    events += changes(folded(events), [], at(20))
    (incident,) = folded(events)
    assert incident.ended_at == at(20)
    assert due([incident], MAIL, at(20)) == [(incident, "recovered")]
    events.append(delivered(incident, "recovered", at(21)))
    assert due(folded(events), MAIL, at(30)) == []
    assert [one.event for one in changes(folded(events), [DRIFT], at(40))] == ["opened"]


def test_other_words_are_kept_and_not_sent_again() -> None:
    events = changes([], [DRIFT], at(0))
    events.append(delivered(folded(events)[0], "opened", at(1)))
    other = Condition("drift", "", "The data of 2026-12 differ.", "drift_monitor")
    events += changes(folded(events), [other], at(10))
    (incident,) = folded(events)
    assert (events[-1].event, incident.condition) == ("updated", other)
    assert due([incident], MAIL, at(10)) == []


def test_what_ended_before_it_was_sent_is_not_sent_at_all() -> None:
    events = changes([], [DRIFT], at(0))
    events += changes(folded(events), [], at(10))
    assert due(folded(events), MAIL, at(10)) == []


def test_a_channel_that_failed_is_tried_again_and_the_others_hear_nothing_twice() -> None:
    events = changes([], [DRIFT], at(0))
    events.append(delivered(folded(events)[0], "opened", at(1), "sns"))
    (incident,) = folded(events)
    assert due([incident], "sns", at(10)) == []
    assert due([incident], MAIL, at(10)) == [(incident, "opened")]


def test_news_is_told_once_and_for_a_day_only() -> None:
    events = changes([], [NEWS], at(0))
    (incident,) = folded(events)
    assert due([incident], MAIL, at(10)) == [(incident, "opened")]
    assert due([incident], MAIL, at(25 * 60)) == [], "nobody took it for a day"
    assert changes([incident], [NEWS], at(10)) == changes([incident], [], at(10)) == []


def test_a_snoozed_incident_says_nothing_until_then() -> None:
    events = changes([], [DRIFT], at(0))
    (incident,) = folded(events)
    events.append(Event(incident.id, DRIFT, "snoozed", at(1), until=at(60)))
    assert due(folded(events), MAIL, at(59)) == []
    assert [what for _, what in due(folded(events), MAIL, at(60))] == ["opened"]


LOOKS = st.lists(st.tuples(st.sets(st.sampled_from([DRIFT, LATE])), st.booleans()), max_size=12)


@given(LOOKS)
def test_each_beginning_and_each_end_is_sent_once(looks: list[tuple[set[Condition], bool]]) -> None:
    """The oracle counts edges; a channel that is down loses only what ended meanwhile."""
    events: list[Event] = []
    sent: list[tuple[str, str]] = []
    for number, (seen, up) in enumerate(looks):
        now = at(10 * number)
        events += changes(folded(events), sorted(seen, key=lambda one: one.kind), now)
        for incident, what in due(folded(events), MAIL, now) if up else ():
            sent.append((incident.id, what))
            events.append(delivered(incident, what, now))
    assert len(sent) == len(set(sent)), "nothing twice"
    before: set[Condition] = set()
    begins = 0
    for seen, _ in looks:
        begins += len(seen - before)
        before = seen
    incidents = folded(events)
    assert len(incidents) == begins
    assert {one.condition for one in incidents if one.ended_at is None} == before
    ends = {name for name, what in sent if what == "recovered"}
    assert ends <= {name for name, what in sent if what == "opened"}
    if all(up for _, up in looks):
        assert sum(what == "opened" for _, what in sent) == begins


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def writer(token: int) -> Writer:
    return Writer("run", 1, token, "test")


def test_two_looks_at_once_open_one_incident(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = tiny_use_case()
    from include.alerting import incidents as module

    read, incidents = module._events, module.incidents_of
    others = [lambda: look(use_case, lake, [DRIFT], at(0), writer(2))]

    def slow(*known: object) -> list[Event]:
        found = read(*known)  # type: ignore[arg-type]
        if others:
            others.pop()()
        return found

    monkeypatch.setattr(module, "_events", slow)
    assert look(use_case, lake, [DRIFT, LATE], at(1), writer(1))[0].condition == LATE
    assert [one.condition for one in incidents(lake, "tiny")] == [DRIFT, LATE]


def test_a_clock_that_goes_back_tells_nothing_twice(lake: Lake) -> None:
    use_case = tiny_use_case()
    look(use_case, lake, [DRIFT], at(60), writer(1))
    (incident,) = incidents_of(lake, "tiny")
    add(use_case, lake, delivered(incident, "opened", at(0)), writer(2))
    assert due(incidents_of(lake, "tiny"), MAIL, at(1)) == []
    (over,) = look(use_case, lake, [], at(2), writer(3))
    assert over.event == "recovered"
    assert look(use_case, lake, [], at(3), writer(4)) == []
    (incident,) = incidents_of(lake, "tiny")
    assert due([incident], MAIL, at(3)) == [(incident, "recovered")]


def test_what_was_written_is_read_as_it_was(lake: Lake) -> None:
    use_case = tiny_use_case()
    assert incidents_of(lake, "tiny") == []
    (opened,) = look(use_case, lake, [DRIFT], at(0), writer(1))
    (incident,) = incidents_of(lake, "tiny")
    assert (incident.condition, incident.opened_at, incident.ended_at) == (DRIFT, at(0), None)
    for token in (2, 3):  # a task that dies after it sent, and its next run
        add(use_case, lake, delivered(incident, "opened", at(token)), writer(token))
    (incident,) = incidents_of(lake, "tiny")
    assert incident.delivered == {(MAIL, "opened")}
    table = lake.table("tiny", "incidents")
    assert table.read().num_rows == 2, "delivered is written once"
    assert opened.incident == incident.id
