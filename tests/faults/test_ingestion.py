"""References, rows and labels fail apart: a malformed file of one stops nothing of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.lake.table import Lake
from plugins.operators.ingest_label import (
    IngestLabelsOperator,
    IngestReferencesOperator,
    IngestRowsOperator,
    ReportRefusedOperator,
)
from scripts.land_flights import land_outcomes, land_rows
from tests.support.tasks import OUTLET, emitted, execute, make_context

KINDS = {
    "rows": (IngestRowsOperator, "raw", "flights/2013-01/flights.csv"),
    "labels": (IngestLabelsOperator, "labels", "flight_outcomes/2013-01/outcomes.csv"),
    "references": (IngestReferencesOperator, "reference_planes", "planes/planes.csv"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", str(tmp_path / "lake"))
    monkeypatch.setenv("FLYWHEEL_LANDING_URI", str(tmp_path / "landing"))
    land_rows(tmp_path / "landing", "2013-01")
    land_outcomes(tmp_path / "landing", "2013-01")
    return tmp_path


@pytest.mark.parametrize("broken", KINDS)
def test_a_malformed_file_stops_its_own_kind_only(home, broken):
    file = home / "landing" / KINDS[broken][2]
    file.write_text(file.read_text() + '"never closed\n')
    lake, refused = Lake(str(home / "lake")), {}

    for name, (operator, stage, _) in KINDS.items():
        task = operator(task_id=f"ingest_{name}", use_case="flight_delays", outlets=[OUTLET])
        context = make_context(run_type="asset_triggered", partition=None)
        try:
            execute(task, context)
        except AirflowSkipException:
            assert name == broken
        refused |= context["ti"].pushed.get("refused", {})
        there = lake.table("flight_delays", stage).partitions()
        assert bool(there) is (name != broken), name
        if name == "rows":  # the others start nothing before there are features
            assert (emitted(context)[0] == {"2013-01"}) is (name != broken)

    assert [words for words in refused.values() if file.name in words]
    assert len(refused) == 1

    report = ReportRefusedOperator(
        task_id="report_refused", use_case="flight_delays", task_ids=["ingest_rows"]
    )
    context = make_context(run_type="asset_triggered", partition=None)
    context["ti"].xcom_pull = lambda **_: [refused]
    with pytest.raises(AirflowFailException, match=file.name):
        execute(report, context)
