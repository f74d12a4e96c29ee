"""The boxes that count on each picture, by annotator: from `label_boxes` and `label_answers`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from include.labelling.answers import read_answers
from include.labelling.asking import Box
from include.labelling.boxes import FAULT, read_boxes
from include.labelling.rounds import ITEM
from include.labelling.verdicts import ANNOTATOR, ANSWERED_AT, COUNTS, EXTERNAL, SKIPPED, VERDICT
from include.lake.table import Lake
from include.use_cases.schema import UseCase

Drawings = dict[str, dict[str, list[Box]]]
"""By item and annotator: the boxes; an empty list where somebody looked and drew none."""

_FIELDS = ("name", "x", "y", "width", "height", "image_width", "image_height")


def read_drawings(use_case: UseCase, partition: str, lake: Lake) -> Drawings:
    """Give the boxes of the answers that count, of each annotator the last.

    A box with a fault is left out. Boxes of a skipped item count too: an annotator who cannot tell
    the class may well see what is on the picture.

    Parameters
    ----------
    use_case : UseCase
        Its trusted annotators count as they are now.
    partition : str
        Whose pictures.
    lake : Lake
        Holds the answers.

    Returns
    -------
    dict
        Sorted by item and annotator, boxes by name and place.
    """
    drawn: dict[tuple[Any, ...], dict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for row in read_boxes(use_case, partition, lake).to_pylist():
        of_version = drawn[_answer(row)][row["_version"]]
        if row["_name"] is not None and row[FAULT] is None:
            of_version.append(Box(**{name: row[f"_{name}"] for name in _FIELDS}))
    found: Drawings = defaultdict(dict)
    for row in read_answers(use_case, partition, lake).to_pylist():
        versions = drawn.get(_answer(row), {})
        boxes = versions[max(versions)] if versions else []
        if row[VERDICT] == COUNTS or (row[VERDICT] == SKIPPED and boxes):
            found[row[ITEM]][row[ANNOTATOR]] = sorted(boxes)
    return {item: dict(sorted(found[item].items())) for item in sorted(found)}


def _answer(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in (ITEM, ANNOTATOR, EXTERNAL, ANSWERED_AT))
