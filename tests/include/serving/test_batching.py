from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from include.serving import batching
from include.serving.batching import BATCH_ROWS, LONGEST_WAIT_S, SMALL_ROWS, Batcher
from include.serving.live import Live
from include.serving.protocol import Rows
from include.serving.scored import Scored


class Model:
    """Scores a row by its value; notes the batches, and holds one up until `go` is set."""

    def __init__(self, name: str = "tiny", *, rows_apart: bool = True) -> None:
        about = SimpleNamespace(name=name)
        self.model = SimpleNamespace(use_case=about, version="1", rows_apart=rows_apart)
        self.batches: list[list[float]] = []
        self.go = threading.Event()
        self.go.set()

    def score(self, requests: Sequence[Rows]) -> list[Any]:
        """Fail for a batch with the value 13."""
        values = [value for rows in requests for value in rows.columns["x"]]
        self.batches.append(values)
        self.go.wait(10)
        if 13.0 in values:
            raise ValueError("unlucky")
        return [Scored(np.array(rows.columns["x"]) * 10) for rows in requests]


def rows(*values: float) -> Rows:
    return Rows({"x": list(values)}, len(values))


def run(story: Callable[[Batcher], Any]) -> Any:
    async def told() -> Any:
        batcher = Batcher()
        try:
            return await story(batcher)
        finally:
            batcher.close()

    return asyncio.run(told())


def live(model: Model) -> Live:
    return cast("Live", model)


async def held(batcher: Batcher, model: Model, first: float = 1.0) -> asyncio.Task[Any]:
    """Ask once, and hold the answer up, so that what comes next must wait."""
    model.go.clear()
    task = asyncio.create_task(batcher.score(live(model), rows(first)))
    while not model.batches:
        await asyncio.sleep(0.001)
    return task


def test_what_arrives_meanwhile_is_one_batch_and_each_gets_its_own() -> None:
    model = Model()

    async def story(batcher: Batcher) -> list[Any]:
        first = await held(batcher, model)
        others = [batcher.score(live(model), rows(n, n + 0.5)) for n in (2.0, 3.0, 4.0)]
        tasks = [asyncio.create_task(each) for each in others]
        await asyncio.sleep(0.01)
        model.go.set()
        return [each.scores.tolist() for each in await asyncio.gather(first, *tasks)]

    assert run(story) == [[10.0], [20.0, 25.0], [30.0, 35.0], [40.0, 45.0]]
    assert model.batches == [[1.0], [2.0, 2.5, 3.0, 3.5, 4.0, 4.5]]


def test_one_bad_request_harms_nobody_else() -> None:
    model = Model()

    async def story(batcher: Batcher) -> list[Any]:
        first = await held(batcher, model)
        values = (2.0, 13.0, 4.0, 5.0, 6.0)
        tasks = [asyncio.create_task(batcher.score(live(model), rows(n))) for n in values]
        await asyncio.sleep(0.01)
        model.go.set()
        return list(await asyncio.gather(first, *tasks, return_exceptions=True))

    found = run(story)
    assert isinstance(found.pop(2), ValueError)
    assert [each.scores.tolist() for each in found] == [[10.0], [20.0], [40.0], [50.0], [60.0]]
    assert model.batches[-2:] != [[13.0]] * 2, "what failed alone is not tried again"


def test_nobody_waits_where_nobody_else_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LONGEST_WAIT_S", 5.0)
    model = Model()

    async def story(batcher: Batcher) -> float:
        started = time.perf_counter()
        for n in range(10):
            await batcher.score(live(model), rows(float(n)))
        return time.perf_counter() - started

    assert run(story) < 1.0


def test_after_a_batch_of_several_a_request_waits_for_as_many_but_not_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert LONGEST_WAIT_S == 0.002
    monkeypatch.setattr(batching, "LONGEST_WAIT_S", 0.3)
    monkeypatch.setattr(batching, "_RECENT_S", 60.0)
    model = Model()

    async def ask(batcher: Batcher, *values: float) -> None:
        await asyncio.gather(*(batcher.score(live(model), rows(n)) for n in values))

    async def story(batcher: Batcher) -> float:
        first = await held(batcher, model)
        tasks = [asyncio.create_task(batcher.score(live(model), rows(n))) for n in (2.0, 3.0)]
        await asyncio.sleep(0.01)
        model.go.set()
        await asyncio.gather(first, *tasks)
        late = asyncio.create_task(ask(batcher, 4.0))
        await asyncio.sleep(0.01)
        await asyncio.gather(late, ask(batcher, 5.0))
        started = time.perf_counter()
        await ask(batcher, 6.0)
        return time.perf_counter() - started

    waited_s = run(story)
    assert [4.0, 5.0] in model.batches
    assert model.batches[-1] == [6.0]
    assert 0.25 < waited_s < 5


def test_a_large_request_keeps_no_small_one_waiting() -> None:
    slow, other = Model(), Model("other")
    slow.go.clear()
    large = rows(*[0.5] * (SMALL_ROWS + 1))

    async def story(batcher: Batcher) -> list[float]:
        held_up = [asyncio.create_task(batcher.score(live(slow), large)) for _ in range(3)]
        while not slow.batches:
            await asyncio.sleep(0.001)
        quick = Model()
        found = [
            await batcher.score(live(quick), rows(1.0)),  # the same use case
            await batcher.score(live(other), rows(2.0)),
        ]
        assert not any(task.done() for task in held_up)
        slow.go.set()
        await asyncio.gather(*held_up)
        return [each.scores[0] for each in found]

    assert run(story) == [10.0, 20.0]


def test_a_batch_is_bounded() -> None:
    model, count = Model(), SMALL_ROWS

    async def story(batcher: Batcher) -> None:
        first = await held(batcher, model)
        many = [batcher.score(live(model), rows(*[2.0] * count)) for _ in range(20)]
        tasks = [asyncio.create_task(each) for each in many]
        await asyncio.sleep(0.01)
        model.go.set()
        await asyncio.gather(first, *tasks)

    run(story)
    assert max(map(len, model.batches)) == BATCH_ROWS
    assert sum(map(len, model.batches)) == 1 + 20 * count


def test_two_models_are_never_one_batch() -> None:
    old, new = Model(), Model()

    async def story(batcher: Batcher) -> None:
        first = await held(batcher, old)
        tasks = [
            asyncio.create_task(batcher.score(live(model), rows(n)))
            for model, n in ((old, 2.0), (new, 3.0), (new, 4.0), (old, 5.0))
        ]
        await asyncio.sleep(0.01)
        old.go.set()
        await asyncio.gather(first, *tasks)

    run(story)
    assert old.batches == [[1.0], [2.0], [5.0]]
    assert new.batches == [[3.0, 4.0]]


def test_requests_to_a_model_whose_rows_depend_on_each_other_stay_alone() -> None:
    model = Model(rows_apart=False)

    async def story(batcher: Batcher) -> None:
        first = await held(batcher, model)
        tasks = [asyncio.create_task(batcher.score(live(model), rows(n))) for n in (2.0, 3.0)]
        await asyncio.sleep(0.01)
        model.go.set()
        await asyncio.gather(first, *tasks)

    run(story)
    assert model.batches == [[1.0], [2.0], [3.0]]
