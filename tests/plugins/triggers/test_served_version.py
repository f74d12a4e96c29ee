from __future__ import annotations

import asyncio

from include.errors import ServiceUnavailable
from plugins.triggers import served_version
from plugins.triggers.served_version import ServedVersionTrigger


def first_event(trigger: ServedVersionTrigger) -> str:
    async def run() -> str:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("it ended without an event")

    return asyncio.run(asyncio.wait_for(run(), timeout=5))


def test_it_fires_when_the_version_answers_and_outlives_an_outage(monkeypatch):
    answers = [None, "1", ServiceUnavailable("restarting"), "2", "3"]
    asked = []

    def answer(url: str, use_case: str) -> str | None:
        asked.append((url, use_case))
        now = answers[len(asked) - 1]
        if isinstance(now, Exception):
            raise now
        return now

    monkeypatch.setattr(served_version, "served_version_at", answer)
    assert first_event(ServedVersionTrigger("http://x", "air_time", "2", poll_s=0.001)) == "2"
    assert asked == [("http://x", "air_time")] * 4


def test_the_triggerer_makes_it_again_as_it_was():
    path, arguments = ServedVersionTrigger("http://x", "air_time", "2", poll_s=3).serialize()
    assert path == "plugins.triggers.served_version.ServedVersionTrigger"
    again = ServedVersionTrigger(**arguments)
    assert again.serialize() == (path, arguments)
