"""From landed files to a served version and back, against what was published by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable

from include.due.definitions import DEFINITION
from include.due.stages import ALL, LANDING
from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_arrow
from include.lake.records import Input, Published, Writer
from include.lake.table import Lake
from include.lineage.commits import Commits
from include.lineage.text import MOST, model_text, partition_text
from include.lineage.trace import ModelLineage, model_lineage, partition_lineage
from tests.support.houses import House
from tests.support.packages import tiny_rows, tiny_use_case
from tests.support.registries import local_registry, make_champion
from tests.support.trainings import train

MONTHS = ["2024-01", "2024-02", "2024-03"]
OLD, NEW = 0xAB << 48, 0xCD << 48
"""Two definitions of the features."""


class Chain:
    """A use case whose every publish is known, because it is made here."""

    def __init__(self, where: Path) -> None:
        use_case = tiny_use_case()
        # Two definitions made the features, as after an edit.
        named = use_case.train.model_copy(update={"mixed_definitions": "name"})
        self.house = House(
            use_case.model_copy(update={"train": named}),
            Lake(str(where / "lake")),
            local_registry(where / "registry"),
            where / "work",
        )
        self.tokens = count(1)
        self.done: dict[tuple[str, str], Published] = {}

    def publish(self, stage: str, key: str, frame: pd.DataFrame, **more: Any) -> Published:
        kinds = {"id": "int64", "at": "timestamp", "colour": "string", "label": "int64"}
        columns = {name: kinds.get(name, "float64") for name in frame}
        data = to_arrow(frame, arrow_schema(columns))
        writer = Writer(f"tiny__{stage}/run {key}/do/-1", 1, next(self.tokens), "code-1")
        table = self.house.lake.table("tiny", stage)
        made = table.publish(data, partition=key, schema=data.schema, writer=writer, **more)
        self.done[stage, key] = made
        return made

    def read(self, stage: str, key: str) -> Input:
        return self.house.lake.table("tiny", stage).read_input(key)[1]

    def turn(self, key: str, definition: int = OLD, seed: int = 0) -> None:
        """Let a month pass from its landed rows to its features and labels."""
        rows = tiny_rows(month=key, seed=seed + int(key[-2:]))
        landed = rows.drop(columns="outcome")
        number = int(key[-2:])
        self.publish(
            "raw", key, landed, consumed={LANDING: 0x100 + number << 40}, facts={"files": 1}
        )
        self.publish("clean", key, landed, inputs=[self.read("raw", key)])
        planes = self.house.lake.table("tiny", "reference_planes")
        inputs = [self.read("clean", key), *([planes.pin()] if planes.exists() else [])]
        self.publish("features", key, landed, inputs=inputs, consumed={DEFINITION: definition})
        labels = rows[["id", "at"]].assign(label=rows["outcome"].astype("int64"))
        self.publish("labels", key, labels, consumed={LANDING: 0x200 + number << 40})

    def train(self, as_of: str) -> str:
        house = self.house
        name = f"request {as_of} {next(self.tokens)}"
        return train(house, as_of, name, linear_only=True).version

    def predict(self, key: str, version: str) -> None:
        rows = tiny_rows(month=key)[["id"]].assign(score=float(version))
        inputs = [self.read("features", key)]
        self.publish("predictions", key, rows, inputs=inputs, facts={"model_version": version})

    def monitor(self, key: str) -> None:
        found = pd.DataFrame({"x": [float(next(self.tokens))]})
        facts = {"verdict": "stable", "reasons": ""}
        self.publish("monitoring", key, found, inputs=[self.read("predictions", key)], facts=facts)

    def of_model(self, version: str) -> ModelLineage:
        house = self.house
        return model_lineage("tiny", version, house.lake, house.registry, house.ledger)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Land three months, train on two, promote, score the third; then land one month anew."""
    chain = Chain(tmp_path_factory.mktemp("chain"))
    planes = pd.DataFrame({"id": [1, 2], "x": [1.0, 2.0]})
    chain.publish("reference_planes", ALL, planes, consumed={LANDING: 0x300 << 40})
    chain.turn("2024-01")
    chain.turn("2024-02", NEW)
    version = chain.train("2024-02")
    assert version == "1"
    chain.first = dict(chain.done)  # type: ignore[attr-defined]
    make_champion(chain.house.registry, chain.house.lake, "1")
    chain.turn("2024-03", NEW)
    chain.predict("2024-03", "1")
    chain.monitor("2024-03")
    chain.turn("2024-01", NEW, seed=50)  # a correction, after the training
    chain.train("2024-03")
    make_champion(chain.house.registry, chain.house.lake, "2")
    return chain


