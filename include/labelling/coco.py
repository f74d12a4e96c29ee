"""Boxes in COCO's format for object detection, which training libraries read.

Lin et al. (2014), "Microsoft COCO: common objects in context", ECCV; the fields are those of
https://cocodataset.org/#format-data. Pictures are files that the document names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from include.errors import DataContractError
from include.labelling.box_agreement import Merged


@dataclass(frozen=True)
class Picture:
    """A picture that annotators looked at; without boxes, nothing is on it.

    Attributes
    ----------
    file_name : str
        Path of the file, below the folder of images.
    width, height : int
        Of the file, in pixels.
    boxes : sequence of Merged
        What stands on it.
    """

    file_name: str
    width: int
    height: int
    boxes: Sequence[Merged]


def as_coco(pictures: Sequence[Picture], names: Sequence[str], description: str) -> dict[str, Any]:
    """Make the document: equal pictures give an equal document, in whatever order they come.

    Parameters
    ----------
    pictures : sequence of Picture
        With different file names.
    names : sequence of str
        The categories, in the order of their ids, which begin at 1.
    description : str
        Of the data set.

    Returns
    -------
    dict
        `info`, `licenses` (none), `images`, `categories` and `annotations`. An annotation has
        besides COCO's fields `annotators`, who drew it. Its segmentation is the box as a polygon.

    Raises
    ------
    DataContractError
        Two pictures have one file name, or a box has another name.
    """
    ordered = sorted(pictures, key=lambda each: each.file_name)
    for one, other in pairwise(ordered):
        if one.file_name == other.file_name:
            raise DataContractError(
                f"COCO needs one image per file, but {one.file_name} was given twice. Merge its "
                "boxes."
            )
    category = {name: number for number, name in enumerate(names, start=1)}
    annotations: list[dict[str, Any]] = []
    for image_id, picture in enumerate(ordered, start=1):
        for each in sorted(picture.boxes):
            if each.box.name not in category:
                raise DataContractError(
                    f"{picture.file_name}: a box is named {each.box.name!r}, but "
                    f"labels.people.boxes has {list(names)}. Add the name there."
                )
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category[each.box.name],
                    **_shape(each, picture),
                    "iscrowd": 0,
                    "annotators": list(each.annotators),
                }
            )
    return {
        "info": {"description": description},
        "licenses": [],
        "images": [
            {"id": at, "file_name": each.file_name, "width": each.width, "height": each.height}
            for at, each in enumerate(ordered, start=1)
        ],
        "categories": [
            {"id": number, "name": name, "supercategory": ""} for name, number in category.items()
        ],
        "annotations": annotations,
    }


def _shape(merged: Merged, picture: Picture) -> dict[str, Any]:
    """Clip the box to the picture: one may reach half a pixel over the edge."""
    box = merged.box
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right = min(box.x + box.width, float(picture.width))
    bottom = min(box.y + box.height, float(picture.height))
    return {
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    }
