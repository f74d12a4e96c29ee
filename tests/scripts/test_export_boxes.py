"""`make export-boxes`: what people drew, as files that COCO's own reader takes."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from include.annotate.choosing import choose_round
from include.errors import ConfigError, DataContractError
from include.labelling.answers import record_answers
from include.labelling.asking import Answer, Box, Item
from include.labelling.rounds import picture_path
from include.lake.files import LakeFiles
from include.lake.table import Lake
from include.use_cases.schema import UseCase
from scripts import export_boxes as script
from scripts.export_boxes import export_boxes
from tests.include.annotate.conftest import lake as lake
from tests.include.annotate.conftest import make as make
from tests.include.conftest import writer
from tests.support.scans import DAY, land

WIDTH, HEIGHT = 40, 30
PEOPLE = {
    "ask": "label_studio",
    "connection": "label_studio",
    "picture": {"python": "picture"},
    "boxes": ["stamp", "signature"],
    "items": 4,
    "annotators": 2,
}


def png(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    written = io.BytesIO()
    Image.new("L", (width, height)).save(written, format="PNG")
    return written.getvalue()


def box(name: str, x: float, width: float = WIDTH, height: float = HEIGHT) -> Box:
    return Box(name, x, 5, 10, 10, width, height)


@pytest.fixture
def scans(make, tmp_path) -> UseCase:
    """Make a use case whose Python makes the same picture of each scan."""
    python = tmp_path / "use_cases" / "scans" / "labels.py"
    python.write_text(f"def picture(row):\n    return {png()!r}\n")
    return make(PEOPLE)


@pytest.fixture
def items(scans: UseCase, lake: Lake) -> list[Item]:
    """Ask about four scans."""
    land(scans, lake, count=8)
    return choose_round(scans, DAY, lake, writer(1)).items


def draw(
    scans: UseCase, lake: Lake, item: Item, who: str, *boxes: Box, answer: str = "bill"
) -> None:
    said = Answer(item.item, who, answer, datetime.now(UTC), f"{who} {len(boxes)}", boxes)
    record_answers(scans, DAY, 1, [said], lake, writer(2), via="test")


def test_pictures_and_merged_boxes_are_files_that_coco_reads(scans, lake, items, tmp_path):
    both, none, skipped, _unanswered = items
    draw(scans, lake, both, "ann", box("stamp", 2), box("signature", 20))
    draw(scans, lake, both, "bob", box("stamp", 4))
    draw(scans, lake, none, "ann")
    draw(scans, lake, skipped, "ann", box("signature", 1), answer="Skip")
    to = tmp_path / "exported"
    to.mkdir()  # an empty one is as good as none
    done = export_boxes(scans, lake, to)
    assert (done.pictures, done.boxes, done.left_out) == (3, 2, [])
    read = COCO(str(to / "annotations.json"))
    # COCO's ids begin at 1: training libraries take 0 for the background.
    assert [(one["id"], one["name"]) for one in read.loadCats(read.getCatIds())] == [
        (1, "stamp"), (2, "signature")
    ]  # fmt: skip
    by_file = {one["file_name"]: one["id"] for one in read.loadImgs(read.getImgIds())}
    assert set(by_file) == {f"{DAY}/{one.item}.png" for one in (both, none, skipped)}
    for name in by_file:
        assert (to / "images" / name).read_bytes() == png()
    (stamp,) = read.loadAnns(read.getAnnIds(imgIds=[by_file[f"{DAY}/{both.item}.png"]]))
    assert (stamp["bbox"], stamp["annotators"]) == ([3, 5, 10, 10], ["ann", "bob"])
    assert read.getAnnIds(imgIds=[by_file[f"{DAY}/{none.item}.png"]]) == []
    (signature,) = read.loadAnns(read.getAnnIds(imgIds=[by_file[f"{DAY}/{skipped.item}.png"]]))
    assert read.loadCats([signature["category_id"]])[0]["name"] == "signature"


def test_a_set_that_was_drawn_again_replaces_the_former(scans, lake, items, tmp_path):
    draw(scans, lake, items[0], "ann", box("stamp", 2), box("stamp", 20))
    draw(scans, lake, items[0], "ann", box("stamp", 8))
    export_boxes(scans, lake, tmp_path / "one")
    read = COCO(str(tmp_path / "one" / "annotations.json"))
    assert [one["bbox"][0] for one in read.loadAnns(read.getAnnIds())] == [8]
    draw(scans, lake, items[0], "ann")
    assert export_boxes(scans, lake, tmp_path / "two").boxes == 0


def test_equal_boxes_make_an_equal_document(scans, lake, items, tmp_path):
    for who in ("ann", "bob"):
        draw(scans, lake, items[0], who, box("stamp", 2))
    for name in ("one", "two"):
        export_boxes(scans, lake, tmp_path / name)
    one, two = ((tmp_path / name / "annotations.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_picture_that_is_gone_or_has_changed_is_left_out_and_named(scans, lake, items, tmp_path):
    for item in items[:3]:
        draw(scans, lake, item, "ann", box("stamp", 2))
    gone, changed = (picture_path(scans, DAY, one.item) for one in items[:2])
    (Path(lake.uri) / gone).unlink()
    LakeFiles(lake).write(changed, png(80, 60))

    done = export_boxes(scans, lake, tmp_path / "one")
    assert (done.pictures, done.boxes) == (1, 1)
    assert done.left_out == [
        f"{gone} is no longer in the lake.",
        f"{changed} has 80 x 60 pixels, but ann has drawn on another size. Ask about it again.",
    ]
    assert [one.stem for one in (tmp_path / "one" / "images" / DAY).iterdir()] == [items[2].item]


def test_one_annotator_with_another_size_takes_nobody_elses_boxes_away(
    scans, lake, items, tmp_path
):
    draw(scans, lake, items[0], "ann", box("stamp", 2))
    draw(scans, lake, items[0], "bob", box("stamp", 2, width=4_000))
    done = export_boxes(scans, lake, tmp_path / "one")

    assert (done.pictures, done.boxes) == (1, 1)
    assert "but bob has drawn on another size" in "".join(done.left_out)
    read = COCO(str(tmp_path / "one" / "annotations.json"))
    assert [one["annotators"] for one in read.loadAnns(read.getAnnIds())] == [["ann"]]


def test_an_export_that_fails_leaves_nothing_behind(make, scans, lake, items, tmp_path):
    """A name is taken out of the use case after boxes of it were drawn."""
    draw(scans, lake, items[0], "ann", box("stamp", 2))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataContractError, match="Add the name there"):
        export_boxes(make(PEOPLE | {"boxes": ["signature"]}), lake, tmp_path / "one")
    assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_be_exported_is_said_with_what_to_do(make, scans, lake, items, tmp_path):
    with pytest.raises(DataContractError, match="no picture with an answer that can be exported"):
        export_boxes(scans, lake, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ConfigError, match="must be a new or an empty folder"):
        export_boxes(scans, lake, tmp_path / "full")
    with pytest.raises(ConfigError, match=r"labels.people.boxes names no boxes"):
        export_boxes(make({"boxes": None}), lake, tmp_path / "none")
    with pytest.raises(DataContractError, match=r"scan.png: is no PNG file"):
        script.size_of(b"GIF89a", "scan.png")


def test_the_command_tells_how_many_and_fails_in_words(
    scans, lake, items, tmp_path, monkeypatch, capsys
):
    draw(scans, lake, items[0], "ann", box("stamp", 2))
    found = type("Found", (), {"lake": lake})()
    monkeypatch.setattr(script.Deployment, "of_environment", classmethod(lambda cls: found))
    to = str(tmp_path / "exported")
    assert script.main(["scans", "--to", to]) == 0
    assert capsys.readouterr().out.startswith("1 pictures, 1 boxes: ")
    assert script.main(["scans", "--to", to]) == 1
    assert "must be a new or an empty folder" in capsys.readouterr().err
