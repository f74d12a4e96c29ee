from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.due.state import State, states
from include.due.wanted import wanted_features
from include.errors import DataContractError
from include.feature.build import build_partition, features_schema
from include.lake.content import content_version
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.modelling.features import build_features
from include.use_cases.loader import ROOT, load
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase

DAY = "2024-05-01"
AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
ROWS = [
    {"customer": 2, "seen_at": AT, "plan": "b", "calls": 2, "bill": None},
    {"customer": 1, "seen_at": AT, "plan": "a", "calls": 1, "bill": 1.5},
]


def publish(
    lake: Lake,
    stage: str,
    use_case: UseCase,
    rows: list[dict[str, object]],
    partition: str,
    token: int = 1,
) -> None:
    name = stage.removeprefix("reference_")
    columns = (
        use_case.ingest.columns if stage == "clean" else use_case.ingest.references[name].columns
    )
    schema = arrow_schema(columns)
    lake.table(use_case.name, stage).publish(
        pa.Table.from_pylist(rows, schema=schema),
        partition=partition,
        schema=schema,
        writer=Writer("before", 1, token, "test"),
    )


def state(use_case: UseCase, lake: Lake) -> State:
    return states("churn", "features", wanted_features(use_case, lake), lake)[DAY]


@pytest.fixture
def filled(churn: UseCase, churn_lake: Lake) -> Lake:
    """Fill a lake with one clean partition and the plans."""
    publish(churn_lake, "clean", churn, ROWS, DAY)
    publish(churn_lake, "reference_plans", churn, [{"plan": "a", "price": 9.5}], "all")
    return churn_lake