def versions(lineage: ModelLineage) -> dict[tuple[str, str], int]:
    return {(step.stage, step.partition): step.version for step in lineage.sources}


def test_a_model_is_traced_to_the_publishes_that_it_learned_from(turned: Chain) -> None:
    """Not to the newer ones: January was landed again after the training."""
    lineage = turned.of_model("1")

    expected = {
        (stage, key): turned.first[stage, key].version  # type: ignore[attr-defined]
        for stage in ("raw", "clean", "features", "labels")
        for key in ("2024-01", "2024-02")
    }
    assert versions(lineage) == expected | {("reference_planes", ALL): 0}
    assert turned.done["raw", "2024-01"].version > expected["raw", "2024-01"]
    assert lineage.gaps == []


def test_each_step_says_who_made_it_when_from_what_by_which_definition(turned: Chain) -> None:
    steps = {(step.stage, step.partition): step for step in turned.of_model("1").sources}
    features, raw = steps["features", "2024-02"], steps["raw", "2024-02"]

    assert features.run_id == "tiny__features/run 2024-02/do/-1"
    assert (features.code_version, features.definition) == ("code-1", f"{NEW:016x}")
    assert steps["features", "2024-01"].definition == f"{OLD:016x}"
    assert [read.table for read in features.inputs] == ["tiny.clean", "tiny.reference_planes"]
    assert raw.landing == f"{0x102 << 40:016x}"
    assert steps["labels", "2024-02"].landing == f"{0x202 << 40:016x}"
    assert steps["reference_planes", ALL].landing == f"{0x300 << 40:016x}"
    delta = DeltaTable(f"{turned.house.lake.uri}/tiny/features")
    assert features.table_id == str(delta.metadata().id)
    made = next(one for one in delta.history() if one["version"] == features.version)
    assert pd.Timestamp(features.at) == pd.Timestamp(made["timestamp"], unit="ms", tz="UTC")


def test_and_on_to_what_it_made(turned: Chain) -> None:
    lineage = turned.of_model("1")

    assert [(each.number, each.version, each.previous) for each in lineage.promotions] == [
        (1, "1", None),
        (2, "2", "1"),
    ]
    scored = turned.done["predictions", "2024-03"]
    assert [(step.partition, step.version) for step in lineage.predictions] == [
        ("2024-03", scored.version)
    ]
    assert [step.facts["verdict"] for step in lineage.monitoring] == ["stable"]
    assert turned.of_model("2").predictions == []
    assert turned.of_model("2").monitoring == []


def test_the_chain_is_json_and_holds_no_source_text(turned: Chain) -> None:
    told = json.loads(json.dumps(asdict(turned.of_model("1"))))
    assert told["prepared"]["definitions"]["features"] == {
        f"{OLD:016x}": ["2024-01"],
        f"{NEW:016x}": ["2024-02"],
    }
    assert {"configuration", "python"} & set(told["prepared"]) == set()


def test_as_text_a_model_says_it_in_a_screen(turned: Chain) -> None:
    text = model_text(turned.of_model("1"))

    run_id = turned.of_model("1").prepared["run_id"]
    for part in (
        "tiny, model version 1: logistic_regression",
        "as of 2024-02, on 2024-01, judged on 2024-02",
        f"MLflow run {run_id}",
        "  2024-01    00010100    v0          v0          v0          v0",
        "features  2024-02: code code-1, definition 00cd0000",
        "planes (all): v0, 2 rows",
        "version 2 instead of 1, by a test: better",
        "2024-03: 400 rows with version 1",
        "2024-03: stable",
    ):
        assert part in text, text
    assert len(text.splitlines()) < 50


