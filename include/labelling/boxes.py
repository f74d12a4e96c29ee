"""The table `label_boxes`: the boxes that annotators drew, in every version.

A box that cannot be used is recorded with what is wrong with it, and is not read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from include.labelling.appending import append_new
from include.labelling.asking import Answer, Box
from include.labelling.rounds import ITEM, ROUND, key_columns, named
from include.labelling.verdicts import people_of
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)

BOXES = "label_boxes"
FAULT = "_fault"
_ROUNDED = 0.5
"""Pixels by which a box may reach over the edge: tools store shares of the picture, and round."""
_SIZES = ("x", "y", "width", "height", "image_width", "image_height")
_COLUMNS = {
    ITEM: "string",
    ROUND: "int64",
    "_annotator": "string",
    "_name": "string",
    **{f"_{name}": "float64" for name in _SIZES},
    "_version": "int64",
    "_known_at": "timestamp",
    "_answered_at": "timestamp",
    "_external": "string",
    FAULT: "string",
}
_SAME = (ITEM, "_annotator", "_external", "_answered_at")


def boxes_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of the table: of each box the key, who drew it, and where, in pixels.

    A set of boxes that was drawn again is the next `_version` of that item and annotator. One
    without any box is a row without `_name`. `_fault` says what is wrong with a box, if anything.
    """
    return arrow_schema({**key_columns(use_case), **_COLUMNS})


def read_boxes(use_case: UseCase, partition: str, lake: Lake) -> pa.Table:
    """Read every version of the boxes of a partition; empty where none was drawn."""
    table, schema = lake.table(use_case.name, BOXES), boxes_schema(use_case)
    if partition not in table.partitions():
        return schema.empty_table()
    return named(use_case, table.read([partition], schema, migrations=use_case.migrations))


def record_boxes(
    use_case: UseCase,
    partition: str,
    number: int,
    answers: Sequence[Answer],
    items: Mapping[str, Mapping[str, Any]],
    lake: Lake,
    writer: Writer,
) -> None:
    """Append the boxes of answers that were not recorded before.

    Answers to unknown items have no boxes that could be stored: there is no row to store them for.

    Raises
    ------
    ServiceUnavailable
        Too many record at the same time.
    """
    drawn = [one for one in answers if one.item in items and one.annotator is not None]
    if not drawn:
        return

    def look() -> tuple[list[dict[str, Any]], None]:
        known = read_boxes(use_case, partition, lake).to_pylist()
        return _news(known, drawn, items, use_case, number), None

    table, schema = lake.table(use_case.name, BOXES), boxes_schema(use_case)
    append_new(use_case, table, partition, schema, look, writer)


def _news(
    known: Sequence[Mapping[str, Any]],
    drawn: Sequence[Answer],
    items: Mapping[str, Mapping[str, Any]],
    use_case: UseCase,
    number: int,
) -> list[dict[str, Any]]:
    seen = {tuple(row[name] for name in _SAME) for row in known}
    versions: dict[tuple[str, str | None], int] = {}
    for row in known:
        who = (row[ITEM], row["_annotator"])
        versions[who] = max(versions.get(who, 0), row["_version"])
    names = people_of(use_case).boxes or ()
    now = datetime.now(UTC)
    news: list[dict[str, Any]] = []
    for one in sorted(drawn, key=lambda one: (one.answered_at or now, one.external)):
        who = (one.item, one.annotator)
        same = (one.item, one.annotator, one.external, one.answered_at)
        if same in seen or (not one.boxes and who not in versions):
            continue
        seen.add(same)
        versions[who] = versions.get(who, 0) + 1
        told = {
            **{name: items[one.item][name] for name in use_case.ingest.key},
            ITEM: one.item,
            ROUND: number,
            "_annotator": one.annotator,
            "_version": versions[who],
            "_known_at": now,
            "_answered_at": one.answered_at,
            "_external": one.external,
        }
        news += [
            {
                **told,
                **{f"_{name}": value for name, value in asdict(box).items()},
                FAULT: fault_of(box, names),
            }
            for box in one.boxes
        ] or [told]
    if faults := [row for row in news if row.get(FAULT)]:
        first = f"{faults[0][ITEM]} by {faults[0]['_annotator']}: a box {faults[0][FAULT]}"
        log.warning("%s: %d boxes are recorded and not used, %s", use_case.name, len(faults), first)
    return news


def fault_of(box: Box, names: Collection[str]) -> str | None:
    """Say what is wrong with a box as it came; None where it can be used.

    Parameters
    ----------
    box : Box
        As an annotator drew it.
    names : collection of str
        `labels.people.boxes`.

    Examples
    --------
    >>> fault_of(Box("stamp", 90, 0, 20, 5, 100, 50), ["stamp"])
    'reaches over the picture of 100 x 50 pixels'
    >>> fault_of(Box("stamp", 80, 0, 20, 5, 100, 50), ["stamp"])
    """
    if box.name not in names:
        return f"is named {box.name!r}, which is none of {sorted(names)}"
    if not all(math.isfinite(value) for name, value in asdict(box).items() if name != "name"):
        return "has a coordinate that is no number"
    if box.width <= 0 or box.height <= 0:
        return f"is {box.width:g} x {box.height:g} pixels: it has no area"
    right, bottom = box.x + box.width, box.y + box.height
    over = max(-box.x, -box.y, right - box.image_width, bottom - box.image_height)
    if over > _ROUNDED:
        return f"reaches over the picture of {box.image_width:g} x {box.image_height:g} pixels"
    return None
