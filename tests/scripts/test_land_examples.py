"""What lands for the shipped snapshots."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from include.modelling.uncertainty import MIN_CLASS_ROWS
from include.modelling.units import unit_numbers
from include.use_cases.loader import get, labels_python_of
from scripts.land_examples import HELD_OUT, TABLES, TO_BEGIN_WITH, digits, land, main

DAY = date(2024, 6, 1)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_what_lands_has_the_columns_that_the_use_case_declares(name: str, tmp_path: Path) -> None:
    frame = pd.read_csv(land(name, tmp_path, DAY))
    use_case = get(name)
    assert use_case.labels is not None
    assert {*use_case.ingest.columns, use_case.labels.from_} <= set(frame)
    assert not frame.duplicated(use_case.ingest.key).any()


def test_the_digits_are_those_of_the_package_and_most_land_without_a_label(
    tmp_path: Path,
) -> None:
    there = load_digits()
    assert (digits()["digit"] == there.target).all()
    path = land("digits", tmp_path, DAY)
    frame = pd.read_csv(path)
    assert (frame.filter(like="shade_").to_numpy() == there.data).all()
    labelled = frame["digit"].notna()
    assert (frame["digit"][labelled] == there.target[labelled]).all()
    split = get("digits").train.split
    assert split.holdout == HELD_OUT
    images = pa.table({"image": frame["image"]})
    held_out = unit_numbers(images, ["image"], "holdout") < split.holdout
    assert (held_out.sum(), (labelled & ~held_out).sum()) == (357, TO_BEGIN_WITH)
    assert labelled[held_out].all()
    assert frame["digit"][held_out].value_counts().min() >= MIN_CLASS_ROWS, "the gate can tell"
    assert frame["digit"][labelled & ~held_out].nunique() == 10
    assert ".0" not in path.read_text(), "whole numbers land as such"


def test_the_picture_of_a_digit_shows_its_shades() -> None:
    """Pillow, which has not drawn it, reads the shades off it again."""
    frame = digits()
    draw = labels_python_of(get("digits")).module("labels").picture
    for row in frame.iloc[[0, 7]].to_dict("records"):
        with Image.open(io.BytesIO(draw(row))) as picture:
            assert (picture.size, picture.mode) == ((168, 168), "L")
            middles = np.asarray(picture)[10::21, 10::21]
        shades = np.array([[row[f"shade_{i}_{j}"] for j in range(8)] for i in range(8)])
        assert np.abs(middles - (255 - 255 * shades / 16)).max() < 1
    lacking = {name: None for name in row}
    assert Image.open(io.BytesIO(draw(lacking))).getextrema() == (255, 255)


def test_votes_are_as_the_survey_counted_them(tmp_path: Path) -> None:
    assert pd.read_csv(land("votes", tmp_path, DAY))["vote"].value_counts().to_dict() == {
        "Clinton": 551,
        "Dole": 393,
    }


def test_without_a_folder_it_is_the_landing_area(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    assert main(["votes", "--snapshot", "2024-06-01"]) == 0
    assert (tmp_path / "landing" / "votes" / "2024-06-01" / "votes.csv").exists()
    monkeypatch.setenv("FLYWHEEL_LANDING_URI", "s3://bucket/landing")
    assert main(["votes"]) == 1
    assert "s3://bucket/landing: must be a folder" in capsys.readouterr().err


def test_what_landed_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["votes", "--to", str(tmp_path), "--snapshot", "2024-06-01"]
    path = tmp_path / "votes" / "2024-06-01" / "votes.csv"
    assert main(arguments) == 0
    path.write_text("edited")
    assert main(arguments) == 0
    assert path.read_text() == "edited"
    assert capsys.readouterr().out == f"{path}\n" * 2
    assert [each.name for each in path.parent.iterdir()] == ["votes.csv"]
