"""The watcher fires once for what has landed and holds still, and outlives a store that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from plugins.triggers.landed_files import LandedFilesTrigger

BOUND_S = 20.0


class Over(BaseException):
    """Ends a watch: the trigger outlives every Exception, as it should."""


def watched(trigger: LandedFilesTrigger) -> list[dict[str, Any]]:
    """Run a trigger until its looks are `Over`; return the payloads of its events."""
    fired: list[dict[str, Any]] = []

    async def watch() -> None:
        async for event in trigger.run():
            fired.append(event.payload)

    with pytest.raises(Over):
        asyncio.run(asyncio.wait_for(watch(), BOUND_S))
    return fired


def seeing(
    monkeypatch: pytest.MonkeyPatch, looks: Sequence[dict[str, int] | Exception]
) -> list[list[str]]:
    """Let the watcher see these looks one after the other; return what each event said changed."""
    script = iter(looks)

    def look(self: LandedFilesTrigger) -> dict[str, int]:
        seen = next(script, None)
        if seen is None:
            raise Over
        if isinstance(seen, Exception):
            raise seen
        return seen

    monkeypatch.setattr(LandedFilesTrigger, "_look", look)
    return [fired["changed"] for fired in watched(LandedFilesTrigger("weather_regimes", 0.0))]


A, B = {"a": 1}, {"a": 1, "b": 1}
DOWN = OSError("the store is away")


@pytest.mark.parametrize(
    ("looks", "changed"),
    [
        pytest.param([{}, {}, {}], [], id="nothing has landed"),
        pytest.param([A, A], [["a"]], id="what was there at the start fires once"),
        pytest.param([A, A, A, A], [["a"]], id="once, not at each look"),
        pytest.param([{}, A], [], id="seen once: not settled"),
        pytest.param([{}, {"a": 1}, {"a": 2}, {"a": 3}], [], id="still growing"),
        pytest.param([{"a": 1}, {"a": 2}, {"a": 2}], [["a"]], id="grown, then still"),
        pytest.param([A, A, B, B], [["a"], ["b"]], id="a second file: only that one is named"),
        pytest.param([A, A, {"a": 2}, {"a": 2}], [["a"], ["a"]], id="written again"),
        pytest.param([A, DOWN, A, A], [["a"]], id="survives a failing look"),
        pytest.param([A, A, DOWN, A, A], [["a"]], id="does not fire again after one"),
        pytest.param([DOWN, DOWN], [], id="nothing but failures"),
        pytest.param(
            [{"a": 1}, DOWN, {"a": 2}, {"a": 3}], [], id="what was not seen has not held still"
        ),
        pytest.param([A, A, {}, {}, A, A], [["a"]], id="away and back unchanged: no news"),
    ],
)
def test_when_it_fires(monkeypatch, looks, changed):
    assert seeing(monkeypatch, looks) == changed


def test_an_event_stays_small(monkeypatch):
    many = {f"flights {number:04}": 1 for number in range(500)}
    script = iter([many, many])

    def look(self: LandedFilesTrigger) -> dict[str, int]:
        try:
            return next(script)
        except StopIteration:
            raise Over from None

    monkeypatch.setattr(LandedFilesTrigger, "_look", look)
    (payload,) = watched(LandedFilesTrigger("weather_regimes", 0.0))
    assert payload == {"changed": sorted(many)[:20], "count": 500}
    assert len(json.dumps(payload)) < 1000


def real_looks(
    monkeypatch: pytest.MonkeyPatch, before_each: Sequence[Callable[[], object]]
) -> list[dict[str, Any]]:
    """Let the watcher look at the real landing folder, doing one thing before each look."""
    look, script = LandedFilesTrigger._look, iter(before_each)

    def act_and_look(self: LandedFilesTrigger) -> dict[str, int]:
        act = next(script, None)
        if act is None:
            raise Over
        act()
        return look(self)

    monkeypatch.setattr(LandedFilesTrigger, "_look", act_and_look)
    return watched(LandedFilesTrigger("weather_regimes", 0.0))


def append(path: Path, text: str) -> Callable[[], object]:
    def act() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    return act


def nothing() -> None:
    """Let time pass."""


def test_a_real_file_that_grows_fires_when_it_is_whole(monkeypatch, home):
    file = home / "landing" / "weather" / "2013-01" / "weather.csv"
    grow = append(file, "EWR,1\n")
    fired = real_looks(monkeypatch, [nothing, grow, grow, grow, nothing, nothing])
    assert fired == [{"changed": ["weather/{partition}/*.csv 2013-01"], "count": 1}]


def test_only_files_of_the_use_case_count(monkeypatch, home):
    landing = home / "landing"
    others = [
        append(landing / "flights" / "2013-01" / "flights.csv", "x"),
        append(landing / "weather" / "2013-01" / ".weather.csv.7.tmp", "half a file"),
        append(landing / "weather" / "January" / "weather.csv", "no such partition"),
    ]
    assert real_looks(monkeypatch, [*others, nothing, nothing]) == []


def test_outcomes_and_references_count_too(monkeypatch, home):
    for path in ("flight_outcomes/2013-01/o.csv", "planes/planes.csv", "weather/2013-02/w.csv"):
        append(home / "landing" / path, "x")()
    trigger = LandedFilesTrigger("flight_delays")
    assert set(trigger._look()) == {
        "flight_outcomes/{partition}/*.csv 2013-01",
        "planes/*.csv",
        "weather/{partition}/*.csv 2013-02",
    }


def test_serialize_round_trip():
    from airflow.sdk.module_loading import import_string

    path, arguments = LandedFilesTrigger("weather_regimes", poll_s=0.25).serialize()
    json.dumps(arguments)
    again = import_string(path)(**arguments)
    assert isinstance(again, LandedFilesTrigger)
    assert (again.use_case, again.poll_s) == ("weather_regimes", 0.25)
    assert again.serialize() == (path, arguments)


def test_an_asset_may_be_watched_by_it():
    from airflow.sdk import AssetWatcher

    watcher = AssetWatcher(name="landed", trigger=LandedFilesTrigger("weather_regimes"))
    assert isinstance(watcher.trigger, BaseEventTrigger)
