"""Finding what landed, and taking the reference tables in; in a real landing folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.ingest_label.ingest import ReferenceIngested
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from plugins.operators.ingest_label import FindLandedOperator, IngestReferencesOperator
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

PLANES = "tailnum,year,seats\nN1,1999,100\nN2,2004,50\n"


def land(home: Path, pattern: str, text: str = "x\n1\n") -> None:
    path = home / "landing" / pattern
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(what: str = "raw", **params: Any) -> list[str]:
    task = FindLandedOperator(task_id="find", use_case="flight_delays", what=what)
    return execute(task, make_context(**params))


@pytest.fixture
def landed(home):
    for month in ("2013-01", "2013-02"):
        land(home, f"flights/{month}/flights.csv")
    land(home, "flight_outcomes/2013-01/outcomes.csv")
    return home


def test_nothing_has_landed(home):
    assert found() == []
    assert found("labels") == []


def test_rows_and_outcomes_are_found_apart(landed):
    assert found() == ["2013-01", "2013-02"]
    assert found("labels") == ["2013-01"]
    assert found(partition=None) == ["2013-01", "2013-02"], "the form left empty"


def test_one_partition_is_asked_for(landed):
    assert found(partition="2013-02") == ["2013-02"]
    assert found("labels", partition="2013-02") == [], "its outcomes have not come yet"


@pytest.mark.parametrize("what", ["raw", "labels"])
def test_an_unknown_partition_says_what_landed(landed, what):
    with pytest.raises(
        AirflowFailException,
        match=rf"Partition '2013-07' is not in the landing area, {landed}/landing/flights/.*"
        r"There is: 2013-01, 2013-02\. ",
    ):
        found(what, partition="2013-07")


def test_force_takes_what_is_processed(landed, monkeypatch):
    from include.ingest_label import ingest

    monkeypatch.setattr(ingest, "find_unprocessed", lambda *_: ingest.Work([], [], []))
    assert found() == []
    assert found(force=True) == ["2013-02"], "the latest"
    assert found(force=True, partition="2013-01") == ["2013-01"]


def test_force_with_nothing_landed(home):
    assert found(force=True) == []


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_finding_fails_in_airflows_words(stub, error, seen):
    stub("include.ingest_label.ingest.landed_partitions", error)
    with pytest.raises(seen, match=str(error)):
        found()


def references(context: dict[str, Any]) -> list[dict[str, Any]]:
    task = IngestReferencesOperator(
        task_id="references", use_case="flight_delays", outlets=[OUTLET]
    )
    return execute(task, context)


def test_references_are_published_once(home):
    land(home, "planes/planes.csv", PLANES)
    published = references(make_context(attempt=1))
    facts = {"name": "planes", "partition": "all", "rows": 2, "version": 0}
    assert [{k: one[k] for k in facts} for one in published] == [facts]
    assert is_small_json(published)

    again = make_context(attempt=2)
    with pytest.raises(AirflowSkipException, match="No reference table has changed"):
        references(again)
    assert emitted(again) == (set(), {})
    table = Lake(str(home / "lake")).table("flight_delays", "reference_planes")
    assert (table.version(), table.read().num_rows) == (0, 2)


def test_references_that_land_by_partition_make_their_partitions_due(home):
    land(home, "planes/planes.csv", PLANES)
    columns = "origin,time_hour,temp,dewp,humid,wind_speed,precip,visib,pressure\n"
    for month in ("2013-01", "2013-02"):
        row = f"EWR,{month}-01T06:00:00Z,39.0,26.0,59.4,10.4,0.0,10.0,1012.0\n"
        land(home, f"weather/{month}/weather.csv", columns + row)
    context = make_context()
    references(context)
    partitions, extra = emitted(context)
    assert partitions == {"2013-01", "2013-02"}
    assert extra == {"references": ["planes", "weather"]}


def test_references_get_the_places_of_the_settings(stub):
    one = ReferenceIngested("planes", "all", 2, 0, 1)
    double = stub("include.ingest_label.ingest.ingest_references", [one, one])
    assert [each["rows"] for each in references(make_context())] == [2, 2]
    (config, landing, lake, writer), _ = double.call_args
    assert config.name == "flight_delays"
    assert isinstance(landing, Landing)
    assert isinstance(lake, Lake)
    assert writer.attempt == 1


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_references_fail_in_airflows_words(stub, error, seen):
    stub("include.ingest_label.ingest.ingest_references", error)
    with pytest.raises(seen, match=str(error)):
        references(make_context())


def test_a_malformed_reference_fails_at_once_with_file_and_line(home):
    land(home, "planes/planes.csv", PLANES + "N3,nineteen,1\n")
    with pytest.raises(
        AirflowFailException,
        match=r"planes\.csv: column 'year' must be int64.*"
        r"'nineteen' in row 4 \(the header is row 1\)",
    ):
        references(make_context())


def test_processing_again_takes_rows_and_outcomes(landed):
    assert found(force=True) == ["2013-02"], "the latest that landed"
    assert found("labels", force=True) == ["2013-01"]
    assert found(partition="2013-01", force=True) == ["2013-01"]
    assert found("labels", partition="2013-02", force=True) == [], "its outcomes have not come yet"
