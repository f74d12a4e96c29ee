"""Taking a partition back: files aside, tables cleared, a record, and the same again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from include.due.state import states
from include.due.wanted import wanted_clean
from include.errors import DataContractError, ServiceUnavailable
from include.ingest_label.ingest import ingest_labels, ingest_reference, ingest_rows, wanted_landed
from include.ingest_label.landing import Landing
from include.ingest_label.retract import Retracted, retract
from include.lake.table import Lake, LakeTable, StaleAttempt, Writer
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from tests.include.conftest import writer

DAY, NEXT = "2024-05-01", "2024-05-02"
SCHEMA = pa.schema([("a", pa.int64())])
TAKE_BACK = {"reason": "bills were in cents", "who": "ann"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Land two days of rows, the outcomes of one, and the plans."""
    root = tmp_path / "landing"
    texts = {"plans/plans.csv": "plan,price\nbasic,9.5\n"}
    for day in (DAY, NEXT):
        texts[f"customers/{day}/a.csv"] = (
            "customer,seen_at,plan,calls,bill\n"
            f"1,{day}T00:00:00Z,basic,3,10.5\n2,{day}T01:00:00Z,gold,0,\n"
        )
    texts[f"customers/{DAY}/b.csv"] = (
        f"customer,seen_at,plan,calls,bill\n3,{DAY}T00:00:00Z,basic,3,10.5\n"
    )
    texts[f"departures/{DAY}/a.csv"] = f"customer,seen_at,days_to_departure\n1,{DAY}T00:00:00Z,30\n"
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def landing(folder: Path) -> Landing:
    return Landing(str(folder))


@pytest.fixture
def lake(churn: UseCase, landing: Landing, churn_lake: Lake, first: Writer) -> Lake:
    """Ingest all of it, and clean the rows."""
    for day in (DAY, NEXT):
        ingest_rows(churn, day, landing, churn_lake, first)
        validate_and_clean(churn, day, churn_lake, first)
    ingest_labels(churn, DAY, landing, churn_lake, first)
    ingest_reference(churn, "plans", "all", landing, churn_lake, first)
    return churn_lake


@pytest.fixture
def taken_back(folder: Path) -> Retracted:
    """Say what taking the first day back must tell."""
    files = [f"customers/{DAY}/a.csv", f"customers/{DAY}/b.csv", f"departures/{DAY}/a.csv"]
    return Retracted(DAY, [f"{folder}/{file}" for file in files], ["raw", "clean", "labels"])


def publish(table: LakeTable, key: str, by: Writer) -> None:
    table.publish(pa.table([[1]], schema=SCHEMA), partition=key, schema=SCHEMA, writer=by)


def record(lake: Lake, key: str = DAY) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = lake.table("churn", "retractions").read([key]).to_pylist()
    return rows


