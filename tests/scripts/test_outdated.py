"""`make outdated`: what is printed for a lake whose definition was edited."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from include.due.definitions import DEFINITION, definition_of
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from scripts.outdated import main

NAME = "weather_regimes"
TOKENS = count(1)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Make a home with a month of `raw`, and of `clean` by the definition of today."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    lake = Lake(str(tmp_path / "lake"))
    publish(lake, "raw", {})
    publish(lake, "clean", {DEFINITION: definition_of(get(NAME), "clean")})
    return lake


def publish(lake: Lake, stage: str, made_by: dict[str, int]) -> None:
    data = pa.table({"x": [1]})
    raw = lake.table(NAME, "raw").partition_versions().get("2013-01")
    source = {} if raw is None else {f"{NAME}.raw": raw}
    lake.table(NAME, stage).publish(
        data, partition="2013-01", schema=data.schema, writer=Writer("t", 1, next(TOKENS), "t"),
        consumed={**source, **made_by},
    )  # fmt: skip


def test_what_is_of_today_is_not_listed(lake, capsys):
    assert main() == 0
    assert f"{NAME}: nothing is out of date.\n" in capsys.readouterr().out


def test_what_is_out_of_date_is_listed_with_the_remedy(lake, capsys):
    publish(lake, "clean", {DEFINITION: 0xD1})
    assert main() == 0
    said = capsys.readouterr().out
    assert re.search(
        rf"^{NAME}: clean of 2013-01 \(made by definition 00000000000000d1, whose parts were not "
        rf"noted\)\. Start {NAME}__rebuild with phase=validate_clean, first=2013-01, last=2013-01 "
        r"to make it again\.$",
        said,
        re.MULTILINE,
    ), said
    assert "flight_delays: nothing is out of date." in said


def test_a_setting_that_is_wrong_is_said_in_words(lake, monkeypatch, capsys):
    monkeypatch.setenv("FLYWHEEL_SERVING_PORT", "none")
    assert main() == 1
    assert "must be a port from 1 to 65535" in capsys.readouterr().err
