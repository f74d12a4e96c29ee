"""Bounding boxes that annotators draw: whether they agree, and one set made of several.

Coordinates are pixels from the upper left corner. Two boxes can only mean the same thing where they
have the same name. How far they do is their intersection over union (IoU), from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

import numpy as np
import numpy.typing as npt

from include.labelling.asking import Box

SAME_FROM = 0.5
"""IoU from which two boxes mean the same thing: Everingham et al. (2010), "The Pascal Visual Object
Classes (VOC) challenge", IJCV 88, section 4.2; COCO's AP50 has the same."""


@dataclass(frozen=True)
class Agreement:
    """How far two annotators drew the same boxes of one name.

    Attributes
    ----------
    name : str
        Of the boxes.
    first, second : int
        How many boxes each of them drew.
    matched : int
        Pairs of boxes that mean the same thing.
    mean_iou : float
        Of these pairs; NaN where there is none.
    """

    name: str
    first: int
    second: int
    matched: int
    mean_iou: float

    @property
    def f1(self) -> float:
        """Matched pairs over the mean number of boxes: 1 where all are matched, 0 where none is.

        The same whichever annotator is taken for right.
        """
        return 2 * self.matched / (self.first + self.second)


@dataclass(frozen=True, order=True)
class Merged:
    """One box made of those of several annotators.

    Attributes
    ----------
    box : Box
        Its edges are the medians of theirs.
    annotators : tuple of str
        Who drew it, sorted.
    """

    box: Box
    annotators: tuple[str, ...]


def iou(first: Sequence[Box], second: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each of the first with each of the second boxes.

    Names are not looked at.

    Examples
    --------
    >>> one, other = Box("a", 0, 0, 10, 10, 99, 99), Box("a", 5, 0, 10, 10, 99, 99)
    >>> iou([one], [one, other]).round(3)
    array([[1.   , 0.333]])
    """
    one, other = _edges(first)[:, None, :], _edges(second)[None, :, :]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    area_one, area_other = ((each[..., 2:] - each[..., :2]).prod(axis=-1) for each in (one, other))
    shares: npt.NDArray[np.float64] = shared / (area_one + area_other - shared)
    return shares


def match(
    first: Sequence[Box], second: Sequence[Box], same_from: float = SAME_FROM
) -> list[tuple[int, int, float]]:
    """Pair boxes that mean the same thing, each at most once.

    As many pairs as there can be; of several ways to pair as many, that with the highest IoU
    altogether. Found by scipy's `linear_sum_assignment`.

    Parameters
    ----------
    first, second : sequence of Box
        What two annotators drew on one picture.
    same_from : float
        IoU from which two boxes of one name may be paired.

    Returns
    -------
    list of (int, int, float)
        Position in `first`, position in `second`, and IoU.
    """
    from scipy.optimize import linear_sum_assignment

    if not first or not second:
        return []
    shares = iou(first, second)
    same_name = np.array([[one.name == other.name for other in second] for one in first])
    possible = same_name & (shares >= same_from)
    # One pair more is worth more than any gain in IoU.
    worth = np.where(possible, shares + min(shares.shape), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [
        (int(row), int(column), float(shares[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if possible[row, column]
    ]


def agreement(
    pictures: Iterable[tuple[Sequence[Box], Sequence[Box]]], same_from: float = SAME_FROM
) -> list[Agreement]:
    """Compare what two annotators drew, by name: on one picture, or on several together.

    Parameters
    ----------
    pictures : iterable of (sequence of Box, sequence of Box)
        What the one and the other drew on each picture that both looked at.
    same_from : float
        As for `match`.

    Returns
    -------
    list of Agreement
        Sorted by name; a name that neither of them used is left out.
    """
    drawn: dict[str, list[int]] = {}
    shares: dict[str, list[float]] = {}
    for first, second in pictures:
        for place, boxes in enumerate((first, second)):
            for box in boxes:
                drawn.setdefault(box.name, [0, 0])[place] += 1
        for at, _, share in match(first, second, same_from):
            shares.setdefault(first[at].name, []).append(share)
    found = []
    for name, (one, other) in sorted(drawn.items()):
        of_pairs = shares.get(name, [])
        mean = float(np.mean(of_pairs)) if of_pairs else math.nan
        found.append(Agreement(name, one, other, len(of_pairs), mean))
    return found


def merge(drawn: Mapping[str, Sequence[Box]], same_from: float = SAME_FROM) -> list[Merged]:
    """Make one set of boxes of those that several annotators drew on one picture.

    Boxes of different annotators are put together, the closest pair first, as long as each box of a
    group has `same_from` or more with each other one. A group stands where more than half of
    the annotators drew one of its boxes; an annotator who drew none on the picture counts too.

    Parameters
    ----------
    drawn : mapping of str to sequence of Box
        By annotator. The order of annotators and of boxes makes no difference.
    same_from : float
        IoU from which two boxes of one name may mean the same thing.

    Returns
    -------
    list of Merged
        Sorted by name, then from left to right.
    """
    all_drawn = sorted((box, who) for who, boxes in drawn.items() for box in boxes)
    boxes = [box for box, _ in all_drawn]
    shares = iou(boxes, boxes) if boxes else np.zeros((0, 0))
    groups = {at: [at] for at in range(len(boxes))}
    of = list(range(len(boxes)))
    closest = sorted(combinations(range(len(boxes)), 2), key=lambda pair: -shares[pair])
    for one, other in closest:
        left, right = groups[of[one]], groups[of[other]]
        if of[one] == of[other] or not _together(left, right, all_drawn, shares, same_from):
            continue
        gone = of[other]
        for at in groups.pop(gone):
            of[at] = of[one]
        groups[of[one]] = left + right
    return sorted(
        _merged([all_drawn[at] for at in group])
        for group in groups.values()
        if 2 * len(group) > len(drawn)
    )


def _together(
    left: Sequence[int],
    right: Sequence[int],
    drawn: Sequence[tuple[Box, str]],
    shares: npt.NDArray[np.float64],
    same_from: float,
) -> bool:
    return all(
        drawn[one][0].name == drawn[other][0].name
        and drawn[one][1] != drawn[other][1]
        and shares[one, other] >= same_from
        for one in left
        for other in right
    )


def _merged(group: Sequence[tuple[Box, str]]) -> Merged:
    edges = [median(one) for one in zip(*_edges([box for box, _ in group]).tolist(), strict=True)]
    left, top, right, bottom = edges
    box = replace(group[0][0], x=left, y=top, width=right - left, height=bottom - top)
    return Merged(box, tuple(sorted(who for _, who in group)))


def _edges(boxes: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Left, top, right and bottom of each box: shape (boxes, 4)."""
    return np.array(
        [[one.x, one.y, one.x + one.width, one.y + one.height] for one in boxes], np.float64
    ).reshape(-1, 4)
