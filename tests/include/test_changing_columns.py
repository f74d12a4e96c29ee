"""A use case's columns change through ingestion, cleaning, features and scoring."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from include.batch_predict.predict import predict_partition
from include.drift_monitor.current import read_current
from include.due.state import State, states
from include.errors import ConfigError, DataContractError
from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_reference, ingest_rows, wanted_landed
from include.ingest_label.landing import Landing
from include.lake.table import Lake
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from tests.include.conftest import writer
from tests.support.monitored import World, make_world
from tests.support.packages import TINY, tiny_use_case

DAYS = ["2024-05-01", "2024-05-02", "2024-05-03"]
TABLES = ("raw", "clean", "features", "reference_plans")


class Customers:
    """The use case `churn`, its landing and its lake; a day goes through three phases."""

    def __init__(self, root: Path, where: Path) -> None:
        self.yaml = root / "churn" / "use_case.yaml"
        self.folder = where / "landing"
        self.lake = Lake(str(where / "lake"))
        self.tokens = count(1)

    @property
    def use_case(self) -> UseCase:
        return get("churn")

    def edit(self, *changes: tuple[str, str]) -> None:
        text = self.yaml.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.yaml.write_text(text)

    def land(self, day: str, header: str, *rows: str) -> None:
        file = self.folder / "customers" / day / "a.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([header, *rows, ""]))

    def land_plans(self, text: str) -> None:
        (self.folder / "plans").mkdir(parents=True, exist_ok=True)
        (self.folder / "plans" / "plans.csv").write_text(text)

    def turn(self, day: str) -> None:
        landing = Landing(str(self.folder))
        ingest_reference(self.use_case, "plans", "all", landing, self.lake, self.writer())
        ingest_rows(self.use_case, day, landing, self.lake, self.writer())
        validate_and_clean(self.use_case, day, self.lake, self.writer())
        self.build(day)

    def build(self, day: str) -> None:
        build_partition(self.use_case, day, self.lake, self.writer())

    def writer(self) -> Any:
        return writer(next(self.tokens))

    def column(self, stage: str, name: str) -> list[Any]:
        values: list[Any] = self.lake.table("churn", stage).read(columns=[name])[name].to_pylist()
        return values

    def ids(self) -> list[str]:
        return [DeltaTable(f"{self.lake.uri}/churn/{one}").metadata().id for one in TABLES]


@pytest.fixture
def customers(churn_root: Path, tmp_path: Path) -> Customers:
    made = Customers(churn_root, tmp_path)
    made.land_plans("plan,price\nbasic,9.5\n")
    header = "customer,seen_at,plan,calls,bill"
    for number, day in enumerate(DAYS[:2]):
        made.land(day, header, f"1,{day}T00:00:00Z,basic,{number + 3},10.5",
                  f"2,{day}T01:00:00Z,basic,{number + 5},")  # fmt: skip
        made.turn(day)
    return made


def test_a_landed_column_and_a_feature_are_added(customers: Customers) -> None:
    before = customers.ids()
    customers.edit(
        ("calls: int64", "calls: int64, minutes: float64"),
        ("inputs: [", "inputs: [minutes, "),
        ("numeric: [", "numeric: [minutes, "),
    )
    # A partition of the former definition has nothing in it, also before any has the column.
    customers.build(DAYS[0])
    assert customers.column("features", "minutes") == [None] * 4
    customers.land(DAYS[2], "customer,seen_at,plan,calls,minutes,bill",
                   f"1,{DAYS[2]}T00:00:00Z,basic,1,2.5,1",
                   f"2,{DAYS[2]}T00:00:00Z,basic,1,7.5,1")  # fmt: skip
    customers.turn(DAYS[2])
    for stage in ("raw", "clean", "features"):
        assert customers.column(stage, "minutes") == [None] * 4 + [2.5, 7.5]
    assert customers.ids() == before


def test_a_column_of_a_reference_is_added(customers: Customers) -> None:
    before = customers.ids()
    customers.edit(("price: float64", "price: float64, speed: float64"))
    customers.build(DAYS[0])  # the reference has not landed again
    customers.land_plans("plan,price,speed\nbasic,9.5,100\n")
    customers.turn(DAYS[1])
    assert customers.column("reference_plans", "speed") == [100.0]
    assert customers.ids() == before


def test_a_column_is_dropped(customers: Customers) -> None:
    before = customers.ids()
    customers.edit((", bill: float64", ""), (", bill", ""))
    customers.land(DAYS[2], "customer,seen_at,plan,calls",
                   f"1,{DAYS[2]}T00:00:00Z,basic,1", f"2,{DAYS[2]}T00:00:00Z,basic,1")  # fmt: skip
    customers.turn(DAYS[2])
    for stage in ("raw", "clean"):
        table = customers.lake.table("churn", stage)
        assert "bill" not in table.schema().names
        assert customers.column(stage, "bill") == [10.5, None, 10.5, None, None, None]
    assert customers.ids() == before


def test_a_column_is_retyped_by_its_migration(customers: Customers) -> None:
    before = customers.ids()
    customers.edit(("calls: int64", "calls: float64"))
    customers.land(DAYS[2], "customer,seen_at,plan,calls,bill",
                   f"1,{DAYS[2]}T00:00:00Z,basic,1.5,1",
                   f"2,{DAYS[2]}T00:00:00Z,basic,2.5,1")  # fmt: skip
    with pytest.raises(DataContractError, match="column 'calls' must stay int64, got float64"):
        customers.turn(DAYS[2])
    text = customers.yaml.read_text()
    declared = "migrations: [{column: calls, before: int64, after: float64}]\n"
    customers.yaml.write_text(text + declared)
    versions = customers.lake.table("churn", "raw").partition_versions(DAYS[:2])
    customers.turn(DAYS[2])
    for stage in ("raw", "clean"):
        assert customers.column(stage, "calls") == [3.0, 5.0, 4.0, 6.0, 1.5, 2.5]
    assert customers.lake.table("churn", "raw").partition_versions(DAYS[:2]) == versions
    assert customers.ids() == before


@pytest.mark.parametrize(
    ("migration", "message"),
    [
        ("{column: calls, before: int64, after: int64}", "must change the type, got 'int64' twice"),
        ("{column: at, before: timestamp, after: int64}", "a time can only become a string"),
    ],
)
def test_a_migration_that_cannot_be_is_refused(
    customers: Customers, migration: str, message: str
) -> None:
    customers.yaml.write_text(customers.yaml.read_text() + f"migrations: [{migration}]\n")
    with pytest.raises(ConfigError, match=rf"migrations\[0\] of column .*{message}"):
        _ = customers.use_case


def scored(world: World, month: str) -> list[float]:
    predict_partition(
        world.use_case, month, world.champion, world.lake, world.registry, world.writer()
    )
    found: list[float] = (
        world.lake.table("tiny", "predictions").read([month], ["score"])["score"].to_pylist()
    )
    return found


def edited(world: World, **changes: Any) -> None:
    """Let the use case be another one from now on; the champion keeps its own."""
    world.use_case = tiny_use_case(**changes)


def test_an_older_champion_goes_on_scoring_when_columns_are_added(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.crown()
    rows = world.land("2024-03", rows=50)
    expected = scored(world, "2024-03")
    ingest = TINY["ingest"] | {"columns": TINY["ingest"]["columns"] | {"extra": "float64"}}
    features = TINY["features"] | {"inputs": ["x", "z", "colour", "extra"]}
    edited(world, ingest=ingest, features=features | {"numeric": ["x", "z", "extra"]})
    world.land("2024-03", rows.assign(extra=1.0))
    assert scored(world, "2024-03") == expected


def test_an_older_champion_is_told_that_a_dropped_column_was_one_of_its_own(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    world.crown()
    rows = world.land("2024-03", rows=50)
    expected = scored(world, "2024-03")
    columns = {name: kind for name, kind in TINY["ingest"]["columns"].items() if name != "z"}
    features = {"inputs": ["x", "colour"], "numeric": ["x"], "categorical": ["colour"]}
    edited(world, ingest=TINY["ingest"] | {"columns": columns}, features=features)
    world.land("2024-04", rows.drop(columns="z"))
    with pytest.raises(DataContractError) as told:
        scored(world, "2024-04")
    assert "cannot be built as model version 1 needs them" in str(told.value)
    assert "but were published without ['z']. Train again" in str(told.value)
    assert scored(world, "2024-03") == expected  # the rows that it needs are there


def test_an_older_champion_reads_its_own_types(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.crown()
    rows = world.land("2024-03", rows=50)
    expected = scored(world, "2024-03")
    ingest = TINY["ingest"] | {"columns": TINY["ingest"]["columns"] | {"x": "string"}}
    features = TINY["features"] | {"numeric": ["z"]}
    step = {"column": "x", "before": "float64", "after": "string"}
    edited(world, ingest=ingest, features=features, migrations=[step])
    as_text = rows.assign(x=rows["x"].map(lambda value: None if value != value else repr(value)))
    world.land("2024-04", as_text)
    assert scored(world, "2024-03") == expected
    assert scored(world, "2024-04") == expected
    world.land("2024-04", as_text.assign(x="many"))
    with pytest.raises(DataContractError, match=r"'x': every value must fit float64, got 'many'"):
        scored(world, "2024-04")


def gone(customers: Customers, name: str) -> None:
    """Let a file of the first day go, as a lifecycle rule does; another lands beside it."""
    folder = customers.folder / "customers" / DAYS[0]
    (folder / "a.csv").unlink(missing_ok=True)
    (folder / name).write_text(
        f"customer,seen_at,plan,calls,bill\n7,{DAYS[0]}T00:00:00Z,basic,4,1\n"
    )


def ingested(customers: Customers) -> list[Any]:
    landing = Landing(str(customers.folder))
    ingest_rows(customers.use_case, DAYS[0], landing, customers.lake, customers.writer())
    rows = customers.lake.table("churn", "raw").read([DAYS[0]], ["bill"])
    values: list[Any] = rows["bill"].to_pylist()
    return values


def test_rows_of_a_file_that_is_gone_follow_the_migrations(customers: Customers) -> None:
    customers.edit(("bill: float64", "bill: string"), ("calls, bill]", "calls]"))
    text = customers.yaml.read_text()
    step = "migrations: [{column: bill, before: float64, after: string}"
    customers.yaml.write_text(f"{text}{step}]\n")
    landed = customers.folder / "customers" / DAYS[0] / "a.csv"
    landed.write_text(landed.read_text().replace("10.5", "free"))
    assert ingested(customers) == ["free", None]
    back = ", {column: bill, before: string, after: float64, misfits: missing}]"
    customers.yaml.write_text(f"{text.replace('bill: string', 'bill: float64')}{step}{back}\n")
    gone(customers, "b.csv")
    assert ingested(customers) == [None, None, 1.0]


def test_a_dropped_column_comes_back_with_the_rows_of_a_file_that_is_gone(
    customers: Customers,
) -> None:
    text = customers.yaml.read_text()
    customers.edit((", bill: float64", ""), (", bill", ""))
    customers.land(DAYS[2], "customer,seen_at,plan,calls",
                   f"1,{DAYS[2]}T00:00:00Z,basic,1", f"2,{DAYS[2]}T00:00:00Z,basic,1")  # fmt: skip
    customers.turn(DAYS[2])
    customers.yaml.write_text(text)
    gone(customers, "b.csv")
    assert ingested(customers) == [10.5, None, 1.0]


def test_a_partition_whose_files_are_all_gone_is_made_again_by_a_new_definition(
    customers: Customers,
) -> None:
    """Or a lifecycle rule and one edit would let each training be refused for good."""
    (customers.folder / "customers" / DAYS[0] / "a.csv").unlink()
    landing = Landing(str(customers.folder))

    def raw() -> State:
        wanted = wanted_landed(customers.use_case, landing, customers.lake)["raw"]
        return states("churn", "raw", wanted, customers.lake)[DAYS[0]]

    assert raw().status == "up to date"
    customers.edit(("calls: int64", "calls: int64, minutes: float64"))
    assert raw().status == "out of date"
    assert ingested(customers) == [10.5, None]
    assert raw().status == "up to date"


def keys_as_text(world: World) -> None:
    step = {"column": "id", "before": "int64", "after": "string"}
    ingest = TINY["ingest"] | {"columns": TINY["ingest"]["columns"] | {"id": "string"}}
    labels = TINY["labels"] | {"columns": TINY["labels"]["columns"] | {"id": "string"}}
    edited(world, ingest=ingest, labels=labels, migrations=[step])


def test_an_older_champion_scores_rows_whose_key_was_retyped(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.crown()
    rows = world.land("2024-03", rows=50)
    expected = scored(world, "2024-03")
    world.land_outcomes("2024-03", rows)
    keys_as_text(world)
    # Predictions and labels still have the former type, features the one of today.
    world.land("2024-04", rows.assign(id=rows["id"].astype(str)))
    current = read_current(world.use_case, "2024-03", world.lake, world.registry)
    assert len(current.scored) == 50
    assert current.outcomes is not None
    assert list(current.outcomes.score) == expected
    assert scored(world, "2024-04") == expected
    assert scored(world, "2024-03") == expected
    table = world.lake.table("tiny", "predictions")
    assert table.read(["2024-03"], ["id"])["id"].to_pylist() == [str(n) for n in range(50)]


def test_a_champion_that_names_rows_otherwise_is_refused_with_words(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.crown()
    rows = world.land("2024-03", rows=50)
    edited(world, ingest=TINY["ingest"] | {"key": ["id", "at"]})
    world.land("2024-03", rows)
    with pytest.raises(DataContractError, match=r"names rows by \['id'\], but here .*'id', 'at'"):
        scored(world, "2024-03")