def test_rows_that_features_py_chokes_on_are_refused_with_words(
    churn: UseCase, filled: Lake, first: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a surprise it would wait as due for ever, and no first training would begin."""

    def derive(*_: object) -> None:
        raise ZeroDivisionError("bill / calls")

    monkeypatch.setattr("include.feature.build.build_features", derive)
    with pytest.raises(DataContractError, match=r"features\.py raises ZeroDivisionError: bill"):
        build_partition(churn, DAY, filled, first)


def test_python_that_is_edited_meanwhile_leaves_the_partition_out_of_date(
    churn: UseCase, filled: Lake, first: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old one made must not count as made by the new one."""

    def edit_and_build(*given: Any) -> Any:
        another = OwnPython("churn", (("features.py", "def derive(frame): return frame"),))
        monkeypatch.setattr("include.due.definitions.python_of", lambda _: another)
        return build_features(*given)

    monkeypatch.setattr("include.feature.build.build_features", edit_and_build)
    build_partition(churn, DAY, filled, first)
    assert state(churn, filled).status == "out of date"


def test_features_table_has_key_time_and_features(
    churn: UseCase, filled: Lake, first: Writer
) -> None:
    assert state(churn, filled).due
    done = build_partition(churn, DAY, filled, first)
    table = filled.table("churn", "features")
    assert json.loads(json.dumps(dataclasses.asdict(done))) == {
        "partition": DAY,
        "rows": 2,
        "columns": ["calls", "bill", "price", "plan"],
        "version": 0,
        "partition_version": content_version(table.read(columns=table.schema().names)),
        "changed": True,
    }
    assert table.read().to_pylist() == [
        {
            "customer": 2,
            "seen_at": AT,
            "calls": 2.0,
            "bill": None,
            "price": None,
            "plan": "b",
            "partition": DAY,
        },
        {
            "customer": 1,
            "seen_at": AT,
            "calls": 1.0,
            "bill": 1.5,
            "price": 9.5,
            "plan": "a",
            "partition": DAY,
        },
    ]
    assert state(churn, filled).status == "up to date"


def test_what_was_read_is_on_record(churn: UseCase, filled: Lake, first: Writer) -> None:
    build_partition(churn, DAY, filled, first)
    [entry] = filled.table("churn", "features").history()
    assert {(one["table"], one["version"]) for one in entry["inputs"]} == {
        ("churn.clean", 0),
        ("churn.reference_plans", 0),
    }


def test_a_new_version_of_the_clean_partition_is_work_again(
    churn: UseCase, filled: Lake, first: Writer, second: Writer
) -> None:
    build_partition(churn, DAY, filled, first)
    publish(filled, "clean", churn, ROWS[:1], DAY, token=2)
    assert state(churn, filled).because.startswith("due: churn.clean changed")
    done = build_partition(churn, DAY, filled, second)
    assert (done.rows, done.changed) == (1, True)
    assert state(churn, filled).status == "up to date"


def test_equal_clean_rows_are_no_work(churn: UseCase, filled: Lake, first: Writer) -> None:
    build_partition(churn, DAY, filled, first)
    publish(filled, "clean", churn, ROWS, DAY, token=2)
    assert state(churn, filled).status == "up to date"


def test_a_changed_column_that_no_feature_reads_changes_no_feature(
    churn: UseCase, churn_root: Path, filled: Lake, first: Writer, second: Writer
) -> None:
    path = churn_root / "churn" / "use_case.yaml"
    text = path.read_text().replace("numeric: [calls, bill, price]", "numeric: [calls, price]")
    path.write_text(text.replace("inputs: [plan, calls, bill]", "inputs: [plan, calls]"))
    use_case = load(churn_root / "churn")
    before = build_partition(use_case, DAY, filled, first)
    publish(filled, "clean", churn, [ROWS[0], {**ROWS[1], "bill": 99.0}], DAY, token=2)
    assert state(use_case, filled).due
    done = build_partition(use_case, DAY, filled, second)
    assert (done.changed, done.partition_version) == (False, before.partition_version)
    assert state(use_case, filled).status == "up to date"


def test_a_changed_definition_is_out_of_date_until_it_is_built_again(
    churn: UseCase, churn_root: Path, filled: Lake, first: Writer, second: Writer
) -> None:
    build_partition(churn, DAY, filled, first)
    python = churn_root / "churn" / "features.py"
    python.write_text("def derive(frame):\n    return frame.assign(calls=frame['calls'] * 2)\n")
    assert state(churn, filled).status == "out of date"
    assert build_partition(churn, DAY, filled, second).changed
    calls = filled.table("churn", "features").read(columns=["calls"])["calls"].to_pylist()
    assert calls == [4.0, 2.0]
    assert state(churn, filled).status == "up to date"


def test_a_reference_that_lands_whole_is_no_news_for_old_partitions(
    churn: UseCase, filled: Lake, first: Writer
) -> None:
    build_partition(churn, DAY, filled, first)
    publish(filled, "reference_plans", churn, [{"plan": "a", "price": 11.0}], "all", token=2)
    assert state(churn, filled).status == "up to date"


def partitioned(churn_root: Path) -> UseCase:
    """Churn, with plans that land by day."""
    path = churn_root / "churn" / "use_case.yaml"
    path.write_text(path.read_text().replace("plans/*.csv", "'plans/{partition}/*.csv'"))
    return load(churn_root / "churn")


def test_a_reference_that_has_not_come_is_waited_for(
    churn: UseCase, churn_root: Path, filled: Lake, first: Writer
) -> None:
    use_case = partitioned(churn_root)
    with pytest.raises(
        DataContractError,
        match=r"features of 2024-05-01 need reference 'plans' of 2024-05-01, "
        r"which has not been ingested. "
        r"Land 'plans/\{partition\}/\*.csv'",
    ):
        build_partition(use_case, DAY, filled, first)
    assert not filled.table("churn", "features").exists()


def test_a_corrected_reference_makes_its_partition_due_again(
    churn: UseCase, churn_root: Path, filled: Lake, first: Writer, second: Writer
) -> None:
    use_case = partitioned(churn_root)
    publish(filled, "reference_plans", churn, [{"plan": "b", "price": 1.0}], DAY)
    build_partition(use_case, DAY, filled, first)
    assert state(use_case, filled).status == "up to date"
    publish(filled, "reference_plans", churn, [{"plan": "b", "price": 2.0}], DAY, token=2)
    publish(filled, "reference_plans", churn, [{"plan": "c", "price": 2.0}], "2024-05-02")
    assert state(use_case, filled).because.startswith("due: churn.reference_plans changed")
    build_partition(use_case, DAY, filled, second)
    assert filled.table("churn", "features").read(columns=["price"])["price"].to_pylist() == [
        2.0,
        None,  # 'a' stands in another day's plans only
    ]
    assert state(use_case, filled).status == "up to date"


def test_a_key_column_that_is_a_feature_too_is_there_once() -> None:
    schema = features_schema(load(ROOT / "flight_delays"))
    assert len(schema.names) == len(set(schema.names))
    assert schema.names[:7] == ["year", "month", "day", "carrier", "flight", "origin", "time_hour"]
    assert schema.field("carrier").type == pa.string()
    assert schema.field("hour").type == pa.float64()


def test_features_built_in_pieces_are_those_built_at_once(
    churn: UseCase, filled: Lake, first: Writer, second: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{**ROWS[number % 2], "customer": number, "calls": number} for number in range(50)]
    publish(filled, "clean", churn, many, DAY, token=2)
    at_once = build_partition(churn, DAY, filled, first)
    monkeypatch.setattr("include.feature.build.ROWS_AT_ONCE", 7)
    in_pieces = build_partition(churn, DAY, filled, second)
    assert at_once.rows == in_pieces.rows == 50
    assert not in_pieces.changed  # the same content, in the same order


def test_a_row_that_cannot_be_built_is_named_by_its_place_in_the_partition(
    churn: UseCase, filled: Lake, first: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{**ROWS[1], "customer": number, "bill": 1e300 if number == 9 else 1.0}
            for number in range(20)]  # fmt: skip
    publish(filled, "clean", churn, many, DAY, token=2)
    monkeypatch.setattr("include.feature.build.ROWS_AT_ONCE", 7)
    with pytest.raises(DataContractError, match="'bill' must be finite, got infinity in row 9 "):
        build_partition(churn, DAY, filled, first)
