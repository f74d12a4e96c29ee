"""Incidents: one from when a condition is first seen until it is seen no more.

The lake's table `incidents` holds what happened to each, in order, and is only added to: what is
open is computed from it. So two looks at once, or one that dies half way, tell nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from include.alerting.conditions import Condition
from include.labelling.appending import append_new
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

STAGE = "incidents"
TOLD_WITHIN = timedelta(days=1)
"""What no channel took for so long is not sent any more; the table has it."""
_PARTITION = "all"
_COLUMNS = {
    "number": "int64",  # from 1, without gaps: the order, whatever the clocks of workers say
    "incident": "string",
    "kind": "string",
    "subject": "string",
    "event": "string",
    "words": "string",
    "dag": "string",
    "lasts": "bool",
    "channel": "string",  # of `delivered`
    "of": "string",  # of `delivered`: the event that was sent
    "until": "timestamp",  # of `snoozed`
    "at": "timestamp",
}
What = Literal["opened", "updated", "recovered", "snoozed", "delivered"]


@dataclass(frozen=True)
class Event:
    """Something that happened to an incident.

    Attributes
    ----------
    incident : str
        Of which one; see `Incident.id`.
    condition : Condition
        As it was then.
    event : str
        What happened.
    at : datetime
        When, UTC.
    channel, of : str
        Of ``delivered``: to where, and which event.
    until : datetime, optional
        Of ``snoozed``.
    """

    incident: str
    condition: Condition
    event: What
    at: datetime
    channel: str = ""
    of: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """What became of a condition.

    Attributes
    ----------
    id : str
        Kind, subject, and when it was opened.
    condition : Condition
        As it was last seen.
    opened_at : datetime
        When it was first seen, UTC.
    ended_at : datetime or None
        When it was seen no more; of news, when it was told.
    snoozed_until : datetime or None
        Until then nothing is sent.
    delivered : set of (str, str)
        Channel and event of what was sent.
    """

    id: str
    condition: Condition
    opened_at: datetime
    ended_at: datetime | None = None
    snoozed_until: datetime | None = None
    delivered: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def folded(events: Iterable[Event]) -> list[Incident]:
    """Compute the incidents from what happened, oldest first."""
    found: dict[str, Incident] = {}
    for one in events:
        known = found.get(one.incident)
        if one.event == "opened" and known is None:
            ended = None if one.condition.lasts else one.at
            found[one.incident] = Incident(one.incident, one.condition, one.at, ended)
        elif known is None:
            continue
        elif one.event == "updated":
            found[one.incident] = replace(known, condition=one.condition)
        elif one.event == "recovered":
            found[one.incident] = replace(known, ended_at=one.at)
        elif one.event == "snoozed":
            found[one.incident] = replace(known, snoozed_until=one.until)
        elif one.event == "delivered":
            delivered = known.delivered | {(one.channel, one.of)}
            found[one.incident] = replace(known, delivered=delivered)
    return list(found.values())


def changes(incidents: Sequence[Incident], seen: Sequence[Condition], now: datetime) -> list[Event]:
    """Compare what is open with what is seen.

    Returns
    -------
    list of Event
        What opens, has other words, and has recovered.
    """
    unended = {one.condition.name: one for one in incidents if one.ended_at is None}
    told = {one.condition.name for one in incidents if not one.condition.lasts}
    events = []
    for condition in seen:
        known = unended.pop(condition.name, None)
        if known is None and (condition.lasts or condition.name not in told):
            number = "/".join((*condition.name, f"{now:%Y%m%dT%H%M%S}"))
            events.append(Event(number, condition, "opened", now))
        elif known is not None and known.condition != condition:
            events.append(Event(known.id, condition, "updated", now))
    events += [Event(one.id, one.condition, "recovered", now) for one in unended.values()]
    return events


def due(incidents: Sequence[Incident], channel: str, now: datetime) -> list[tuple[Incident, What]]:
    """Say what is to be sent to a channel.

    Of an incident that ended before its beginning was sent nothing is sent, and nothing that is
    older than `TOLD_WITHIN` and has ended.
    """
    found: list[tuple[Incident, What]] = []
    for one in incidents:
        if one.snoozed_until is not None and now < one.snoozed_until:
            continue
        began, ended = ((channel, event) in one.delivered for event in ("opened", "recovered"))
        lasts = one.condition.lasts
        if one.ended_at is None and not began:
            found.append((one, "opened"))
        elif one.ended_at is not None and now - one.ended_at <= TOLD_WITHIN:
            if not lasts and not began:
                found.append((one, "opened"))
            elif lasts and began and not ended:
                found.append((one, "recovered"))
    return found


def incidents_of(lake: Lake, use_case: str) -> list[Incident]:
    """Read the incidents of a use case, oldest first; those with no end are open.

    Raises
    ------
    ServiceUnavailable
        The store does not answer.
    """
    return folded(_events(lake, use_case))


def _events(lake: Lake, use_case: str) -> list[Event]:
    table = lake.table(use_case, STAGE)
    rows = table.read().to_pylist() if table.exists() else []
    return [_event(row) for row in sorted(rows, key=lambda row: row["number"])]


def look(
    use_case: UseCase, lake: Lake, seen: Sequence[Condition], now: datetime, writer: Writer
) -> list[Event]:
    """Write what has changed, and return it.

    Raises
    ------
    ServiceUnavailable
        The store does not answer, or others write at the same time.
    """

    def changed() -> tuple[list[dict[str, Any]], list[Event]]:
        before = _events(lake, use_case.name)
        events = changes(folded(before), seen, now)
        return [_row(one, number) for number, one in enumerate(events, len(before) + 1)], events

    return append_new(
        use_case, lake.table(use_case.name, STAGE), _PARTITION, _SCHEMA, changed, writer
    )


def add(use_case: UseCase, lake: Lake, event: Event, writer: Writer) -> None:
    """Write that something was sent, or that a person wants to hear no more of it for a while."""

    def asked() -> tuple[list[dict[str, Any]], None]:
        before = _events(lake, use_case.name)
        (known,) = (one for one in folded(before) if one.id == event.incident)
        there = event.event == "delivered" and (event.channel, event.of) in known.delivered
        return [] if there else [_row(event, len(before) + 1)], None

    append_new(use_case, lake.table(use_case.name, STAGE), _PARTITION, _SCHEMA, asked, writer)


_SCHEMA = arrow_schema(_COLUMNS)


def _row(event: Event, number: int) -> dict[str, Any]:
    condition = event.condition
    return {
        "number": number,
        "incident": event.incident,
        "kind": condition.kind,
        "subject": condition.subject,
        "event": event.event,
        "words": condition.words,
        "dag": condition.dag,
        "lasts": condition.lasts,
        "channel": event.channel,
        "of": event.of,
        "until": event.until,
        "at": event.at,
    }


def _event(row: Mapping[str, Any]) -> Event:
    condition = Condition(row["kind"], row["subject"], row["words"], row["dag"], row["lasts"])
    until = None if row["until"] is None else row["until"].astimezone(UTC)
    at = row["at"].astimezone(UTC)
    return Event(row["incident"], condition, row["event"], at, row["channel"], row["of"], until)
