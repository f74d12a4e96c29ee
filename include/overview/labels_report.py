"""The table `label_quality` of one partition, as sections that a person reads."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.lake.table import Lake

MOST_ROWS = 200
"""Rows of a section; more candidates for errors than this nobody looks through on a page."""

_SECTIONS: Mapping[str, tuple[str, str, str, str]] = {
    "strategy": ("Who gave the labels", "strategy", "labels", ""),
    "class share": (
        "Classes over time",
        "partition",
        "share",
        "A share that jumps means that the world has changed, or the way of labelling.",
    ),
    "label error": (
        "Labels that may be wrong",
        "row",
        "probability of its label",
        "A linear model that was not fitted on the row finds its label unlikely (confident "
        "learning). Rare cases that such a model does not understand look the same.",
    ),
    "leak": (
        "Features that alone tell the label",
        "feature",
        "ROC AUC",
        "Such a feature often holds what is only known once the label is. Leave it out then.",
    ),
    "annotator": (
        "Annotators",
        "annotator",
        "accuracy on gold items",
        "The interval of 95 % is Wilson's. No accuracy: no gold item was answered.",
    ),
    "agreement": (
        "Agreement",
        "measure",
        "coefficient",
        "1 is full agreement, 0 is that of chance. Below .667 Krippendorff (2004) advises to draw "
        "no conclusion.",
    ),
    "conflict": (
        "Items whose answers contradict each other",
        "row",
        "answers",
        "They have no label. An adjudicator's answer decides.",
    ),
    "boxes": (
        "Boxes, of each two annotators",
        "box",
        "F1",
        "Two boxes are the same where their IoU is .5 or more.",
    ),
    "boxes of a picture": ("Pictures whose boxes differ", "item", "F1", ""),
}
"""By topic, in the order of the page: title, what a subject and a value are, how to read them."""


@dataclass(frozen=True)
class Section:
    """One topic.

    Attributes
    ----------
    title, note : str
        What it is about, and how to read it.
    columns : tuple of str
        Names of subject, value and details.
    rows : list of tuple of str
        At most `MOST_ROWS`; of label errors the least likely labels.
    more : int
        How many rows are left out.
    """

    title: str
    note: str
    columns: tuple[str, str, str]
    rows: list[tuple[str, str, str]]
    more: int


def labels_report(lake: Lake, use_case: str, partition: str) -> list[Section] | None:
    """Read the report on the labels of a partition.

    Returns
    -------
    list of Section or None
        Topics of which there is something to say; None where there is no report.
    """
    table = lake.table(use_case, "label_quality")
    if partition not in table.partitions():
        return None
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.read([partition]).to_pylist():
        found[row["topic"]].append(row)
    found["label error"].sort(key=lambda row: row["value"])
    return [_section(topic, found[topic]) for topic in _SECTIONS if found[topic]]


def _section(topic: str, rows: list[dict[str, Any]]) -> Section:
    title, subject, value, note = _SECTIONS[topic]
    shown = [
        (_readable(row["subject"]), _number(row["value"]), _readable(row["details"]))
        for row in rows[:MOST_ROWS]
    ]
    return Section(title, note, (subject, value, ""), shown, max(len(rows) - MOST_ROWS, 0))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value % 1 else f"{value:,.0f}"


def _readable(text: str) -> str:
    """Write the keys and details that the table holds as JSON as a person would."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return _plain(found) if isinstance(found, dict) else text


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return " and ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
