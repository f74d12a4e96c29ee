"""The watcher fires once for what has landed and holds still, and outlives a store that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.triggers.base import BaseEventTrigger

from include.errors import ConfigError, ServiceUnavailable
from include.ingest_label import landing as landing_module
from include.ingest_label.stillness import Stillness
from include.use_cases import loader
from plugins.triggers import landed_files
from plugins.triggers.landed_files import LandedFilesTrigger

BOUND_S = 20.0
POLL_S = 0.5  # three looks are a second: what is seen in three of them has held still


class Over(BaseException):
    """Ends a watch: the trigger outlives every Exception, as it should."""


class Clock:
    """A clock that moves when somebody sleeps, and remembers for how long."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the watch take no time."""
    clock = Clock()
    monkeypatch.setattr(landed_files, "_clock", lambda: clock.now_s)
    monkeypatch.setattr(landed_files, "_sleep", clock.sleep)
    return clock


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
) -> list[dict[str, Any]]:
    """Let the watcher see these looks one after the other; return the payloads of its events."""
    script = iter(looks)

    def look(self: LandedFilesTrigger) -> dict[str, int]:
        seen = next(script, None)
        if seen is None:
            raise Over
        if isinstance(seen, Exception):
            raise seen
        return seen

    monkeypatch.setattr(LandedFilesTrigger, "_look", look)
    return watched(LandedFilesTrigger("weather_regimes", POLL_S))


A, B = {"a": 1}, {"a": 1, "b": 1}
DOWN = ServiceUnavailable("the store is away")


