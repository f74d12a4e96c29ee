"""The card of an item: what a person sees who is asked for its label, as Markdown.

Airflow shows it by react-markdown with the GitHub extensions. Values of rows are data, from
anywhere: each stands in a code span, where neither HTML nor links, images or tables begin, and
where addresses are not made into links, as they are in all other text, escaped or not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.labelling.asking import SKIP, Item
from include.use_cases.schema import UseCase

MOST_CHARACTERS = 2_000
"""Of one value. Our choice: a screen full; what a person does not see at a glance is not judged."""

_PLAIN = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")
"""Names of columns in which Markdown sees nothing of its own."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what has no shape, or turns the direction of what follows."""


@dataclass(frozen=True)
class Card:
    """What is shown.

    Attributes
    ----------
    subject : str
        One line, as plain text.
    body : str
        Markdown.
    """

    subject: str
    body: str


def card(
    use_case: UseCase, item: Item, *, place: int, of: int, closes_at: datetime, pictures: str
) -> Card:
    """Make the card of an item.

    It says neither why the item was chosen nor what the champion takes it for: a guess that is
    shown draws answers to itself, and a gold item must look like any other.

    Parameters
    ----------
    use_case : UseCase
        Its description is the question.
    item : Item
        Which row.
    place, of : int
        Its place in the round, from 1 on, and how many there are.
    closes_at : datetime
        Until when an answer is waited for, in UTC.
    pictures : str
        Address under which the paths of pictures are found, without a slash at the end.

    Examples
    --------
    >>> from include.use_cases.loader import get
    >>> one = Item("9f3a", {"image": "a"}, {"image": "a|b", "ink": None}, "random")
    >>> soon = datetime(2024, 5, 8, 14)
    >>> print(card(get("digits"), one, place=3, of=20, closes_at=soon, pictures="x").body)
    - **image**: `a|b`
    - **ink**: *missing*
    <BLANKLINE>
    Choose *Skip* where you cannot tell. Answers count until 2024-05-08 14:00 UTC.
    """
    lines = [] if item.picture is None else [f"![picture]({pictures}/{item.picture})", ""]
    lines += [f"- {_name(name)}: {_shown(value)}" for name, value in item.row.items()]
    until = f"{closes_at:%Y-%m-%d %H:%M} UTC"
    hint = f"Choose *{SKIP}* where you cannot tell. Answers count until {until}."
    subject = " ".join(f"{use_case.description} ({place} of {of})".split())
    return Card(subject, "\n".join([*lines, "", hint]))


def code(text: str) -> str:
    """Write text as a code span, in which all of it stands for itself.

    Examples
    --------
    >>> print(code("a `b` c"), code("`"))
    ``a `b` c`` `` ` ``
    """
    shown = "".join(visible(one) for one in text)
    # A fence of backticks ends at a run of exactly its length: it is longer than all within.
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    # Markdown takes one space off each end, where both have one.
    edge = shown[:1] + shown[-1:]
    pad = " " if "`" in edge or (edge == "  " and shown.strip()) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _name(column: str) -> str:
    return f"**{column}**" if _PLAIN.fullmatch(column) else code(column)


def _shown(value: Any) -> str:
    if value is None or value != value:  # NaN
        return "*missing*"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    if not text:
        return "*empty*"
    # A line of its own for each, so that no line of the value begins a block of the page.
    lines = text[:MOST_CHARACTERS].splitlines(keepends=True)
    shown = "\\\n  ".join(code(_without_end(line)) for line in lines)
    left = len(text) - MOST_CHARACTERS
    return f"{shown} *and {left:,} more characters*" if left > 0 else shown


def _without_end(line: str) -> str:
    """Show the end of a line, so that an empty one is seen."""
    (text,) = line.splitlines() or [""]
    return line if text == line else f"{text}↵"


def visible(character: str) -> str:
    r"""Write out a character that has no shape, or turns the direction of what follows.

    Examples
    --------
    >>> visible("a"), visible("\x00"), visible("\u202e")
    ('a', '\\u0000', '\\u202e')
    """
    if unicodedata.category(character) in _INVISIBLE:
        return f"\\u{ord(character):04x}"
    return character
