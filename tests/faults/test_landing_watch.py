"""The watch over a real landing folder goes on whatever lies in it, and whoever still copies."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.ingest_label.landing import Landing
from plugins.triggers.landed_files import LandedFilesTrigger

PATTERN = "weather/{partition}/*.csv"
BOUND_S = 20.0


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder where weather lands."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    folder = tmp_path / "landing" / "weather"
    folder.mkdir(parents=True)
    return folder


def land(folder: Path, month: str) -> Path:
    (folder / month).mkdir()
    file = folder / month / "w.csv"
    file.write_text("origin\nEWR\n")
    return file


def first_event(act: Callable[[], object] = lambda: None) -> tuple[dict[str, Any], float]:
    """Give the first event of a watch and after how many seconds it came; act meanwhile."""

    async def acting() -> None:
        while True:
            act()
            await asyncio.sleep(0.1)

    async def watch() -> dict[str, Any]:
        meanwhile = asyncio.create_task(acting())
        events = LandedFilesTrigger("weather_regimes").run()
        try:
            return (await anext(events)).payload
        finally:
            meanwhile.cancel()

    began = time.perf_counter()
    return asyncio.run(asyncio.wait_for(watch(), BOUND_S)), time.perf_counter() - began


def test_a_file_is_reported_a_second_after_it_landed(weather: Path) -> None:
    land(weather, "2013-01")
    event, seconds = first_event()
    assert event == {"changed": [f"{PATTERN} 2013-01"], "count": 1}
    assert 1.0 <= seconds < 5.0


def test_a_name_that_is_not_utf8_does_not_stop_the_watch(weather: Path) -> None:
    land(weather, "2013-01")
    (weather / "2013-01" / os.fsdecode(b"\xff.csv")).write_text("x")
    assert first_event()[0] == {"changed": [f"{PATTERN} 2013-01"], "count": 1}


def test_links_in_a_circle_and_pipes_do_not_stop_the_watch(weather: Path) -> None:
    land(weather, "2013-01")
    for name in ("2013-02", "2013-01/a", "2013-01/b"):
        (weather / name).symlink_to(weather)
    os.mkfifo(weather / "2013-01" / "pipe.csv")
    assert first_event()[0] == {"changed": [f"{PATTERN} 2013-01"], "count": 1}


def test_a_whole_partition_does_not_wait_for_one_that_is_still_copied(weather: Path) -> None:
    land(weather, "2013-01")
    growing = land(weather, "2013-02")

    def copy() -> None:
        with growing.open("a") as file:
            file.write("EWR\n")

    assert first_event(copy)[0] == {"changed": [f"{PATTERN} 2013-01"], "count": 1}


def test_a_copy_that_pauses_is_not_reported_before_it_is_whole(weather: Path) -> None:
    file = land(weather, "2013-01")
    pieces: Iterator[int] = iter(range(24))  # two seconds, with pauses of 0.6 s
    ended = []

    def copy() -> None:
        piece = next(pieces, None)
        if piece is None:
            ended.append(time.perf_counter())
        elif piece % 6 == 0:
            with file.open("a") as opened:
                opened.write("EWR\n")

    assert first_event(copy)[0]["count"] == 1
    assert ended
    assert file.read_text() == "origin\nEWR\n" + "EWR\n" * 4


def test_a_look_at_many_partitions_is_cheap(weather: Path) -> None:
    for month in range(120):
        land(weather, f"{2004 + month // 12}-{month % 12 + 1:02}")
    landing = Landing(str(weather.parent))
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(landing.partitions(PATTERN)) == 120
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05  # about 2 ms at rest
