"""What Label Studio shows of an item: the interface of a project, and its tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from xml.etree import ElementTree

from include.labelling.asking import GOLD, RANDOM, Item
from include.labelling.card import MOST_CHARACTERS, visible
from include.labelling.verdicts import people_of
from include.use_cases.schema import UseCase

CARD, PICTURE, LABEL, BOXES = "card", "picture", "label", "boxes"
"""Names of the interface's tags, and of a task's fields."""
_TITLE = 50
"""Characters of a title that Label Studio takes."""
_HOTKEYS = "1234567890"


def title(use_case: str) -> str:
    """Name the project of a use case.

    Examples
    --------
    >>> title("digits")
    'Flywheel: digits'
    """
    name = f"Flywheel: {use_case}"
    if len(name) <= _TITLE:
        return name
    # Two long names may begin alike.
    return f"{name[: _TITLE - 9]} {hashlib.sha256(use_case.encode()).hexdigest()[:8]}"


def round_key(partition: str, number: int, round_id: str) -> str:
    """Name a round within a project, which holds those of all partitions.

    The id tells it from rounds of the same number that another lake has asked, or this one before
    it was made anew: answers to those must not count here.

    Examples
    --------
    >>> round_key("2024-05", 3, "9f86d081884c7d65")
    '2024-05/3/9f86d081884c7d65'
    """
    return f"{partition}/{number}/{round_id}"


def interface(use_case: UseCase) -> str:
    """Write the labelling interface of a use case, XML.

    The use case's description, a card, and the classes, which keys choose: see `_keys`. Below them
    the picture, where there is one; with `people.boxes` annotators also draw boxes.
    """
    people, labels = people_of(use_case), use_case.labels
    assert labels is not None  # noqa: S101  for mypy: people stand in it
    view = ElementTree.Element("View")
    _add(view, "Header", value=use_case.description)
    _add(view, "HyperText", name=CARD, value=f"${CARD}")
    choices = _add(
        view, "Choices",
        name=LABEL, toName=CARD, choice="single-radio", showInline="true", required="true",
    )  # fmt: skip
    for name, key in _keys([*labels.answers]).items():
        _add(choices, "Choice", value=name, **({"hotkey": key} if key else {}))
    if people.boxes:
        # Not rotated: a box is stored by its sides, which are parallel to the picture's.
        boxes = _add(view, "RectangleLabels", name=BOXES, toName=PICTURE, canRotate="false")
        for name in people.boxes:
            _add(boxes, "Label", value=name)
    if people.picture is not None:  # last: it may be taller than the page
        _add(view, "Image", name=PICTURE, value=f"${PICTURE}", smoothing="false")
    return ElementTree.tostring(view, encoding="unicode")


def task(use_case: UseCase, item: Item, key: str, picture: str | None) -> dict[str, Any]:
    """Describe an item as Label Studio imports it, with the champion's answer if there is one.

    Parameters
    ----------
    use_case : UseCase
        With `labels.people`.
    item : Item
        What is asked about.
    key : str
        Of the round, by `round_key`.
    picture : str or None
        Its address within Label Studio.
    """
    data = {"item": item.item, "round": key, CARD: card(item.row)}
    found: dict[str, Any] = {"data": data | ({PICTURE: picture} if picture else {})}
    classes = use_case.labels.answers if use_case.labels is not None else {}
    # A guess draws answers to itself. Holdouts are made of random items; gold must look like them.
    shown = None if item.policy in (RANDOM, GOLD) else item.guess
    guessed = [name for name, number in classes.items() if number == shown]
    if guessed:
        chosen = {"choices": guessed}
        result = {"from_name": LABEL, "to_name": CARD, "type": "choices", "value": chosen}
        prediction = {"score": item.guess_probability, "result": [result]}
        found["predictions"] = [{"model_version": "champion", **prediction}]
    return found


def card(row: Mapping[str, Any]) -> str:
    """Write a row as a table, HTML; what the row holds is text and never HTML.

    Each value has `MOST_CHARACTERS` at most, and those without a shape are written out, as on
    Airflow's cards.

    Examples
    --------
    >>> card({"note": "<b>"})
    '<table><tr align="left"><th>note</th><td>&lt;b&gt;</td></tr></table>'
    """
    lines = (
        f'<tr align="left"><th>{escape(name)}</th><td>{_shown(value)}</td></tr>'
        for name, value in row.items()
    )
    return f"<table>{''.join(lines)}</table>"


def _keys(names: Sequence[str]) -> dict[str, str]:
    """Give each class its key: its own name, or 1 to 9 and 0 for the first ten.

    Examples
    --------
    >>> _keys(["0", "1"]), _keys(["letter", "bill"])
    ({'0': '0', '1': '1'}, {'letter': '1', 'bill': '2'})
    """
    if all(len(name) == 1 and name.isalnum() for name in names):
        return {name: name.lower() for name in names}
    return {name: _HOTKEYS[place : place + 1] for place, name in enumerate(names)}


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _shown(value: object) -> str:
    if value is None or value != value:  # NaN
        return "<i>missing</i>"
    text = str(value)
    shown = "".join(one if one in "\t\r\n" else visible(one) for one in text[:MOST_CHARACTERS])
    left = len(text) - MOST_CHARACTERS
    return escape(shown) + (f" <i>and {left:,} more characters</i>" if left > 0 else "")
