"""What people are asked and what they answer: the protocol between a round and those who ask.

A round is a list of items, each a row of one partition. Whoever asks (Airflow, Label Studio) shows
the items and hands back answers as they came. What counts is decided in one place, by
`include.labelling.answers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from include.errors import DataContractError
from include.use_cases.people_coherence import SKIP

__all__ = ["GOLD", "RANDOM", "SKIP", "Answer", "Asked", "Box", "Item", "Round", "item_id"]

Asked: TypeAlias = Literal["uncertain", "disagreement", "random", "gold"]
"""Why an item is in a round."""
RANDOM: Asked = "random"
GOLD: Asked = "gold"


@dataclass(frozen=True)
class Item:
    """One row that people are asked about.

    Attributes
    ----------
    item : str
        A short id, the same in each round: see `item_id`.
    key : dict of str to object
        Its columns of `ingest.key`.
    row : dict of str to object
        What people see of it: the columns of `labels.people.show`. Empty where the row is gone, or
        was corrected since it was chosen.
    policy : {'uncertain', 'disagreement', 'random', 'gold'}
        Why it was chosen. People must not see it: a gold item looks like any other.
    score : float or None
        What the policy found, from 0 to 1; None for random and gold items.
    guess, guess_probability : int and float, or None
        The champion's class and its probability; None without a champion, and for gold items.
    picture : str or None
        Path of its picture below the lake.
    seen : str or None
        Digest of the row as it was when it was chosen: see `include.labelling.seen`.
    """

    item: str
    key: dict[str, Any]
    row: dict[str, Any]
    policy: Asked
    score: float | None = None
    guess: int | None = None
    guess_probability: float | None = None
    picture: str | None = None
    seen: str | None = None


@dataclass(frozen=True)
class Round:
    """Items that are asked about together.

    Attributes
    ----------
    partition : str
        Whose rows.
    number : int
        From 1 on, never used twice within a partition; 0 where nothing is asked.
    items : list of Item
        Empty where nothing is asked.
    asked_at, closes_at : datetime or None
        When it was chosen, and until when answers count; with a time zone.
    why_not : str
        Why nothing is asked, in a sentence; empty otherwise.
    """

    partition: str
    number: int
    items: list[Item]
    asked_at: datetime | None = None
    closes_at: datetime | None = None
    why_not: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the round is over, so that further answers do not count."""
        return self.closes_at is None or self.closes_at <= datetime.now(UTC)


@dataclass(frozen=True, order=True)
class Box:
    """A named rectangle on a picture, in pixels from its upper left corner."""

    name: str
    x: float
    y: float
    width: float
    height: float
    image_width: float
    image_height: float


@dataclass(frozen=True)
class Answer:
    """What one annotator said of one item, as it came and unchecked.

    Attributes
    ----------
    item : str
        The id of the item.
    annotator : str or None
        Who answered; None where nobody did, as when Airflow wrote the default after a time-out.
    answer : str or None
        The name of a class, `Skip`, or whatever else came; None is a skip.
    answered_at : datetime or None
        With a time zone; None where that is not known.
    external : str
        What names this answer where it was given: the annotation in Label Studio, or the task
        instance in Airflow.
    boxes : sequence of Box
        The boxes that were drawn.
    """

    item: str
    annotator: str | None
    answer: str | None
    answered_at: datetime | None
    external: str
    boxes: Sequence[Box] = ()

    def __post_init__(self) -> None:
        """Refuse a time without a zone: nothing says which moment it is."""
        if self.answered_at is not None and self.answered_at.tzinfo is None:
            raise DataContractError(
                f"answer {self.external} of item {self.item}: answered_at must have a time zone, "
                f"got {self.answered_at}. Say in which zone the service writes its times."
            )


def item_id(key: Mapping[str, Any]) -> str:
    """Name a row by its key: 16 hexadecimal digits, the same wherever the key has the same values.

    The types make no difference, so that a row keeps its name when a migration makes text of a
    number.

    Parameters
    ----------
    key : mapping of str to object
        Column and value; times with a zone.

    Examples
    --------
    >>> item_id({"image": "image_0001"})
    '36d1cd0c87cda2eb'
    >>> item_id({"scan": 5}) == item_id({"scan": "5"})
    True
    """
    told = json.dumps({name: _text(value) for name, value in key.items()}, sort_keys=True)
    return sha256(told.encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()  # as a migration writes it
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