def test_a_long_history_is_cut_in_the_middle(turned: Chain) -> None:
    lineage = turned.of_model("1")
    keys = [f"{year}-{month:02}" for year in range(2000, 2030) for month in range(1, 13)]
    lineage.prepared["partitions"] = keys

    text = model_text(lineage)

    assert f"... {len(keys) - MOST} more: add JSON=1 (--json) for all" in text
    assert "2000-01 to 2029-11 (359 partitions)" in text
    assert len(text.splitlines()) < 60


def test_a_partition_says_what_was_made_from_it_and_who_learned_from_it(turned: Chain) -> None:
    house = turned.house
    january = partition_lineage("tiny", "2024-01", house.lake, house.registry)
    march = partition_lineage("tiny", "2024-03", house.lake, house.registry)

    assert [step.stage for step in january.steps] == ["raw", "labels", "clean", "features"]
    assert [(each.version, each.part, each.as_it_is) for each in january.models] == [
        ("1", "training", False),
        ("2", "training", True),
    ]
    assert [step.stage for step in march.steps][-2:] == ["predictions", "monitoring"]
    assert [(each.version, each.part) for each in march.models] == [("2", "holdout")]
    assert (january.scored_by, march.scored_by) == ([], ["1"])
    assert [step.table for step in march.references] == ["tiny.reference_planes"]
    text = partition_text(january)
    assert "version 1 as of 2024-02, as training; its rows have changed since" in text
    assert "tiny.features v3, 400 rows" in text
    assert "from tiny.clean v3, tiny.reference_planes v0, definition 00cd000000000000" in text
    assert json.loads(json.dumps(asdict(march)))["scored_by"] == ["1"]


def test_landed_files_are_named_where_the_lake_lists_them(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    moment = pd.Timestamp("2024-02-01", tz="UTC").as_unit("us")
    late = pd.Timestamp.now("UTC").as_unit("us") + pd.Timedelta(days=1)
    chain.turn("2024-01")
    columns = {name: "string" for name in ("key", "path", "sha256")} | {"first_seen": "timestamp"}
    frame = pd.DataFrame(
        {
            "key": ["2024-01", "2024-01", "2024-02"],
            "path": ["a.csv", "later.csv", "b.csv"],
            "sha256": ["a" * 64, "c" * 64, "b" * 64],
            "first_seen": [moment, late, moment],
        }
    )
    data = to_arrow(frame, arrow_schema(columns))
    chain.house.lake.table("tiny", "landed").publish(
        data, partition="raw", schema=data.schema, writer=Writer("r", 1, 1, "c")
    )

    step = Commits(chain.house.lake, "tiny").at("tiny.raw", "2024-01")

    assert step is not None
    assert step.files == [
        {"path": "a.csv", "sha256": "a" * 64, "first_seen": moment.isoformat()}
    ], "what landed later is not in these rows"


def test_where_a_table_was_made_anew_the_trail_ends_with_words(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for key in ("2024-01", "2024-02"):
        chain.turn(key)
    version = chain.train("2024-02")
    shutil.rmtree(Path(chain.house.lake.uri) / "tiny" / "clean")
    for key in ("2024-01", "2024-02"):
        chain.turn(key, seed=9)

    lineage = chain.of_model(version)

    assert {(step.stage) for step in lineage.sources} == {"features", "labels"}
    assert {gap.table for gap in lineage.gaps} == {"tiny.clean"}
    text = model_text(lineage)
    assert "Cannot be followed further" in text
    assert "the former one was moved away or created again" in text


def test_what_does_not_exist_is_named_with_what_does(turned: Chain) -> None:
    house = turned.house
    with pytest.raises(DataContractError, match=r"^tiny/7: .* there are 1, 2\. Name one of these"):
        turned.of_model("7")
    with pytest.raises(
        DataContractError, match=r"^tiny/2031-01: .*there are 2024-01 to 2024-03\. Correct"
    ):
        partition_lineage("tiny", "2031-01", house.lake, house.registry)
    with pytest.raises(DataContractError, match=r"^other/1: .* there is none yet"):
        model_lineage("other", "1", house.lake, house.registry, house.ledger)
    with pytest.raises(DataContractError, match=r"^other/2024-01: .* there is none yet"):
        partition_lineage("other", "2024-01", house.lake, house.registry)