def everywhere(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.csv")}


def test_files_go_aside_and_rows_leave_every_table(
    churn: UseCase, folder: Path, landing: Landing, lake: Lake, taken_back: Retracted
) -> None:
    content = (folder / f"customers/{DAY}/a.csv").read_text()
    done = retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert done == taken_back
    assert everywhere(folder) == {
        "plans/plans.csv",
        f"customers/{NEXT}/a.csv",
        f".retracted/customers/{DAY}/a.csv",
        f".retracted/customers/{DAY}/b.csv",
        f".retracted/departures/{DAY}/a.csv",
    }
    assert (folder / f".retracted/customers/{DAY}/a.csv").read_text() == content
    assert list(wanted_landed(churn, landing, lake)["raw"]) == [NEXT]
    left = {stage: lake.table("churn", stage).partitions() for stage in ("raw", "clean", "labels")}
    assert left == {"raw": [NEXT], "clean": [NEXT], "labels": []}
    assert lake.table("churn", "reference_plans").partitions() == ["all"]


def test_earlier_versions_still_hold_the_rows(churn: UseCase, landing: Landing, lake: Lake) -> None:
    raw = lake.table("churn", "raw")
    before, version = raw.read([DAY]), raw.version()
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert raw.read([DAY], version=version).equals(before)
    assert raw.facts(DAY)["facts"] == {"retracted": "bills were in cents"}


def test_it_is_on_record_who_took_back_what_and_why(
    churn: UseCase, landing: Landing, lake: Lake, taken_back: Retracted
) -> None:
    before = datetime.now(UTC)
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    [row] = record(lake)
    assert before <= row.pop("retracted_at") <= datetime.now(UTC)  # type: ignore[operator]
    assert row == {
        "key": DAY,
        "reason": "bills were in cents",
        "who": "ann",
        "files": "\n".join(taken_back.files),
        "cleared": "raw, clean, labels",
        "run_id": "run-2",
        "partition": DAY,
    }


@pytest.mark.parametrize(
    "stage", ["raw", "labels", "quarantine", "clean", "features", "predictions", "monitoring"]
)
def test_every_table_that_holds_the_partition_is_cleared(
    churn: UseCase, churn_lake: Lake, tmp_path: Path, stage: str
) -> None:
    table = churn_lake.table("churn", stage)
    for key in (DAY, NEXT):
        publish(table, key, writer(1))
    nowhere = Landing(str(tmp_path / "nothing landed"))
    done = retract(churn, DAY, **TAKE_BACK, landing=nowhere, lake=churn_lake, writer=writer(2))
    assert done == Retracted(DAY, [], [stage])
    assert table.partitions() == [NEXT]


@pytest.mark.parametrize("stage", ["decisions", "promotions", "refusals"])
def test_what_was_decided_and_refused_stays(
    churn: UseCase, landing: Landing, lake: Lake, stage: str
) -> None:
    table = lake.table("churn", stage)
    publish(table, DAY, writer(1))
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert table.partitions() == [DAY]


def test_files_that_were_never_ingested_are_taken_back_too(
    churn: UseCase, landing: Landing, churn_lake: Lake, folder: Path, taken_back: Retracted
) -> None:
    done = retract(churn, DAY, **TAKE_BACK, landing=landing, lake=churn_lake, writer=writer(2))
    assert done == Retracted(DAY, taken_back.files, [])
    assert f"customers/{DAY}/a.csv" not in everywhere(folder)
    [row] = record(churn_lake)
    assert row["cleared"] == ""


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_without_a_reason_nothing_is_touched(
    churn: UseCase, landing: Landing, lake: Lake, folder: Path, reason: str
) -> None:
    before = everywhere(folder)
    with pytest.raises(DataContractError, match=r"churn: a retraction of 2024-05-01 needs a reas"):
        retract(churn, DAY, reason=reason, who="ann", landing=landing, lake=lake, writer=writer(2))
    assert everywhere(folder) == before
    assert lake.table("churn", "raw").partitions() == [DAY, NEXT]
    assert not lake.table("churn", "retractions").exists()


def test_what_is_not_there_is_refused_with_what_is(
    churn: UseCase, landing: Landing, lake: Lake
) -> None:
    with pytest.raises(
        DataContractError,
        match=r"nothing of 2024-05-09 has landed or is in the lake: there is "
        r"\['2024-05-01', '2024-05-02'\]",
    ):
        retract(churn, "2024-05-09", **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert not lake.table("churn", "retractions").exists()


def _die(*_: object, **__: object) -> None:
    raise ServiceUnavailable("the store does not answer")


@pytest.mark.parametrize(
    "break_at",
    [
        pytest.param((Landing, "set_aside"), id="after the record"),
        pytest.param((LakeTable, "clear"), id="after the files"),
    ],
)
def test_a_retry_finishes_and_the_record_keeps_what_the_first_attempt_found(
    churn: UseCase,
    landing: Landing,
    lake: Lake,
    folder: Path,
    taken_back: Retracted,
    break_at: tuple[type, str],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*break_at, _die)
        with pytest.raises(ServiceUnavailable):
            retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    retry = Writer("run-2", 2, 3, "test")
    assert retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=retry) == taken_back
    assert not any(DAY in path for path in everywhere(folder) if not path.startswith(".retr"))
    assert lake.table("churn", "raw").partitions() == [NEXT]
    [row] = record(lake)
    assert row["files"] == "\n".join(taken_back.files)
    assert row["cleared"] == "raw, clean, labels"


def test_a_run_that_had_finished_finds_the_same_again(
    churn: UseCase, landing: Landing, lake: Lake, taken_back: Retracted
) -> None:
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    retry = Writer("run-2", 2, 3, "test")
    assert retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=retry) == taken_back
    assert len(record(lake)) == 1
    with pytest.raises(DataContractError, match="nothing of 2024-05-01 has landed"):
        retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(4))


