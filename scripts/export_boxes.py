"""Write the boxes that people drew as a COCO data set: `make export-boxes USE_CASE=... TO=...`.

python -m scripts.export_boxes letters --to exported

The folder gets `annotations.json` and the pictures below `images/`, each with one set of boxes:
those that more than half of its annotators drew, with the medians of their edges. Pictures without
boxes are in it, too. A folder that has something in it already is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, UnidentifiedImageError

from include.errors import ConfigError, DataContractError, FlywheelError
from include.labelling.answers import ANSWERS
from include.labelling.box_agreement import merge
from include.labelling.coco import Picture, as_coco
from include.labelling.drawings import read_drawings
from include.labelling.rounds import picture_path, pictures_of
from include.lake.files import LakeFiles
from include.lake.table import Lake
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from scripts.deployment import Deployment


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    pictures, boxes : int
        How many.
    left_out : list of str
        Pictures with answers, and boxes of an annotator, that are not in it, and why.
    """

    pictures: int
    boxes: int
    left_out: list[str]


def export_boxes(use_case: UseCase, lake: Lake, to: Path) -> Exported:
    """Write pictures and annotations of all partitions, or nothing where that fails.

    An annotator whose boxes were drawn on a picture of another size does not count on it: nothing
    says where they would be on this one.

    Raises
    ------
    ConfigError
        The use case has no boxes, or the folder is not empty.
    DataContractError
        There is no picture that could be exported, or one is no PNG file.
    """
    people = None if use_case.labels is None else use_case.labels.people
    if people is None or not people.boxes:
        raise ConfigError(
            f"{use_case.name}: labels.people.boxes names no boxes. Write their names there, and "
            "let people draw."
        )
    if to.exists() and any(to.iterdir()):
        raise ConfigError(f"{to}: must be a new or an empty folder. Name another with TO=.")
    to.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as beside:
        pictures, left_out = _pictures(use_case, lake, folder := Path(beside) / "export")
        if not pictures:
            raise DataContractError(
                f"{use_case.name}: there is no picture with an answer that can be exported. Run "
                f"annotate first. {' '.join(left_out[:1])}".strip()
            )
        document = as_coco(pictures, people.boxes, use_case.description)
        text = json.dumps(document, indent=1) + "\n"
        (folder / "annotations.json").write_text(text, encoding="utf-8")
        folder.replace(to)  # at once: half a data set looks like a whole one
    return Exported(len(pictures), len(document["annotations"]), left_out)


def _pictures(use_case: UseCase, lake: Lake, folder: Path) -> tuple[list[Picture], list[str]]:
    pictures, left_out = [], []
    for partition in lake.table(use_case.name, ANSWERS).partitions():
        there = set(LakeFiles(lake).under(pictures_of(use_case, partition)))
        for item, drawn in read_drawings(use_case, partition, lake).items():
            path = picture_path(use_case, partition, item)
            if path not in there:
                left_out.append(f"{path} is no longer in the lake.")
                continue
            content = LakeFiles(lake).read(path)
            width, height = size_of(content, path)
            fitting = {
                who: boxes
                for who, boxes in drawn.items()
                if all((one.image_width, one.image_height) == (width, height) for one in boxes)
            }
            left_out += [
                f"{path} has {width} x {height} pixels, but {who} has drawn on another size. Ask "
                "about it again."
                for who in drawn
                if who not in fitting
            ]
            if not fitting:
                continue
            file = folder / "images" / partition / Path(path).name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            pictures.append(Picture(f"{partition}/{file.name}", width, height, merge(fitting)))
    return pictures, left_out


def size_of(content: bytes, path: str) -> tuple[int, int]:
    """Return width and height of a PNG file, in pixels.

    Raises
    ------
    DataContractError
        It is no PNG file.
    """
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as picture:
            return picture.size
    except UnidentifiedImageError as error:
        raise DataContractError(f"{path}: is no PNG file. Make its picture again.") from error


def main(arguments: list[str] | None = None) -> int:
    """Export, and say how many; exit code 1 with words where it cannot be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("use_case")
    parser.add_argument("--to", type=Path, required=True, help="a new folder")
    options = parser.parse_args(arguments)
    try:
        lake = Deployment.of_environment().lake
        done = export_boxes(get(options.use_case), lake, options.to)
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{done.pictures} pictures, {done.boxes} boxes: {options.to / 'annotations.json'}")
    for told in done.left_out:
        print(f"left out: {told}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
