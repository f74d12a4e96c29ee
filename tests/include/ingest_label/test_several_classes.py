"""Outcomes of three classes from landed files into the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import DataContractError
from include.ingest_label.ingest import LabelsIngested, ingest_labels
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from tests.support.three_classes import NAMES, three_classes

HEADER = "id,at,kind\n"
AT = "2024-01-02T10:00:00Z"


def ingested(where: Path, cells: list[str], token: int = 1) -> LabelsIngested:
    folder = where / "landing" / "tiny_outcomes" / "2024-01"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{number},{AT},{cell}\n" for number, cell in enumerate(cells)]
    (folder / f"part-{token}.csv").write_text(HEADER + "".join(rows))
    landing, lake = Landing(str(where / "landing")), Lake(str(where / "lake"))
    return ingest_labels(three_classes(), "2024-01", landing, lake, Writer("r", 1, token, "t"))


def test_the_lake_keeps_numbers_and_the_run_tells_shares_by_name(tmp_path: Path) -> None:
    quoted = '"höchst ""special"""'
    done = ingested(tmp_path, ["low", quoted, "low", "", "mid range"])
    assert (done.rows, done.without_outcome, done.positive_share) == (4, 1, None)
    assert done.class_shares == dict(zip(NAMES, [0.5, 0.25, 0.25], strict=True))
    labels = Lake(str(tmp_path / "lake")).table("tiny", "labels").read(["2024-01"], ["id", "label"])
    assert labels.schema.field("label").type == "int64"
    found = dict(zip(labels["id"].to_pylist(), labels["label"].to_pylist(), strict=True))
    assert found == {0: 0, 1: 2, 2: 0, 4: 1}


def test_a_class_that_comes_later_is_refused_and_the_labels_before_stay(tmp_path: Path) -> None:
    ingested(tmp_path, ["low", "mid range"])
    with pytest.raises(DataContractError) as error:
        ingested(tmp_path, ["low", "Low"], token=2)
    assert "2024-01/part-2.csv: 'kind' must be one of ['low', 'mid range'," in str(error.value)
    assert "got 'Low' in data row 2. Add it to labels.classes" in str(error.value)
    labels = Lake(str(tmp_path / "lake")).table("tiny", "labels").read(["2024-01"])
    assert sorted(labels["label"].to_pylist()) == [0, 1]


def test_a_class_without_rows_has_no_share(tmp_path: Path) -> None:
    assert ingested(tmp_path, ["low", "low"]).class_shares == dict.fromkeys(NAMES, 0.0) | {
        "low": 1.0
    }
