"""What annotations of Label Studio say.

Label Studio checks nothing: its REST API stores a class that the interface does not have, and a
result of any shape. So an annotation that cannot be read becomes an answer that says why, which is
recorded and counts for nothing; `include/labelling/answers.py` checks the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from include.labelling.asking import SKIP, Answer, Box
from include.labelling.interface import BOXES, LABEL

NO_CLASS = "(no class was chosen)"
"""The recorded answer of an annotation without one. No class has brackets around its name."""
_REASON = 300
"""Characters of what is recorded of an annotation that cannot be read. Our choice."""


class _UnreadableError(ValueError):
    """A result that this interface does not produce; the message becomes the recorded answer."""


def answers(task: Mapping[str, Any], annotators: Mapping[int, str]) -> Iterator[Answer]:
    """Read the annotations of a task as answers, unchecked.

    Parameters
    ----------
    task : mapping of str to object
        As Label Studio's REST API gives it, with its annotations.
    annotators : mapping of int to str
        Email address of each user, by id.

    Yields
    ------
    Answer
        `answer` is the class as it was chosen; `SKIP` where the annotator skipped the item;
        `NO_CLASS`; or why it cannot be read, as where several classes were chosen. Boxes are in
        pixels of the picture.
    """
    item = _storable(str(task["data"].get("item", "")))
    for annotation in task["annotations"]:
        who = annotation["completed_by"]
        boxes: list[Box] = []
        try:
            said = SKIP if annotation["was_cancelled"] else _said(annotation["result"], boxes)
        except _UnreadableError as error:
            said, boxes = str(error)[:_REASON], []
        yield Answer(
            item=item,
            annotator=None if who is None else annotators.get(who, f"user {who}"),
            answer=said,
            answered_at=datetime.fromisoformat(annotation["updated_at"]),
            external=str(annotation["id"]),
            boxes=boxes,
        )


def _said(results: object, boxes: list[Box]) -> str:
    """Return the class; append the boxes."""
    chosen: list[str] = []
    for result in _typed(results, list, "results"):
        name, kind = (_typed(result, dict, "a result").get(one) for one in ("from_name", "type"))
        if (name, kind) == (LABEL, "choices"):
            chosen += _names(_value(result), "choices")
        elif (name, kind) == (BOXES, "rectanglelabels"):
            boxes.append(_box(result, _value(result)))
        else:
            raise _UnreadableError(f"a result of the unknown field {name!r} ({kind!r})")
    if len(chosen) > 1:
        # In brackets: a class may be named like two others with a comma between them.
        raise _UnreadableError(f"(several classes were chosen: {', '.join(chosen)})")
    return chosen[0] if chosen else NO_CLASS


def _box(result: Mapping[str, Any], value: Mapping[str, Any]) -> Box:
    """Convert a box from percent of the picture to pixels."""
    names = _names(value, "rectanglelabels")
    if len(names) != 1:
        raise _UnreadableError(f"a box with {len(names)} names, {names}")
    # Of the box, and of the picture under it: their sides are not those of the picture then.
    for turned in (value.get("rotation"), result.get("image_rotation")):
        if turned not in (None, 0):
            raise _UnreadableError(f"a box {names[0]!r} that is rotated by {turned!r} degrees")
    try:
        width, height = (_number(result, side) for side in ("original_width", "original_height"))
        return Box(
            name=names[0],
            x=_number(value, "x") * width / 100,
            y=_number(value, "y") * height / 100,
            width=_number(value, "width") * width / 100,
            height=_number(value, "height") * height / 100,
            image_width=width,
            image_height=height,
        )
    except ValueError as error:
        raise _UnreadableError(f"a box {names[0]!r} without sides in numbers ({error})") from None


def _value(result: Mapping[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = _typed(result.get("value"), dict, "a value")
    return value


def _names(value: Mapping[str, Any], field: str) -> list[str]:
    """Read a list of names, empty where it is not there."""
    names = [] if value.get(field) is None else _typed(value[field], list, field)
    return [_storable(_typed(name, str, f"a name among {field}")) for name in names]


def _number(held: Mapping[str, Any], side: str) -> float:
    found = held.get(side)
    try:
        if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
            return float(found)
    except OverflowError:  # an integer of more than 308 digits
        pass
    raise ValueError(f"{side}: {str(found)[:20]}")


def _typed(found: Any, wanted: type, what: str) -> Any:
    """Return what was found, if it is of the type of JSON that the interface produces."""
    if not isinstance(found, wanted):
        raise _UnreadableError(f"{what} that cannot be read: {found!r}")
    return found


def _storable(text: str) -> str:
    """Write out half surrogate pairs: JSON may hold them, UTF-8 and so the lake may not."""
    return text.encode("utf-8", "backslashreplace").decode()
