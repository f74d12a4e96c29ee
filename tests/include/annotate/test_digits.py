"""The shipped use case that needs people: from landed images to labels, by the real functions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.annotate import pictures
from include.annotate.choosing import choose_round
from include.annotate.guesses import guesses_of
from include.annotate.publish import publish_people
from include.errors import DataContractError
from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.labelling.answers import record_answers
from include.labelling.asking import Answer, item_id
from include.lake.files import LakeFiles
from include.lake.schemas import CHOSEN
from include.lake.table import Lake
from include.lineage.text import partition_text
from include.lineage.trace import partition_lineage
from include.modelling.label_coverage import label_coverage
from include.modelling.training_set import load_training_set
from include.registry.package import ServableModel
from include.use_cases.loader import get, python_of
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from scripts.land_examples import TO_BEGIN_WITH, digits, land
from tests.include.conftest import writer

DAY = "2024-06-01"
LABELLED = 357 + TO_BEGIN_WITH


class World:
    """A landing and a lake with the digits; people answer as it is."""

    def __init__(self, folder: Path) -> None:
        self.use_case, self.lake = get("digits"), Lake(str(folder / "lake"))
        self.landing = Landing(str(folder / "landing"))
        self.file = land("digits", folder / "landing", date.fromisoformat(DAY))
        self.truth = dict(zip(digits()["image"], digits()["digit"], strict=True))
        self.token = 0

    def writer(self) -> Any:
        self.token += 1
        return writer(self.token)

    def prepare(self) -> None:
        """Bring what landed into the lake."""
        ingest_rows(self.use_case, DAY, self.landing, self.lake, self.writer())
        ingest_labels(self.use_case, DAY, self.landing, self.lake, self.writer())
        validate_and_clean(self.use_case, DAY, self.lake, self.writer())
        build_partition(self.use_case, DAY, self.lake, self.writer())

    def round(self, guesses: Any = None) -> Any:
        """Ask, answer, publish."""
        made = choose_round(self.use_case, DAY, self.lake, self.writer(), guesses)
        answers = [
            Answer(one.item, "ann", str(self.truth[one.key["image"]]), datetime.now(UTC), one.item)
            for one in made.items
        ]
        record_answers(
            *(self.use_case, DAY, made.number, answers, self.lake, self.writer()),
            via="airflow",
            closed_at=datetime.now(UTC) + timedelta(seconds=1),
        )
        return made, publish_people(self.use_case, DAY, self.lake, self.writer())

    def labels(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.lake.table("digits", "labels").read([DAY]).to_pylist()
        return rows

    def trained(self) -> tuple[Any, float]:
        """Fit a model on what is known, and tell its accuracy on all images."""
        training = load_training_set(self.use_case, self.lake, DAY)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        model.fit(training.train_X, training.train_y)
        frame = digits()
        found = model.predict(frame[self.use_case.features.columns])
        return model, float((found == frame["digit"]).mean())


class Models:
    """Stands for the registry: it has one model."""

    def __init__(self, use_case: UseCase, estimator: Any) -> None:
        self.model = ServableModel.__new__(ServableModel)
        for name, value in {
            "version": "1",
            "use_case": use_case,
            "estimator": estimator,
            "python": python_of(use_case),
        }.items():
            object.__setattr__(self.model, name, value)

    def load(self, name: str, version: str) -> ServableModel:
        """Return it."""
        assert (name, version) == ("digits", "1")
        return self.model


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.prepare()
    return made


def test_rounds_of_people_bring_labels_that_are_true_and_a_model_that_is_better(world):
    assert [one.waits for one in label_coverage(world.use_case, world.lake, DAY)] == [""]
    model, before = world.trained()
    for _ in range(3):
        registry: Any = Models(world.use_case, model)
        guesses = guesses_of(world.use_case, DAY, "1", world.lake, registry)
        made, done = world.round(guesses)
        assert (len(made.items), done.changed) == (20, True)
        policies = [one.policy for one in made.items]
        assert (policies.count("uncertain"), policies.count("random")) == (16, 4)
        model, after = world.trained()
    assert after > before + 0.01
    rows = world.labels()
    assert len(rows) == LABELLED + 60
    assert all(row["label"] == world.truth[row["image"]] for row in rows)
    chosen = [row[CHOSEN] for row in rows]
    assert (chosen.count(None), chosen.count("uncertain")) == (LABELLED, 48)
    # The champion's own guess stands beside what it doubted, and both disagree at times.
    doubted = [one for one in made.items if one.policy == "uncertain"]
    assert all(one.guess_probability < 0.9 for one in doubted)
    assert any(one.guess != world.truth[one.key["image"]] for one in doubted)


def test_people_see_a_picture_and_no_shades(world):
    made, _ = world.round()
    files = LakeFiles(world.lake)
    for one in made.items:
        assert one.row == {"image": one.key["image"]}
        assert one.picture == f"digits/pictures/{DAY}/{one.item}.png"
        assert files.read(one.picture).startswith(b"\x89PNG")


def test_a_file_that_lands_again_keeps_what_people_said_and_takes_precedence_of_none(world):
    made, _ = world.round()
    before = {row["image"]: row["label"] for row in world.labels()}
    text = world.file.read_text().splitlines()
    corrected = next(number for number, line in enumerate(text) if line.endswith(",7"))
    text[corrected] = text[corrected][:-1] + "1"
    world.file.write_text("\n".join(text) + "\n")
    world.prepare()
    after = {row["image"]: row["label"] for row in world.labels()}
    image = text[corrected].split(",")[0]
    assert after == before | {image: 1}
    assert {one.key["image"] for one in made.items} <= set(after)


def test_people_come_before_a_label_that_lands_later(world):
    """`people` stands first in labels.precedence."""
    made, _ = world.round()
    asked = {one.key["image"] for one in made.items}
    lines = world.file.read_text().splitlines()
    wrong = []
    for line in lines:
        image = line.split(",")[0]
        wrong.append(f"{line}{(world.truth[image] + 1) % 10}" if image in asked else line)
    world.file.write_text("\n".join(wrong) + "\n")
    world.prepare()
    rows = {row["image"]: row for row in world.labels()}
    assert all(rows[one]["label"] == world.truth[one] for one in asked)
    assert {rows[one][CHOSEN] for one in asked} == {None}, "it would be there without people"


def test_a_champion_that_tells_other_things_apart_is_no_reason_to_ask_nobody(world, caplog):
    model, _ = world.trained()
    two = world.use_case.labels.model_copy(update={"classes": {"Yes": 1, "No": 0}})
    other = world.use_case.model_copy(update={"labels": two})
    registry: Any = Models(other, model)
    assert guesses_of(world.use_case, DAY, "1", world.lake, registry) is None
    assert "cannot score 2024-06-01" in caplog.text
    assert guesses_of(world.use_case, DAY, None, world.lake, registry) is None


def test_guesses_are_those_of_the_model_by_row(world):
    model, _ = world.trained()
    registry: Any = Models(world.use_case, model)
    found = guesses_of(world.use_case, DAY, "1", world.lake, registry)
    rows = world.lake.table("digits", "clean").read([DAY]).to_pandas()
    chances = model.predict_proba(rows[world.use_case.features.columns])
    ids = [item_id({"image": image}) for image in rows["image"]]
    np.testing.assert_allclose(found.of(ids), chances, atol=1e-12)
    assert np.isnan(found.of(["0" * 16])).all()


def test_a_picture_that_cannot_be_made_is_told_and_asked_about_without(world, monkeypatch, caplog):
    made = []

    def draw(row: dict[str, Any]) -> bytes | None:
        made.append(row["image"])
        if len(made) == 1:
            raise ValueError("no ink")
        if len(made) == 2:
            return b"GIF89a"
        return None if len(made) == 3 else digits_picture(row)

    digits_picture = pictures.labels_python_of(world.use_case).module("labels").picture
    module = SimpleNamespace(module=lambda name: SimpleNamespace(picture=draw))
    monkeypatch.setattr(pictures, "labels_python_of", lambda use_case: module)
    asked, _ = world.round()
    assert sum(one.picture is None for one in asked.items) == 3
    assert "2 items without picture" in caplog.text
    assert "picture raised ValueError: no ink" in caplog.text
    made.clear()
    monkeypatch.setattr(
        pictures,
        "labels_python_of",
        lambda use_case: SimpleNamespace(
            module=lambda name: SimpleNamespace(picture=lambda row: "text")
        ),
    )
    with pytest.raises(DataContractError, match="must return bytes or None, got str"):
        world.round()


def test_lineage_names_who_labelled_also_after_files_have_landed_again(world):
    world.round()
    registry: Any = SimpleNamespace(versions=lambda name: [])
    expected = f"Labelled by people\n  {DAY}: 20 by ann"
    for _ in range(2):
        text = partition_text(partition_lineage("digits", DAY, world.lake, registry))
        assert expected in text
        world.file.write_text(world.file.read_text() + "\n")
        world.prepare()
