"""Taking landed files in: what is new, what is refused, what is left; in a real landing folder."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import FileUnavailable, ServiceUnavailable, SettingsError
from include.ingest_label import ingest, inventory
from include.ingest_label.folder import Folder
from include.ingest_label.landing import Landing
from include.lake.table import Lake, StaleAttempt, Writer
from plugins.operators import landed
from plugins.operators.ingest_label import (
    IngestLabelsOperator,
    IngestReferencesOperator,
    IngestRowsOperator,
    ReportRefusedOperator,
)
from plugins.operators.retract import RetractOperator
from tests.support.tasks import (
    FAILURES,
    OUTLET,
    Attempt,
    emitted,
    execute,
    is_small_json,
    make_context,
)

MONTHS = ["2013-01", "2013-02", "2013-03"]
HEADER = "origin,time_hour,temp,dewp,humid,wind_speed,precip,pressure,visib\n"
PLANES = "tailnum,year,seats\nN1,1999,100\nN2,2004,50\n"
OUTCOMES = "year,month,day,time_hour,carrier,flight,origin,arr_delay\n"
LANDING = Asset(name="weather_regimes.landing")
MORE = AssetAlias("weather_regimes.more_rows")
SCHEDULED = "asset_triggered"
LATER_THAN_NOW = 1_000_000  # runs are an hour apart, from 2013 on


def hour(month: str, temp: object = 39.0) -> str:
    return f"EWR,{month}-01T06:00:00Z,{temp},26.0,59.4,10.4,0.0,1012.0,10.0\n"


def land(home: Path, path: str, text: str) -> Path:
    """Write a file beside its place and rename it, later than all before: a landing is news."""
    target = home / "landing" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.stat().st_mtime_ns if target.exists() else 0
    target.write_text(text)
    if before:
        os.utime(target, ns=(before + 1_000_000, before + 1_000_000))
    return target


def land_hour(home: Path, month: str, temp: object = 39.0) -> Path:
    return land(home, f"weather/{month}/weather.csv", HEADER + hour(month, temp))


def rows_task(use_case: str = "weather_regimes") -> IngestRowsOperator:
    return IngestRowsOperator(
        task_id="ingest_rows",
        use_case=use_case,
        more=MORE,
        landing=LANDING,
        outlets=[OUTLET, MORE],
    )


class Runs:
    """Runs of a task, each later than the former; they keep the context of the last."""

    def __init__(self, task: Any) -> None:
        self.task = task
        self.number = 0
        self.context: dict[str, Any] = {}

    def __call__(self, *, again: bool = False, **how: Any) -> dict[str, Any]:
        """Start a run as an event does; `again`: another attempt of the run before."""
        self.number += 0 if again else 1
        how = {"run_type": SCHEDULED, "partition": None, **how}
        self.context = make_context(run=self.number, **how)
        return execute(self.task, self.context)

    @property
    def events(self) -> set[str]:
        return emitted(self.context)[0]

    @property
    def refused(self) -> dict[str, str]:
        ti: Attempt = self.context["ti"]
        return ti.pushed.get("refused", {})

    @property
    def left(self) -> list[Any]:
        return [event.extra for event in self.context["outlet_events"][MORE].asset_alias_events]


@pytest.fixture
def rows(home: Path) -> Runs:
    return Runs(rows_task())


def raw(home: Path) -> Any:
    return Lake(str(home / "lake")).table("weather_regimes", "raw")


# What is new


def test_nothing_has_landed(rows):
    with pytest.raises(AirflowSkipException, match=r"Nothing new: 0 ingested .*, 0 refused"):
        rows()


def test_one_event_for_each_partition_that_is_new(rows, home):
    for month in MONTHS[:2]:
        land_hour(home, month)
    returned = rows()
    assert (returned["ingested"], returned["changed"]) == (2, 2)
    assert [one["partition"] for one in returned["first"]] == MONTHS[:2]
    assert is_small_json(returned)
    assert emitted(rows.context) == ({"2013-01", "2013-02"}, {})
    assert raw(home).partitions() == MONTHS[:2]

    with pytest.raises(AirflowSkipException, match="Nothing new: 0 ingested"):
        rows()
    land_hour(home, "2013-03")
    rows()
    assert rows.events == {"2013-03"}


def test_a_file_that_lands_again_with_the_same_content_starts_nothing(rows, home):
    land_hour(home, "2013-01")
    rows()
    land_hour(home, "2013-01")
    with pytest.raises(AirflowSkipException, match="Nothing new: 0 ingested"):
        rows()
    land_hour(home, "2013-01", temp=40.0)
    rows()
    assert rows.events == {"2013-01"}


def test_other_files_with_the_same_rows_start_nothing(rows, home):
    land_hour(home, "2013-01")
    rows()
    file = home / "landing/weather/2013-01/weather.csv"
    file.write_text(file.read_text().replace("\n", "\r\n"))
    with pytest.raises(AirflowSkipException, match="Nothing new: 1 ingested with the content they"):
        rows()
    with pytest.raises(AirflowSkipException, match="Nothing new: 0 ingested"):
        rows()


def test_a_person_does_not_take_in_what_is_up_to_date_unless_it_is_named(rows, home):
    land_hour(home, "2013-01")
    land_hour(home, "2013-02")
    rows()
    with pytest.raises(AirflowSkipException, match="0 ingested"):
        rows(run_type="manual")
    with pytest.raises(AirflowSkipException, match="1 ingested with the content they had"):
        rows(run_type="manual", partition="2013-01")


def test_the_named_partition_alone_is_taken_in(rows, home):
    for month in MONTHS:
        land_hour(home, month)
    rows(run_type="manual", partition="2013-02")
    assert rows.events == {"2013-02"}
    assert raw(home).partitions() == ["2013-02"]


@pytest.mark.parametrize("partition", ["2013-07", "2013-1"])
def test_an_unknown_partition_says_what_landed(rows, home, partition):
    for month in MONTHS[:2]:
        land_hour(home, month)
    with pytest.raises(
        AirflowFailException,
        match=rf"Partition '{partition}' is not in the landing area, {home}/landing/weather/.*"
        r"There is: 2013-01, 2013-02\. ",
    ):
        rows(run_type="manual", partition=partition)


def test_a_run_with_a_partition_key_is_refused(rows, home):
    land_hour(home, "2013-01")
    with pytest.raises(
        AirflowFailException,
        match=r"this Dag has no partition key, got '2013-01'\..*its form has \['partition'\]",
    ):
        rows(key="2013-01")
    assert not raw(home).exists()


# Refusals


def test_a_malformed_file_does_not_stop_the_others(rows, home):
    land_hour(home, "2013-01")
    bad = land_hour(home, "2013-02", temp="mild")
    land_hour(home, "2013-03")
    rows()
    assert rows.events == {"2013-01", "2013-03"}
    assert set(rows.refused) == {"raw 2013-02"}
    assert f"{bad}: column 'temp' must be float64" in rows.refused["raw 2013-02"]
    assert "'mild' in row 2 (the header is row 1)" in rows.refused["raw 2013-02"]


def test_a_file_that_is_still_written_does_not_stop_the_others(rows, home, monkeypatch):
    for month in MONTHS:
        land_hour(home, month)
    read = Folder.read

    def growing(self: Folder, file: Any) -> Any:
        pieces = read(self, file)
        yield next(pieces)
        if MONTHS[0] in file.path:
            with Path(file.path).open("a") as more:
                more.write(hour(MONTHS[0]))
        yield from pieces

    with monkeypatch.context() as while_copied:
        while_copied.setattr(Folder, "read", growing)
        rows()
        assert (rows.events, rows.refused) == (set(MONTHS[1:]), {})
        with pytest.raises(AirflowSkipException, match="0 refused, 1 left for a later run"):
            rows()  # it comes with its own event, when it holds still
    rows()
    assert rows.events == {MONTHS[0]}


def test_a_file_that_cannot_be_read_is_worth_a_retry_and_no_refusal(rows, home, monkeypatch):
    land_hour(home, MONTHS[0])

    def silent(self: Folder, file: Any) -> Any:
        raise FileUnavailable("the disk does not answer")

    with monkeypatch.context() as silence:
        silence.setattr(Folder, "read", silent)
        with pytest.raises(ServiceUnavailable, match="the disk does not answer"):
            rows()
    assert not Lake(str(home / "lake")).table("weather_regimes", "refusals").exists()
    rows(again=True, attempt=2)
    assert rows.events == {MONTHS[0]}


def test_a_partition_that_is_still_copied_is_left_when_another_lands(rows, home, monkeypatch):
    """The event of one partition must not take in half of another."""
    land_hour(home, MONTHS[0])
    copied = land_hour(home, MONTHS[1])
    monkeypatch.setattr(inventory, "STILL_S", 0.3)

    def copy_on(seconds: float) -> None:
        with copied.open("a") as more:
            more.write(hour(MONTHS[1]))
        pause(seconds)

    pause = time.sleep
    with monkeypatch.context() as while_copied:
        while_copied.setattr(inventory.time, "sleep", copy_on)
        rows()
    assert (rows.events, rows.refused) == ({MONTHS[0]}, {})
    rows()
    assert rows.events == {MONTHS[1]}


def test_a_run_lists_each_pattern_once_whatever_is_new(home, monkeypatch):
    """An object store charges for listings, and each takes its time."""
    listed, real = [], Folder.list

    def counting(self: Folder, pattern: Any) -> Any:
        listed.append(pattern.text)
        return real(self, pattern)

    land(home, "planes/planes.csv", PLANES)
    for month in MONTHS:
        land_hour(home, month)
        land_outcomes(home, month)
    monkeypatch.setattr(Folder, "list", counting)
    for kind in (IngestRowsOperator, IngestLabelsOperator, IngestReferencesOperator):
        with suppress(AirflowSkipException):  # no rows landed
            flights(kind)()
    assert sorted(listed) == [
        "flight_outcomes/{partition}/*.csv",
        "flights/{partition}/*.csv",
        "planes/*.csv",
        "weather/{partition}/*.csv",
    ]


def test_a_store_that_is_closed_to_us_is_no_refusal_of_what_landed(rows, home, stub):
    land_hour(home, MONTHS[0])
    stub("include.ingest_label.ingest.ingest_rows", SettingsError("not writable"))
    with pytest.raises(AirflowFailException, match="not writable"):
        rows()
    assert not Lake(str(home / "lake")).table("weather_regimes", "refusals").exists()


def test_a_refused_file_is_tried_when_it_changes_and_when_a_person_asks(rows, home):
    land_hour(home, "2013-01", temp="mild")
    with pytest.raises(AirflowSkipException, match="0 ingested with the content they had, 1 ref"):
        rows()
    with pytest.raises(AirflowSkipException, match="0 ingested with the content they had, 0 ref"):
        rows()
    assert rows.refused == {}, "it is remembered, and told once"
    for how in ({"run_type": "manual"}, {"run_type": "manual", "partition": "2013-01"}):
        with pytest.raises(AirflowSkipException, match="1 refused"):
            rows(**how)
    with pytest.raises(AirflowSkipException, match="1 refused"):
        rows(clear_number=1)
    land_hour(home, "2013-01", temp="cold")
    with pytest.raises(AirflowSkipException, match="1 refused"):
        rows()
    assert "'cold'" in rows.refused["raw 2013-01"]
    land_hour(home, "2013-01", temp=39.5)
    rows()
    assert (rows.events, rows.refused) == ({"2013-01"}, {})


def report(*refused: dict[str, str] | None) -> None:
    task = ReportRefusedOperator(
        task_id="report_refused",
        use_case="weather_regimes",
        task_ids=["ingest_rows", "ingest_labels", "ingest_references"][: len(refused)],
    )
    pulled = {} if all(one is None for one in refused) else {"refused": list(refused)}
    execute(task, make_context(pulled=pulled, partition=None))


def test_the_report_fails_with_the_words_of_every_task():
    with pytest.raises(
        AirflowFailException,
        match=r"(?s)refused; the others were ingested.*tried again when its files or its "
        r"definition change:\n- raw 2013-02: no number\n- labels 2013-03: no key$",
    ):
        report({"raw 2013-02": "no number"}, {"labels 2013-03": "no key"}, None)


def test_the_report_of_a_single_task():
    with pytest.raises(AirflowFailException, match="- raw 2013-02: no number"):
        report({"raw 2013-02": "no number"})


@pytest.mark.parametrize("pulled", [[None], [None, None], [{}, None]])
def test_a_report_of_nothing_is_skipped(pulled):
    with pytest.raises(AirflowSkipException, match="Nothing was refused"):
        report(*pulled)


def test_many_refusals_are_shown_in_part_and_counted(rows, home):
    for number in range(1, 26):
        land_hour(home, f"{1900 + number}-01", temp="mild")
    with pytest.raises(AirflowSkipException, match="25 refused"):
        rows()
    assert len(rows.refused) == 21
    assert rows.refused["5 more"] == "see the log of ingest_rows"


# Half done


def silent_after(monkeypatch: pytest.MonkeyPatch, count: int) -> Any:
    """Let the landing area be read a few times, and then not answer once."""
    real, reads = Landing.read, []

    def read(self: Landing, *rest: Any) -> Any:
        reads.append(rest)
        if len(reads) == count + 1:
            raise ServiceUnavailable("files changed while they were read")
        return real(self, *rest)

    monkeypatch.setattr(Landing, "read", read)
    return reads


def test_a_retry_emits_what_the_first_attempt_published(rows, home, monkeypatch):
    for month in MONTHS:
        land_hour(home, month)
    silent_after(monkeypatch, 2)
    with pytest.raises(ServiceUnavailable, match="changed while they were read"):
        rows()
    assert raw(home).partitions() == MONTHS[:2]
    returned = rows(again=True, attempt=2)
    assert (returned["ingested"], rows.events) == (1, set(MONTHS)), "no event is lost"


def test_a_retry_that_finds_all_done_emits_it(rows, home, monkeypatch):
    land_hour(home, "2013-01")
    with monkeypatch.context() as killed:
        killed.setattr(landed, "emit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rows()
    assert rows.events == set()
    rows(again=True, attempt=2)
    assert rows.events == {"2013-01"}


def test_a_retry_tells_what_the_first_attempt_refused(rows, home, monkeypatch):
    land_hour(home, "2013-01", temp="mild")
    land_hour(home, "2013-02")
    silent_after(monkeypatch, 1)
    with pytest.raises(ServiceUnavailable):
        rows()
    rows(again=True, attempt=2)
    assert rows.events == {"2013-02"}
    assert "'mild'" in rows.refused["raw 2013-01"], "or the run would be green"


def test_a_retry_does_not_tell_what_an_earlier_run_did(rows, home):
    land_hour(home, "2013-01")
    land_hour(home, "2013-02", temp="mild")
    rows()
    land_hour(home, "2013-03")
    rows(attempt=2)
    assert (rows.events, rows.refused) == ({"2013-03"}, {})


# More than one run takes


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landed, "MOST_AT_ONCE", 2)


def test_what_is_left_starts_the_next_run(rows, home, two_at_once):
    for month in MONTHS:
        land_hour(home, month)
    rows()
    assert (rows.events, rows.left) == ({"2013-01", "2013-02"}, [{"left": 1}])
    rows()
    assert (rows.events, rows.left) == ({"2013-03"}, [])


def test_what_is_left_starts_the_next_run_also_when_nothing_was_new(rows, home, two_at_once):
    """A skipped task would emit nothing, and the rest would wait for the schedule."""
    for month in MONTHS:
        land_hour(home, month, temp="mild")
    returned = rows()
    assert (returned["changed"], rows.events, rows.left) == (0, set(), [{"left": 1}])
    with pytest.raises(AirflowSkipException, match="1 refused"):
        rows()


# Labels and references


def flights(kind: type[Any]) -> Runs:
    return Runs(kind(task_id="do", use_case="flight_delays", outlets=[OUTLET]))


def clean(home: Path, month: str, stage: str = "clean") -> None:
    data = pa.table({"x": [1]})
    Lake(str(home / "lake")).table("flight_delays", stage).publish(
        data, partition=month, schema=data.schema, writer=Writer("test", 1, 1, "test")
    )


def land_outcomes(home: Path, month: str, delay: str = "20.0") -> None:
    row = f"2013,{int(month[-2:])},2,{month}-02T06:00:00Z,UA,1,EWR,{delay}\n"
    land(home, f"flight_outcomes/{month}/outcomes.csv", OUTCOMES + row)


def test_labels_are_found_apart_from_rows(home):
    land_outcomes(home, "2013-01")
    labels = flights(IngestLabelsOperator)
    labels()
    assert labels.events == set(), "they come before their features, which find them"
    table = Lake(str(home / "lake")).table("flight_delays", "labels")
    assert table.read(columns=["label"]).to_pylist() == [{"label": 1}]
    with pytest.raises(AirflowSkipException, match="Nothing new"):
        labels()


def test_labels_that_come_after_their_features_are_told(home):
    clean(home, "2013-01", "features")
    for month in ("2013-01", "2013-02"):
        land_outcomes(home, month)
    labels = flights(IngestLabelsOperator)
    assert labels()["changed"] == 2
    assert labels.events == {"2013-01"}


def test_labels_that_have_not_come_are_no_error_for_a_partition_whose_rows_have(home):
    land(home, "flights/2013-01/flights.csv", "x\n1\n")
    with pytest.raises(AirflowSkipException, match="Nothing new"):
        flights(IngestLabelsOperator)(run_type="manual", partition="2013-01")


def test_a_partition_of_which_only_a_reference_has_landed_is_no_error(home):
    land_hour(home, "2013-01")
    for kind in (IngestRowsOperator, IngestLabelsOperator):
        with pytest.raises(AirflowSkipException, match="Nothing new"):
            flights(kind)(run_type="manual", partition="2013-01")
    references = flights(IngestReferencesOperator)
    assert references(run_type="manual", partition="2013-01")["changed"] == 1


def test_references_are_published_once(home):
    land(home, "planes/planes.csv", PLANES)
    references = flights(IngestReferencesOperator)
    (one,) = references()["first"]
    facts = {"name": "planes", "partition": "all", "rows": 2, "version": 0, "changed": True}
    assert {name: one[name] for name in facts} == facts
    assert references.events == set(), "'all' is no partition of the use case"
    with pytest.raises(AirflowSkipException, match="Nothing new"):
        references()
    table = Lake(str(home / "lake")).table("flight_delays", "reference_planes")
    assert (table.version(), table.read().num_rows) == (0, 2)


def test_references_that_land_by_partition_emit_what_is_clean_already(home):
    """Features of those were built without them, or wait; the others are built with them anyway."""
    land(home, "planes/planes.csv", PLANES)
    for month in MONTHS[:2]:
        land_hour(home, month)
    for month in MONTHS[1:]:
        clean(home, month)
        clean(home, month, stage="features")
    references = flights(IngestReferencesOperator)
    returned = references()
    assert (returned["changed"], references.events) == (3, {"2013-02"})


def test_a_reference_that_lands_whole_emits_what_waits_for_it(home):
    """Once there it is no news for what was built: a new aircraft for flights long gone."""
    clean(home, "2013-01")
    clean(home, "2013-02")
    clean(home, "2013-01", stage="features")
    references = flights(IngestReferencesOperator)
    for text, waiting in ((PLANES, {"2013-02"}), (PLANES + "N3,2010,9\n", set())):
        land(home, "planes/planes.csv", text)
        assert references()["changed"] == 1
        assert references.events == waiting
        if waiting:
            clean(home, "2013-02", stage="features")


def test_a_malformed_reference_is_refused_with_file_and_line(home):
    land(home, "planes/planes.csv", PLANES + "N3,nineteen,1\n")
    land_hour(home, "2013-01")
    clean(home, "2013-01")
    references = flights(IngestReferencesOperator)
    references()
    assert references.events == {"2013-01"}
    (words,) = references.refused.values()
    assert "planes.csv: column 'year' must be int64" in words
    assert "'nineteen' in row 4 (the header is row 1)" in words


@pytest.mark.parametrize(("error", "seen"), FAILURES)
@pytest.mark.parametrize(
    "kind", [IngestRowsOperator, IngestLabelsOperator, IngestReferencesOperator]
)
def test_looking_fails_in_airflows_words(stub, kind, error, seen):
    stub("include.ingest_label.inventory.take", error)
    with pytest.raises(seen, match=str(error)):
        flights(kind)()


def test_a_token_rises_with_each_attempt(home, monkeypatch):
    land_hour(home, "2013-01")
    writers, real = [], ingest.ingest_rows

    def ingest_rows(
        use_case: Any, key: str, landing: Any, lake: Any, writer: Any, inventory: Any
    ) -> Any:
        writers.append(writer)
        if len(writers) == 1:
            raise ServiceUnavailable("nobody answers")
        return real(use_case, key, landing, lake, writer, inventory)

    monkeypatch.setattr(ingest, "ingest_rows", ingest_rows)
    task = Runs(rows_task())
    with pytest.raises(ServiceUnavailable):
        task()
    task(again=True, attempt=2)
    first, second = writers
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.token < second.token, first.run_id == second.run_id) == (True, True)


# Retract


def retract(partition: str | None = "2013-01", reason: str = "wrong unit", **more: Any) -> Any:
    task = RetractOperator(task_id="retract_partition", use_case="weather_regimes")
    return execute(task, make_context(run=99, partition=partition, reason=reason, **more))


def test_a_partition_is_taken_back_and_who_wanted_it_is_recorded(rows, home):
    for month in MONTHS[:2]:
        land_hour(home, month)
    rows()
    returned = retract(user="ann")
    assert returned["cleared"] == ["raw"]
    assert is_small_json(returned)
    assert not (home / "landing/weather/2013-01/weather.csv").exists()
    assert (home / "landing/.retracted/weather/2013-01/weather.csv").exists()
    assert raw(home).partitions() == ["2013-02"]
    table = Lake(str(home / "lake")).table("weather_regimes", "retractions")
    (row,) = table.read(columns=["key", "reason", "who"]).to_pylist()
    assert row == {"key": "2013-01", "reason": "wrong unit", "who": "ann"}
    with pytest.raises(AirflowSkipException, match="Nothing new"):
        rows()


def test_a_phase_that_began_after_the_retraction_is_fenced_out_too(rows, home):
    """It may have read the rows before they were cleared."""
    land_hour(home, "2013-01")
    rows()
    begun = Writer("later", 1, time.time_ns() // 1_000_000, "test")  # the test's clock is in 2013
    retract()
    data = raw(home).read(["2013-01"], version=0).drop_columns(["partition"])
    with pytest.raises(StaleAttempt):
        raw(home).publish(data, partition="2013-01", schema=data.schema, writer=begun)


def test_the_same_file_landed_again_after_it_was_taken_back_comes_back(rows, home):
    land_hour(home, "2013-01")
    rows()
    retract()
    land_hour(home, "2013-01")
    rows.number = LATER_THAN_NOW
    rows()
    assert rows.events == {"2013-01"}
    assert raw(home).partitions() == ["2013-01"]


def test_a_file_that_is_moved_back_unchanged_comes_back(rows, home):
    """Its fingerprint is the one that was ingested before, but the rows are gone."""
    path = land_hour(home, "2013-01")
    rows()
    retract()
    (home / "landing/.retracted/weather/2013-01/weather.csv").rename(path)
    rows.number = LATER_THAN_NOW
    rows()
    assert rows.events == {"2013-01"}
    assert raw(home).partitions() == ["2013-01"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"partition": None}, "must have a partition key"),
        ({"partition": "2013-4"}, "must be a month like '2013-06', got '2013-4'"),
        ({"reason": " "}, "needs a reason"),
        ({"partition": "2014-01"}, r"nothing of 2014-01 has landed.*there is \['2013-01'\]"),
    ],
)
def test_a_form_that_lacks_something_says_what(rows, home, form, said):
    land_hour(home, "2013-01")
    rows()
    with pytest.raises(AirflowFailException, match=said):
        retract(**form)
    assert raw(home).partitions() == ["2013-01"]