def test_a_second_retraction_is_recorded_beside_the_first(
    churn: UseCase, landing: Landing, lake: Lake, folder: Path
) -> None:
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    (folder / f"customers/{DAY}/c.csv").write_text(
        f"customer,seen_at,plan,calls,bill\n1,{DAY}T00:00:00Z,basic,3,0.105\n"
    )
    ingest_rows(churn, DAY, landing, lake, writer(3))
    retract(
        churn, DAY, reason="still wrong", who="bob", landing=landing, lake=lake, writer=writer(4)
    )
    assert [(row["who"], row["reason"], row["cleared"]) for row in record(lake)] == [
        ("ann", "bills were in cents", "raw, clean, labels"),
        ("bob", "still wrong", "raw"),
    ]
    assert record(lake)[1]["files"] == f"{folder}/customers/{DAY}/c.csv"


def test_what_lands_again_just_as_it_was_is_due_again_at_every_stage(
    churn: UseCase, landing: Landing, lake: Lake, folder: Path
) -> None:
    """The retraction was a mistake, and the very same files are moved back."""

    def due() -> tuple[bool, bool]:
        raw = states("churn", "raw", wanted_landed(churn, landing, lake)["raw"], lake)
        clean = states("churn", "clean", wanted_clean(churn, lake), lake)
        return tuple(DAY in one and one[DAY].due for one in (raw, clean))  # type: ignore[return-value]

    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert due() == (False, False)
    for name in ("a.csv", "b.csv"):
        (folder / f".retracted/customers/{DAY}/{name}").rename(folder / f"customers/{DAY}/{name}")
    assert due() == (True, False)
    assert ingest_rows(churn, DAY, landing, lake, writer(3)).changed
    assert due() == (False, True)
    assert validate_and_clean(churn, DAY, lake, writer(4)).changed
    assert due() == (False, False)


def test_a_phase_that_had_begun_does_not_publish_the_rows_afterwards(
    churn: UseCase, landing: Landing, lake: Lake
) -> None:
    begun = writer(2)
    retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(3))
    table = lake.table("churn", "clean")
    schema = table.schema()
    rows = table.read([NEXT], schema.names)
    with pytest.raises(StaleAttempt, match=r"'2024-05-01' must be written with a token above 3"):
        table.publish(rows, partition=DAY, schema=schema, writer=begun)
    assert table.partitions() == [NEXT]


def test_a_phase_that_had_begun_is_stopped_also_where_there_were_no_rows_yet(
    churn: UseCase, landing: Landing, lake: Lake
) -> None:
    features, begun = lake.table("churn", "features"), writer(2)
    publish(features, NEXT, writer(1))
    done = retract(churn, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(3))
    assert "features" not in done.cleared
    with pytest.raises(StaleAttempt, match=r"'2024-05-01' must be written with a token above 3"):
        publish(features, DAY, begun)
    assert features.partitions() == [NEXT]


def test_a_phase_that_began_after_the_retraction_does_not_publish_the_rows_either(
    churn: UseCase, landing: Landing, lake: Lake
) -> None:
    """It read the raw rows before they were cleared; its token is above the retraction's first."""
    begun, tokens = writer(4), iter(range(5, 20))
    validate_and_clean(churn, DAY, lake, begun)
    by = {"landing": landing, "lake": lake, "writer": writer(3), "token": lambda: next(tokens)}
    retract(churn, DAY, **TAKE_BACK, **by)
    table = lake.table("churn", "clean")
    rows = table.read([NEXT], table.schema().names)
    with pytest.raises(StaleAttempt):
        table.publish(rows, partition=DAY, schema=table.schema(), writer=begun)
    assert table.partitions() == [NEXT]


def test_a_use_case_without_labels_is_retracted_too(
    churn: UseCase, landing: Landing, lake: Lake, folder: Path
) -> None:
    without = churn.model_copy(update={"labels": None})
    done = retract(without, DAY, **TAKE_BACK, landing=landing, lake=lake, writer=writer(2))
    assert [Path(file).name for file in done.files] == ["a.csv", "b.csv"]
    assert f"departures/{DAY}/a.csv" in everywhere(folder)  # of no concern to this use case
