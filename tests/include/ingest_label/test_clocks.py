"""What has landed, and was retracted, by workers whose clocks differ by an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.ingest_label import inventory as inventory_module
from include.ingest_label import retract as retract_module
from include.ingest_label.retract import retract
from include.use_cases.schema import UseCase
from tests.include.ingest_label.test_inventory import DAY, NEXT, Home

HOURS = pytest.mark.parametrize("hours", [-1, 1])


@pytest.fixture
def home(tmp_path: Path, churn: UseCase) -> Home:
    return Home(tmp_path, churn)


def run_by(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Let the next looks and retractions be those of a worker whose clock is off by some hours."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    for module in (inventory_module, retract_module):
        monkeypatch.setattr(module, "datetime", Clock)


def take_back(home: Home) -> None:
    retract(
        home.use_case, DAY, reason="a test", who="ada",
        landing=home.landing, lake=home.lake, writer=home.writer,
    )  # fmt: skip


@HOURS
def test_what_is_retracted_by_another_clock_is_taken_back(home, monkeypatch, hours):
    landed = home.land("a.csv", (1, 10))
    home.land("b.csv", (2, 20), day=NEXT)
    home.ingest()
    landed.unlink()
    home.take()
    run_by(monkeypatch, hours)
    take_back(home)
    run_by(monkeypatch, 0)
    assert list(home.take().contents) == [NEXT], "the retracted day must not come back"


@HOURS
def test_what_lands_after_a_retraction_by_another_clock_counts(home, monkeypatch, hours):
    home.land("a.csv", (1, 10))
    home.ingest()
    run_by(monkeypatch, hours)
    take_back(home)
    run_by(monkeypatch, 0)
    landed = home.land("a.csv", (1, 11))
    home.ingest()
    assert home.raw() == [(1, 11)]
    landed.unlink()
    assert list(home.take().contents) == [DAY], "rows of a file that is gone stay"


@HOURS
def test_a_correction_that_another_clock_sees_stands_behind_what_it_corrects(
    home, monkeypatch, hours
):
    home.land("b.csv", (1, 10))
    home.take()
    run_by(monkeypatch, hours)
    home.land("a.csv", (1, 11))
    contents = home.take().contents[DAY]
    assert [Path(content.paths[0]).name for content in contents] == ["b.csv", "a.csv"]
