"""Which answers count: by the answer itself, by the others, and by the use case as it is now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from include.errors import DataContractError
from include.labelling.asking import SKIP
from include.labelling.contract import LABEL
from include.labelling.rounds import ITEM, ROUND
from include.use_cases.schema import UseCase
from include.use_cases.sections.people import People

ANNOTATOR, ANSWER, VERDICT = "_annotator", "_answer", "_verdict"
ANSWERED_AT, RECEIVED_AT, VIA, EXTERNAL = "_answered_at", "_received_at", "_via", "_external"

Verdict: TypeAlias = Literal[
    "counts",
    "skipped",
    "unknown item",
    "unknown class",
    "repeated",
    "after closing",
    "row corrected",
    "not trusted",
    "nobody",
]
"""What becomes of an answer. `repeated`: the same annotator has answered this item again later.
`nobody`: an answer was wanted and nobody gave it. `row corrected`: the row is another one now than
people saw."""
COUNTS: Verdict = "counts"
SKIPPED: Verdict = "skipped"
NOBODY: Verdict = "nobody"
_FOR_GOOD = ("unknown item", "after closing", "nobody")
"""Verdicts that nothing changes later."""
_CAME: tuple[Verdict, ...] = (COUNTS, SKIPPED, "repeated", "row corrected")


@dataclass(frozen=True)
class AnswersRecorded:
    """What came of the answers of a round, so far.

    Attributes
    ----------
    partition, round : str and int
        Which round.
    items : int
        Items of the round.
    verdicts : dict of str to int
        How many answers of this round have each verdict, those recorded before included.
    new : int
        How many were recorded by this call.
    closed : bool
        Whether the round is over.
    """

    partition: str
    round: int
    items: int
    verdicts: dict[str, int]
    new: int
    closed: bool


def people_of(use_case: UseCase) -> People:
    """Return the section `labels.people`.

    Raises
    ------
    DataContractError
        The use case asks nobody.
    """
    if use_case.labels is None or use_case.labels.people is None:
        raise DataContractError(
            f"{use_case.name}: asks nobody. Write the section labels.people, or do not annotate."
        )
    return use_case.labels.people


def verdict_now(
    use_case: UseCase, row: Mapping[str, Any], corrected: Collection[tuple[str, int]]
) -> dict[str, Any]:
    """Judge an answer by the use case as it is now, without a look at the other answers.

    `corrected` names the items, each with a round, whose row is another one now.
    """
    if row[VERDICT] in _FOR_GOOD:
        return {VERDICT: row[VERDICT], LABEL: None}
    if (row[ITEM], row[ROUND]) in corrected:
        return {VERDICT: "row corrected", LABEL: None}
    assert use_case.labels is not None  # noqa: S101  for mypy
    people, classes = people_of(use_case), use_case.labels.answers
    trusted = people.trusted and [*people.trusted, *(people.adjudicators or [])]
    if trusted is not None and not is_among(row[ANNOTATOR], trusted):
        return {VERDICT: "not trusted", LABEL: None}
    if row[ANSWER] is None or row[ANSWER] == SKIP:
        return {VERDICT: SKIPPED, LABEL: None}
    if row[ANSWER] not in classes:
        return {VERDICT: "unknown class", LABEL: None}
    return {VERDICT: COUNTS, LABEL: classes[row[ANSWER]]}


def is_among(annotator: str, names: Collection[str]) -> bool:
    """Tell whether an annotator is among those that the use case names."""
    return _plain(annotator) in map(_plain, names)


def _plain(name: str) -> str:
    """Write a name as it is compared: an email address alone is the same in capital letters."""
    name = name.strip()
    return name.casefold() if "@" in name else name


def mark_repeated(rows: Sequence[dict[str, Any]]) -> None:
    """Mark, in place, all but an annotator's last answer of an item."""
    valid = [row for row in rows if row[VERDICT] in (COUNTS, SKIPPED)]
    last = {(row[ITEM], row[ANNOTATOR]): row for row in sorted(valid, key=when)}
    for row in valid:
        if last[row[ITEM], row[ANNOTATOR]] is not row:
            row[VERDICT] = "repeated"


def when(row: Mapping[str, Any]) -> tuple[datetime, str, str]:
    """Order answers; at the same moment by their name, so the order of arrival says nothing."""
    return (row[ANSWERED_AT] or row[RECEIVED_AT], row[EXTERNAL], row[ANSWER] or "")


def missing(
    items: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    number: int,
    people: People,
) -> list[str]:
    """Name the items of a round of which an answer was wanted and did not come."""
    of_round = [row for row in rows if row[ROUND] == number]
    got = Counter(row[ITEM] for row in of_round if row[VERDICT] in _CAME)
    nobody = {row[ITEM] for row in of_round if row[VERDICT] == NOBODY}
    return [one for one in items if one not in nobody and got[one] < people.annotators]
