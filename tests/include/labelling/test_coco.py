"""COCO's document, read by COCO's own reader."""

from __future__ import annotations

import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from include.errors import DataContractError
from include.labelling.asking import Box
from include.labelling.box_agreement import Merged
from include.labelling.coco import Picture, as_coco

NAMES = ["stamp", "signature"]
TWO = [
    Picture("2024-05/b.png", 100, 50, [
        Merged(Box("signature", 10, 20, 30, 5, 100, 50), ("ann",)),
        Merged(Box("stamp", 90, -0.4, 10.3, 10.4, 100, 50), ("ann", "bob")),
    ]),
    Picture("2024-05/a.png", 64, 64, []),
]  # fmt: skip


def test_cocos_reader_finds_pictures_boxes_and_names(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(as_coco(TWO, NAMES, "letters")))
    read = COCO(str(path))
    assert [one["file_name"] for one in read.loadImgs(read.getImgIds())] == [
        "2024-05/a.png", "2024-05/b.png",
    ]  # fmt: skip
    assert [one["name"] for one in read.loadCats(read.getCatIds())] == NAMES
    assert read.getAnnIds(imgIds=[1]) == []
    (signature,) = read.loadAnns(read.getAnnIds(imgIds=[2], catIds=read.getCatIds(["signature"])))
    assert signature["bbox"] == [10, 20, 30, 5]
    assert read.annToMask(signature).sum() == signature["area"] == 150
    (stamp,) = read.loadAnns(read.getAnnIds(imgIds=[2], catIds=read.getCatIds(["stamp"])))
    assert stamp["annotators"] == ["ann", "bob"]
    assert stamp["bbox"] == [90, 0, 10, 10], "half a pixel over the edge is cut off"
    assert (stamp["area"], stamp["iscrowd"]) == (100, 0)


def test_cocos_own_evaluation_finds_its_boxes_perfect(tmp_path, capsys):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(as_coco(TWO, NAMES, "letters")))
    truth = COCO(str(path))
    found = truth.loadRes([
        {name: one[name] for name in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for one in truth.dataset["annotations"]
    ])  # fmt: skip
    evaluated = COCOeval(truth, found, "bbox")
    evaluated.evaluate()
    evaluated.accumulate()
    evaluated.summarize()
    assert evaluated.stats[0] == pytest.approx(1.0)


def test_the_order_of_pictures_and_boxes_makes_no_difference():
    turned = [Picture(p.file_name, p.width, p.height, [*reversed(p.boxes)]) for p in reversed(TWO)]
    assert as_coco(turned, NAMES, "letters") == as_coco(TWO, NAMES, "letters")


def test_what_cannot_be_said_in_coco_is_refused():
    with pytest.raises(DataContractError, match=r"2024-05/a.png was given twice"):
        as_coco([*TWO, TWO[1]], NAMES, "letters")
    with pytest.raises(DataContractError, match="a box is named 'signature'"):
        as_coco(TWO, ["stamp"], "letters")
