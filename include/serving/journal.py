"""Writes the records of requests that are answered at the same time with one call."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from include.serving.prediction_log import PredictionLog, Record


class Journal:
    """Writes records to the prediction log in a thread, and says when one is written.

    A disk that is slow delays answers and nothing else: `/health` is answered meanwhile.

    Parameters
    ----------
    log : PredictionLog
        What is written to.
    """

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, record: Record) -> None:
        """Return once the record is in the journal on disk, or counted as lost."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, written))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await written

    def close(self) -> None:
        """End the thread, once it has written."""
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            records = [record for record, _ in batch]
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._log.write, *records
            )
            for _, written in batch:
                if not written.cancelled():
                    written.set_result(None)
        self._task = None
