"""References as they were, against pandas' own join as of a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.lake.frames import arrow_schema
from include.lake.table import Lake, LakeTable, Writer
from include.modelling.features import build_features
from include.modelling.references import index_reference, load_references
from include.use_cases.loader import load, python_of
from include.use_cases.schema import Reference, UseCase


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, day, hour, tzinfo=UTC)


def changed(churn_root: Path, *changes: tuple[str, str]) -> UseCase:
    path = churn_root / "churn" / "use_case.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load(churn_root / "churn")


@pytest.fixture
def dated(churn_root: Path) -> UseCase:
    """Churn, with plans whose price changes; the time of a row is an input."""
    return changed(
        churn_root,
        ("plan: string, price: float64", "plan: string, since: timestamp, price: float64"),
        ("key: [plan]", "key: [plan], as_of: since"),
        ("inputs: [plan, calls, bill]", "inputs: [plan, calls, bill, seen_at]"),
    )


@pytest.fixture
def daily(churn_root: Path) -> UseCase:
    """Churn, with a snapshot of the plans each day."""
    return changed(churn_root, ("plans/*.csv", "'plans/{partition}/*.csv'"))


def publish(
    lake: Lake, use_case: UseCase, rows: list[dict[str, object]], partition: str, token: int = 1
) -> None:
    schema = arrow_schema(use_case.ingest.references["plans"].columns)
    lake.table("churn", "reference_plans").publish(
        pa.Table.from_pylist(rows, schema=schema),
        partition=partition,
        schema=schema,
        writer=Writer("test", 1, token, "test"),
    )


def rows(*each: tuple[str | None, datetime]) -> pd.DataFrame:
    plans, times = zip(*each, strict=True)
    frame = pd.DataFrame({"plan": pd.Series(plans, dtype="str"), "calls": 1, "bill": 1.0})
    return frame.assign(seen_at=pd.DatetimeIndex(times).as_unit("us"))


PRICES = [
    {"plan": "a", "since": at(2), "price": 1.0},
    {"plan": "a", "since": at(4, 12), "price": 2.0},
    {"plan": "b", "since": at(3), "price": 9.0},
]


def prices(use_case: UseCase, given: pd.DataFrame, references: object) -> list[float]:
    built = build_features(given, references, use_case, python_of(use_case))  # type: ignore[arg-type]
    return built["price"].tolist()  # type: ignore[no-any-return]


def test_a_row_has_what_held_at_its_own_time(dated: UseCase, churn_lake: Lake) -> None:
    publish(churn_lake, dated, PRICES, "all")
    references, _ = load_references(dated, churn_lake)
    given = rows(
        ("a", at(1)), ("a", at(2)), ("a", at(4, 11)), ("a", at(4, 12)), ("a", at(9)),
        ("b", at(2)), ("b", at(3)), ("z", at(9)), (None, at(9)),
    )  # fmt: skip
    expected = [np.nan, 1.0, 1.0, 2.0, 2.0, np.nan, 9.0, np.nan, np.nan]
    np.testing.assert_array_equal(prices(dated, given, references), expected)
    for position, one in enumerate(expected):  # a request is one row
        alone = prices(dated, given.iloc[[position]], references)
        np.testing.assert_array_equal(alone, [one])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("key", [["k"], ["k", "m"]])
def test_the_join_is_that_of_merge_asof(seed: int, key: list[str]) -> None:
    rng = np.random.default_rng(seed)
    kinds = {"k": "int64", "m": "string", "t": "timestamp", "v": "float64"}
    columns = {name: kind for name, kind in kinds.items() if name in (*key, "t", "v")}
    reference = Reference.model_validate(
        {"landing": "r/*.csv", "key": key, "as_of": "t", "columns": columns}
    )

    def drawn(count: int) -> pd.DataFrame:
        frame = pd.DataFrame({"k": rng.integers(0, 5, count)})
        frame["m"] = pd.Series(rng.choice(["x", "y"], count), dtype="str")
        days = pd.to_timedelta(rng.integers(0, 30, count), unit="D")
        return frame.assign(t=(pd.Timestamp("2024-01-01", tz="UTC") + days).as_unit("us"))

    table = drawn(200).drop_duplicates([*key, "t"]).reset_index(drop=True)
    table["v"] = rng.random(len(table))
    given = drawn(300).sort_values("t", kind="stable")
    expected = pd.merge_asof(
        given[[*key, "t"]], table[[*key, "t", "v"]].sort_values("t"), on="t", by=key
    )["v"]
    indexed = index_reference(table, reference, "r")
    found = indexed.take(indexed.find([given[name].array for name in key], given["t"].array))
    np.testing.assert_array_equal(found["v"], expected)


def test_a_key_twice_from_one_time_on_is_refused(dated: UseCase, churn_lake: Lake) -> None:
    publish(churn_lake, dated, [*PRICES, {**PRICES[1], "price": 3.0}], "all")
    with pytest.raises(DataContractError, match=r"key \['plan', 'since'\] once, but 1 are"):
        load_references(dated, churn_lake)


def test_rows_join_the_snapshot_of_their_partition_and_a_request_the_newest(
    daily: UseCase, churn_lake: Lake
) -> None:
    publish(
        churn_lake, daily, [{"plan": "a", "price": 1.0}, {"plan": "b", "price": 5.0}], "2024-05-01"
    )
    publish(churn_lake, daily, [{"plan": "a", "price": 2.0}], "2024-05-02")
    given = rows(("a", at(1)), ("b", at(1)))
    for partition, expected in (
        ("2024-05-01", [1.0, 5.0]),
        ("2024-05-02", [2.0, np.nan]),
        (None, [2.0, np.nan]),
    ):
        references, _ = load_references(daily, churn_lake, partition=partition)
        np.testing.assert_array_equal(prices(daily, given, references), expected)


def test_of_a_snapshot_only_that_partition_is_read(
    daily: UseCase, churn_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2024-05-01", "2024-05-02", "2024-05-03"):
        publish(churn_lake, daily, [{"plan": "a", "price": 1.0}], day)
    read: list[object] = []
    original = LakeTable.read

    def spied(table: LakeTable, partitions: object = None, **given: object) -> pa.Table:
        read.append(partitions)
        return original(table, partitions, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(LakeTable, "read", spied)
    load_references(daily, churn_lake, partition="2024-05-02")
    load_references(daily, churn_lake)
    assert read == [["2024-05-02"], ["2024-05-03"]]


def test_of_a_whole_reference_only_the_keys_and_times_at_hand_are_read(
    dated: UseCase, churn_lake: Lake
) -> None:
    publish(churn_lake, dated, PRICES, "all")
    given = rows(("a", at(3)), ("z", at(4)))
    schema = arrow_schema({"plan": "string", "seen_at": "timestamp"})
    at_hand = pa.Table.from_pandas(given[["plan", "seen_at"]], schema=schema, preserve_index=False)
    references, inputs = load_references(dated, churn_lake, rows=at_hand)
    assert references["plans"].values["price"].tolist() == [1.0]  # 'b', and what came later, not
    assert prices(dated, given, references)[0] == 1.0
    assert [one.table for one in inputs] == ["churn.reference_plans"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("as_of: since", "as_of: price"), "as_of must be a timestamp or date column"),
        (("as_of: since", "as_of: until"), "as_of names 'until', which is not one of"),
        ((", seen_at]", "]"), r"as_of needs the time of each row.*'seen_at'.*features.inputs"),
    ],
)
def test_a_wrong_as_of_is_told(
    dated: UseCase, churn_root: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        changed(churn_root, change)
