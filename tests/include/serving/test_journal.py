from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any, cast

from include.serving.journal import Journal
from include.serving.prediction_log import PredictionLog, Record


class Log:
    """Notes what is written by one call; a call waits until the disk is there."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.disk = threading.Event()

    def write(self, *records: Record) -> None:
        """Write."""
        self.calls.append([record.request_id for record in records])
        self.disk.wait(10)


def record(name: str) -> Record:
    return Record("tiny", name, datetime.now(UTC), 200, 1.0)


def test_what_waits_is_written_by_one_call_and_nobody_goes_on_before() -> None:
    log = Log()

    async def story() -> list[bool]:
        journal = Journal(cast("PredictionLog", log))
        tasks = [asyncio.create_task(journal.write(record("a")))]
        while not log.calls:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(journal.write(record(name))) for name in "bcd"]
        await asyncio.sleep(0.05)  # the event loop goes on while the disk is slow
        before = [task.done() for task in tasks]
        log.disk.set()
        await asyncio.gather(*tasks)
        await journal.write(record("e"))
        journal.close()
        return before

    assert asyncio.run(story()) == [False] * 4
    assert log.calls == [["a"], ["b", "c", "d"], ["e"]]


def test_one_that_is_given_up_harms_no_other() -> None:
    log = Log()

    async def story() -> Any:
        journal = Journal(cast("PredictionLog", log))
        first = asyncio.create_task(journal.write(record("a")))
        while not log.calls:
            await asyncio.sleep(0.001)
        gone, other = (asyncio.create_task(journal.write(record(name))) for name in "bc")
        await asyncio.sleep(0.01)
        gone.cancel()
        log.disk.set()
        await asyncio.gather(first, other)
        journal.close()
        return gone

    assert asyncio.run(story()).cancelled()
    assert log.calls == [["a"], ["b", "c"]], "it was answered or not: it is logged"
