"""Scores the rows of concurrent requests together: 64 rows take hardly longer than one.

The requests of a use case stand in two queues, because thousands of rows take a hundred times as
long as one. Of each queue one batch is scored at a time, by one of a few threads. What arrives
meanwhile is the next batch. Queues that wait for a thread get it in turn, so that no use case keeps
another from it, and large requests have a thread of their own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from structlog.contextvars import bound_contextvars

from include.serving.live import Live
from include.serving.protocol import Rows
from include.serving.scored import Scored

SMALL_ROWS = 64
"""A request of more rows is a large one."""
BATCH_ROWS = 512
"""A batch takes no further request once it has so many rows: scoring them takes about as long as
four batches of one row."""
LONGEST_WAIT_S = 0.002
"""What a request waits for others at most, and only where the last batch was of several."""
_RECENT_S = 0.02
"""For so long after a batch as many requests are expected again."""


@dataclass(eq=False)
class _Waiting:
    live: Live
    rows: Rows
    scored: asyncio.Future[Scored]


class Batcher:
    """Takes the rows of requests, and gives each its scores. Lives in one event loop."""

    def __init__(self) -> None:
        threads = max(2, os.cpu_count() or 1)  # more only make each other wait
        self._threads = {
            False: ThreadPoolExecutor(threads, thread_name_prefix="score"),
            True: ThreadPoolExecutor(1, thread_name_prefix="score-large"),
        }
        self._queues: dict[tuple[str, bool], _Queue] = {}

    async def score(self, live: Live, rows: Rows) -> Scored:
        """Score the rows of one request with a model, in a batch with others of the model.

        Raises
        ------
        Exception
            Whatever these rows alone make the model or its `derive` raise.
        """
        key = (live.model.use_case.name, rows.count > SMALL_ROWS)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(self._threads[key[1]])
        return await queue.score(live, rows)

    def close(self) -> None:
        """End the threads, once what they do is done."""
        for threads in self._threads.values():
            threads.shutdown()


class _Queue:
    """The waiting requests of one use case and size, scored one batch after the other."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._waiting: deque[_Waiting] = deque()
        self._enough = asyncio.Event()
        self._expected = 1
        self._expected_until_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def score(self, live: Live, rows: Rows) -> Scored:
        scored: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(live, rows, scored))
        if len(self._waiting) >= self._expected:
            self._enough.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await scored

    async def _run(self) -> None:
        while self._waiting:
            await self._wait_for_others()
            batch = self._take()
            work = asyncio.get_running_loop().run_in_executor(self._threads, score_each, batch)
            outcomes = await work
            self._expected, self._expected_until_s = len(batch), time.monotonic() + _RECENT_S
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if waiting.scored.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    waiting.scored.set_exception(outcome)
                else:
                    waiting.scored.set_result(outcome)
            await asyncio.sleep(0)  # let those that were answered ask again
        self._task = None

    async def _wait_for_others(self) -> None:
        """Wait for as many requests as the last batch had: clients that were answered ask again."""
        if time.monotonic() > self._expected_until_s:
            self._expected = 1
        if len(self._waiting) < self._expected:
            self._enough.clear()
            try:
                async with asyncio.timeout(LONGEST_WAIT_S):
                    await self._enough.wait()
            except TimeoutError:
                pass

    def _take(self) -> list[_Waiting]:
        """Take the requests that came first, as long as they are for the same model."""
        batch = [self._waiting.popleft()]
        if not batch[0].live.model.rows_apart:
            return batch  # company might change its scores, or would only be waited for
        count = batch[0].rows.count
        while self._waiting and self._waiting[0].live is batch[0].live:
            count += self._waiting[0].rows.count
            if count > BATCH_ROWS:
                break
            batch.append(self._waiting.popleft())
        return batch


def score_each(batch: Sequence[_Waiting]) -> list[Scored | Exception]:
    """Score a batch; one that fails is halved until the requests that make it fail stand alone."""
    live = batch[0].live
    try:
        with bound_contextvars(use_case=live.model.use_case.name, model_version=live.model.version):
            return list(live.score([waiting.rows for waiting in batch]))
    except Exception as error:  # whatever a model or a features.py runs into
        if len(batch) == 1:
            return [error]
        middle = len(batch) // 2
        return score_each(batch[:middle]) + score_each(batch[middle:])
