"""The history of labels: what was known when, and what the table `labels` shows of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.ingest_label.ingest import ingest_labels
from include.ingest_label.landing import Landing
from include.ingest_label.retract import retract
from include.labelling import history as module
from include.labelling.contract import LABEL, LabelSource, claims_schema
from include.labelling.history import HISTORY, LabelHistory
from include.labelling.publishing import publish_labels
from include.lake.schemas import FILE
from include.lake.table import Lake, StaleAttempt
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from tests.include.conftest import writer

DAY = "2024-05-01"
AT = datetime(2024, 5, 1, tzinfo=UTC)
HEADER = "customer,seen_at,days_to_departure\n"


class Clock:
    """Gives the time of each version: an hour later at each look."""

    def __init__(self) -> None:
        self.time = datetime(2024, 6, 1, tzinfo=UTC)

    def now(self, zone: object) -> datetime:
        """Return the present, and let an hour pass."""
        self.time += timedelta(hours=1)
        return self.time

    fromisoformat = staticmethod(datetime.fromisoformat)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "datetime", made)
    return made


@pytest.fixture
def both(churn_root: Path) -> UseCase:
    """Give churn rules beside its outcomes."""
    path = churn_root / "churn" / "use_case.yaml"
    rules = '  rules: {functions: {many_calls: {when: "calls > 3", label: 1}}}\n'
    path.write_text(path.read_text().replace('  rule: "<= 30"\n', f'  rule: "<= 30"\n{rules}'))
    return get("churn")


class Said:
    """A strategy that says what a test wants."""

    def __init__(self, use_case: UseCase, strategy: str, labels: dict[int, int], source: str = "x"):
        self.use_case, self.strategy, self.given, self.source = use_case, strategy, labels, source

    def labels(self) -> pa.Table:
        """Give the labels, by customer."""
        assert self.use_case.labels is not None
        schema = claims_schema(self.use_case, self.use_case.labels)
        rows = [[one, AT, label, self.source, 0.9] for one, label in self.given.items()]
        columns = [list(each) for each in zip(*rows, strict=True)] or [[] for _ in schema]
        arrays = [pa.array(each, field.type) for each, field in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)


def record(history: LabelHistory, token: int, labels: dict[int, int], **how: Any) -> int:
    said: LabelSource = Said(history.use_case, how.pop("strategy", "outcome"), labels, **how)
    return history.record(DAY, said.strategy, said.labels(), writer(token))


def known(history: LabelHistory, at: datetime | None = None) -> dict[int, tuple[int, int]]:
    """Return label and version by customer."""
    rows = history.known(DAY, at).to_pylist()
    return {row["customer"]: (row[LABEL], row["_version"]) for row in rows}


def test_labels_are_read_as_they_were_known_at_a_time(churn, churn_lake, clock):
    history = LabelHistory(churn, churn_lake)
    times = []
    for token, labels in enumerate([{1: 0, 2: 1}, {1: 1, 2: 1, 3: 0}, {1: 1, 3: 0}], 1):
        record(history, token, labels)
        times.append(clock.time)
    assert known(history, times[0] - timedelta(microseconds=1)) == {}
    assert known(history, times[0]) == {1: (0, 1), 2: (1, 1)}
    assert known(history, times[1]) == {1: (1, 2), 2: (1, 1), 3: (0, 1)}
    assert known(history, times[2]) == {1: (1, 2), 3: (0, 1)}, "what is no longer said is withdrawn"
    assert known(history) == known(history, times[2])


def test_history_is_appended_to_and_what_is_said_again_appends_nothing(churn, churn_lake, clock):
    history = LabelHistory(churn, churn_lake)
    assert record(history, 1, {1: 0, 2: 1}) == 2
    before = history.table.read([DAY]).to_pylist()
    assert record(history, 2, {1: 0, 2: 1}) == 0
    assert record(history, 3, {1: 1, 2: 1}) == 1
    assert record(history, 4, {}) == 2
    after = history.table.read([DAY]).to_pylist()
    assert [row for row in after if row in before] == before
    assert len(after) == 5
    assert record(history, 5, {1: 1}) == 1
    assert known(history) == {1: (1, 4)}, "versions count on after a withdrawal"


def test_another_source_of_the_same_label_is_a_version(churn, churn_lake, clock):
    history = LabelHistory(churn, churn_lake)
    record(history, 1, {1: 0}, source="file a")
    assert record(history, 2, {1: 0}, source="file b") == 1
    assert history.known(DAY)["_source"].to_pylist() == ["file b"]


def test_a_clock_that_is_behind_does_not_write_into_the_past(churn, churn_lake, clock):
    history = LabelHistory(churn, churn_lake)
    record(history, 1, {1: 0})
    first = clock.time
    clock.time -= timedelta(days=3)
    record(history, 2, {1: 1})
    assert known(history, first - timedelta(microseconds=1)) == {}
    assert history.known(DAY)["_known_at"].to_pylist() == [first]


def test_an_attempt_that_was_overtaken_appends_nothing(churn, churn_lake):
    history = LabelHistory(churn, churn_lake)
    record(history, 2, {1: 0})
    with pytest.raises(StaleAttempt, match="a later attempt has recorded the labels of 2024-05-01"):
        record(history, 1, {1: 1})
    assert known(history) == {1: (0, 1)}


def test_strategies_do_not_withdraw_each_others_labels(both, churn_lake):
    history = LabelHistory(both, churn_lake)
    record(history, 1, {1: 0, 2: 1})
    record(history, 1, {2: 0}, strategy="rules")
    told = [
        (row["_strategy"], row["customer"], row[LABEL]) for row in history.known(DAY).to_pylist()
    ]
    assert told == [("outcome", 1, 0), ("outcome", 2, 1), ("rules", 2, 0)]


def published(lake: Lake) -> dict[int, tuple[int, str | None]]:
    rows = lake.table("churn", "labels").read([DAY]).to_pylist()
    return {row["customer"]: (row[LABEL], row[FILE]) for row in rows}


@pytest.mark.parametrize("order", [("outcome", "rules"), ("rules", "outcome")])
def test_the_declared_precedence_decides_whoever_comes_last(both, churn_lake, order):
    history, said = LabelHistory(both, churn_lake), {
        "outcome": Said(both, "outcome", {1: 0, 2: 1}, "f" * 16),
        "rules": Said(both, "rules", {2: 0, 3: 1}, "many_calls"),
    }  # fmt: skip
    for token, strategy in enumerate(order, 1):
        last = publish_labels(said[strategy], history, DAY, writer(token))
    expected = {1: (0, "f" * 16), 2: (1, "f" * 16), 3: (1, None)}
    assert published(churn_lake) == expected
    again = publish_labels(said[order[0]], history, DAY, writer(3))
    assert (again.changed, again.partition_version) == (False, last.partition_version)


def test_what_took_precedence_comes_back_when_it_is_withdrawn(both, churn_lake):
    history = LabelHistory(both, churn_lake)
    publish_labels(Said(both, "rules", {1: 1}), history, DAY, writer(1))
    publish_labels(Said(both, "outcome", {1: 0}), history, DAY, writer(2))
    assert published(churn_lake)[1][0] == 0
    publish_labels(Said(both, "outcome", {}), history, DAY, writer(3))
    assert published(churn_lake)[1][0] == 1


def test_without_any_label_nothing_is_published_and_nothing_recorded(both, churn_lake):
    history = LabelHistory(both, churn_lake)
    with pytest.raises(DataContractError, match=r"no strategy of .* has a label for any row"):
        publish_labels(Said(both, "rules", {}), history, DAY, writer(1))
    assert not history.table.exists()


# Of landed files


def land(tmp_path: Path, name: str, text: str) -> Landing:
    path = tmp_path / "landing" / "departures" / DAY / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + text)
    return Landing(str(tmp_path / "landing"))


def outcome(customer: int, days: int) -> str:
    return f"{customer},{DAY}T00:00:00Z,{days}\n"


def test_landed_outcomes_give_the_table_that_they_gave_before(churn, churn_lake, tmp_path):
    landing = land(tmp_path, "a.csv", outcome(2, 40) + outcome(1, 3))
    ingest_labels(churn, DAY, landing, churn_lake, writer(1))
    rows = churn_lake.table("churn", "labels").read([DAY])
    assert rows.column_names == ["customer", "seen_at", LABEL, FILE, "partition"]
    assert rows["customer"].to_pylist() == [2, 1], "in the order of the file"
    said = LabelHistory(churn, churn_lake).known(DAY)
    assert said["_source"].to_pylist() == rows[FILE].to_pylist()
    assert said["_confidence"].to_pylist() == [1.0, 1.0]


def test_labels_of_before_the_history_are_its_first_versions(churn, churn_lake, tmp_path):
    landing = land(tmp_path, "a.csv", outcome(1, 3) + outcome(2, 40))
    ingest_labels(churn, DAY, landing, churn_lake, writer(1))
    table, copy = churn_lake.table("churn", "labels"), Lake(str(tmp_path / "before"))
    rows = table.read([DAY], table.schema())
    copy.table("churn", "labels").publish(
        rows, partition=DAY, schema=rows.schema, writer=writer(1)
    )  # a lake without a history
    history = LabelHistory(churn, copy)
    assert known(history) == {1: (1, 1), 2: (0, 1)}
    since = datetime.fromisoformat(copy.table("churn", "labels").facts(DAY)["timestamp"])
    record(history, 2, {1: 0, 2: 0})
    assert known(history, since) == {1: (1, 1), 2: (0, 1)}
    assert known(history) == {1: (0, 2), 2: (0, 2)}


def test_a_retraction_withdraws_labels_and_keeps_their_history(churn, churn_lake, tmp_path):
    landing = land(tmp_path, "a.csv", outcome(1, 3))
    ingest_labels(churn, DAY, landing, churn_lake, writer(1))
    history = LabelHistory(churn, churn_lake)
    before = history.known(DAY)["_known_at"].to_pylist()[0]
    retract(
        churn, DAY, reason="wrong month", who="ann", landing=landing, lake=churn_lake,
        writer=writer(2),
    )  # fmt: skip
    assert known(history) == {}
    assert known(history, before) == {1: (1, 1)}
    assert churn_lake.table("churn", "labels").partitions() == []


def test_a_file_that_is_gone_keeps_its_labels_also_where_others_took_precedence(
    churn_root, churn_lake, tmp_path, both
):
    path = churn_root / "churn" / "use_case.yaml"
    first = "  precedence: [rules, outcome]\n"
    path.write_text(path.read_text().replace("  rules:", f"{first}  rules:"))
    both = get("churn")
    landing = land(tmp_path, "a.csv", outcome(1, 3) + outcome(2, 40))
    ingest_labels(both, DAY, landing, churn_lake, writer(1))
    history = LabelHistory(both, churn_lake)
    publish_labels(Said(both, "rules", {1: 0}), history, DAY, writer(2))
    (tmp_path / "landing" / "departures" / DAY / "a.csv").unlink()
    landing = land(tmp_path, "b.csv", outcome(3, 5))
    ingest_labels(both, DAY, landing, churn_lake, writer(3))
    assert {key: label for key, (label, _) in published(churn_lake).items()} == {1: 0, 2: 0, 3: 1}
    publish_labels(Said(both, "rules", {3: 0}), history, DAY, writer(4))
    assert published(churn_lake)[1][0] == 1, "the outcome of the file that is gone"


def test_a_migration_of_the_key_converts_the_history(churn_root, churn, churn_lake):
    history = LabelHistory(churn, churn_lake)
    record(history, 1, {1: 0, 2: 1})
    path = churn_root / "churn" / "use_case.yaml"
    text = path.read_text().replace("customer: int64", "customer: string")
    migration = "migrations: [{column: customer, before: int64, after: string}]\n"
    path.write_text(text + migration)
    moved = LabelHistory(get("churn"), churn_lake)
    said = Said(moved.use_case, "outcome", {})
    schema = claims_schema(moved.use_case, moved.use_case.labels)
    claims = pa.table([["1"], [AT], [1], ["x"], [0.9]], schema=schema)
    assert moved.record(DAY, said.strategy, claims, writer(2)) == 2
    rows = churn_lake.table("churn", HISTORY).read([DAY]).to_pylist()
    assert sorted((row["customer"], row["_version"], row[LABEL]) for row in rows) == [
        ("1", 1, 0), ("1", 2, 1), ("2", 1, 1), ("2", 2, None),
    ]  # fmt: skip