@pytest.mark.parametrize(
    ("looks", "changed"),
    [
        pytest.param([{}] * 5, [], id="nothing has landed"),
        pytest.param([A, A], [], id="held still for half a second only"),
        pytest.param([A, A, A], [["a"]], id="what was there at the start fires once"),
        pytest.param([A] * 9, [["a"]], id="once, not at each look"),
        pytest.param([{"a": n} for n in range(9)], [], id="still growing"),
        pytest.param([{"a": n // 2} for n in range(9)], [], id="a copy that pauses"),
        pytest.param([{"a": 1}, *[{"a": 2}] * 3], [["a"]], id="grown, then still"),
        pytest.param([A, A, A, B, B, B], [["a"], ["b"]], id="a second file: only that is named"),
        pytest.param(
            [A, B, B, B], [["a"], ["b"]], id="each partition is reported when it has settled"
        ),
        pytest.param(
            [{"a": 1, "b": n} for n in range(9)], [["a"]], id="does not wait for another's copy"
        ),
        pytest.param([A, A, A, *[{"a": 2}] * 3], [["a"], ["a"]], id="written again"),
        pytest.param([A, DOWN, A, A, A], [["a"]], id="survives a failing look"),
        pytest.param([A, A, A, DOWN, A, A, A], [["a"]], id="does not fire again after one"),
        pytest.param([DOWN] * 5, [], id="nothing but failures"),
        pytest.param([A, A, DOWN, A, A], [], id="what was not seen has not held still"),
        pytest.param([A, A, DOWN, A, A, A], [["a"]], id="and then begins anew"),
        pytest.param([A, A, A, {}, {}, {}, A, A, A], [["a"]], id="back unchanged: no news"),
        pytest.param([B, B, B, A, A, A], [["a", "b"]], id="what has gone is no news"),
    ],
)
def test_when_it_fires(monkeypatch, looks, changed):
    assert [fired["changed"] for fired in seeing(monkeypatch, looks)] == changed


def test_an_event_stays_small(monkeypatch):
    many = {f"flights {number:04}": 1 for number in range(500)}
    (payload,) = seeing(monkeypatch, [many] * 3)
    assert payload == {"changed": sorted(many)[:20], "count": 500}
    assert len(json.dumps(payload)) < 1000


def test_stillness_needs_two_looks_however_far_they_are_apart():
    stillness = Stillness(1.0)
    assert stillness.settled(A, 0.0) == []
    assert stillness.settled(A, 0.99) == []
    assert stillness.settled(A, 1.0) == ["a"]
    assert stillness.settled({"a": 2}, 60.0) == []
    assert stillness.settled({"a": 2}, 120.0) == ["a"]


@pytest.fixture
def said(monkeypatch, clock) -> list[tuple[float, str, Any]]:
    """Keep when the watcher warned, the message and the traceback."""
    kept = []
    log = Mock(spec=["warning"])
    log.warning.side_effect = lambda text, *arguments, exc_info: kept.append(
        (clock.now_s - 1000.0, text % arguments, exc_info)
    )
    monkeypatch.setattr(LandedFilesTrigger, "log", log)
    return kept


def test_an_outage_is_looked_at_less_and_less_often_and_logged_once_a_minute(
    monkeypatch, clock, said
):
    fired = seeing(monkeypatch, [A, *[DOWN] * 12, A, A, A, DOWN, A, DOWN])
    assert len(fired) == 1
    growing = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert clock.slept == [0.5, *growing, *[30.0] * 7, 0.5, 0.5, 0.5, 1.0, 0.5, 1.0]
    # Failures 0, 1, 3, 7, 15, 31, 61, 91 ... 211 s after the first, and 242 and 244 s after it.
    assert [at_s - 0.5 for at_s, _, _ in said] == [0.0, 61.0, 121.0, 181.0, 242.5]
    assert said[0][1:] == (
        "Cannot look at the landing area of weather_regimes; trying again in 1.0 s, and logging "
        "at most once a minute: the store is away",
        None,
    )


def test_an_error_of_another_kind_is_logged_with_where_it_arose(monkeypatch, said):
    defect = ZeroDivisionError("a defect")
    seeing(monkeypatch, [defect])
    assert [traceback for _, _, traceback in said] == [defect]


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
    return watched(LandedFilesTrigger("weather_regimes", POLL_S))


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
    assert real_looks(monkeypatch, [*others, nothing, nothing, nothing]) == []


def test_outcomes_and_references_count_too(monkeypatch, home):
    for path in ("flight_outcomes/2013-01/o.csv", "planes/planes.csv", "weather/2013-02/w.csv"):
        append(home / "landing" / path, "x")()
    trigger = LandedFilesTrigger("flight_delays")
    assert set(trigger._look()) == {
        "flight_outcomes/{partition}/*.csv 2013-01",
        "planes/*.csv",
        "weather/{partition}/*.csv 2013-02",
    }


def test_the_landing_is_made_once(monkeypatch, home):
    made = []
    init = landing_module.Landing.__init__

    def counting(self, *arguments, **more):
        made.append(self)
        init(self, *arguments, **more)

    monkeypatch.setattr(landing_module.Landing, "__init__", counting)
    assert real_looks(monkeypatch, [nothing] * 5) == []
    assert len(made) == 1


def test_after_a_refusal_the_landing_is_made_again_with_a_new_login(monkeypatch, home):
    made = []
    init = landing_module.Landing.__init__

    def counting(self, *arguments, **more):
        made.append(self)
        init(self, *arguments, **more)

    def expired():
        raise ServiceUnavailable("ExpiredToken")

    monkeypatch.setattr(landing_module.Landing, "__init__", counting)
    assert real_looks(monkeypatch, [nothing, nothing, expired, nothing, nothing]) == []
    assert len(made) == 2


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Copy a use case to where it can be changed; count how often it is read."""
    folder = tmp_path / "use_cases" / "weather_regimes"
    folder.mkdir(parents=True)
    for name in ("use_case.yaml", "expectations.yaml"):
        (folder / name).write_text((loader.ROOT / "weather_regimes" / name).read_text())
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    reads, get = [], loader.get
    monkeypatch.setattr(loader, "get", lambda name: reads.append(name) or get(name))
    return folder / "use_case.yaml", reads


def test_the_configuration_is_read_again_only_when_it_changes(home, configured):
    path, reads = configured
    append(home / "landing/weather/2013-01/w.csv", "x")()
    append(home / "landing/storms/2013-02/w.csv", "x")()
    trigger = LandedFilesTrigger("weather_regimes", POLL_S)
    for _ in range(5):
        assert list(trigger._look()) == ["weather/{partition}/*.csv 2013-01"]
    assert len(reads) == 1
    path.write_text(path.read_text().replace("landing: weather/", "landing: storms/"))
    for _ in range(5):
        assert list(trigger._look()) == ["storms/{partition}/*.csv 2013-02"]
    assert len(reads) == 2


def test_the_file_of_columns_is_looked_at_too(home, configured):
    path, reads = configured
    columns = path.with_name("columns.yaml")
    columns.write_text("a: string\n")
    trigger = LandedFilesTrigger("weather_regimes", POLL_S)
    trigger._look()
    trigger._look()
    assert len(reads) == 1
    columns.write_text("a: string\nb: string\n")
    trigger._look()
    assert len(reads) == 2


def test_a_broken_configuration_is_an_outage_until_it_is_mended(home, configured):
    path, _ = configured
    good = path.read_text()
    trigger = LandedFilesTrigger("weather_regimes", POLL_S)
    assert trigger._look() == {}
    path.write_text("task: [")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"use_case.yaml"):
            trigger._look()
    path.unlink()
    with pytest.raises(ConfigError, match="There is no use case 'weather_regimes'"):
        trigger._look()
    path.write_text(good)
    assert trigger._look() == {}


def test_the_interval_is_a_setting(monkeypatch):
    assert LandedFilesTrigger("weather_regimes").poll_s == 0.5
    monkeypatch.setenv("FLYWHEEL_LANDING_POLL_S", "5")
    assert LandedFilesTrigger("weather_regimes").poll_s == 5.0
    assert LandedFilesTrigger("weather_regimes", 0.25).poll_s == 0.25
    monkeypatch.setenv("FLYWHEEL_LANDING_POLL_S", "often")
    with pytest.raises(ConfigError, match="FLYWHEEL_LANDING_POLL_S: must be a number of seconds"):
        LandedFilesTrigger("weather_regimes")


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
