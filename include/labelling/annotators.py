"""What can be said of the people who label: whether they agree, how good they are, what is open.

Rows for the table `label_quality`, and the sentences that a person should read.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from include.labelling.agreement import RELIABLE, cohens_kappa, fleiss_kappa, krippendorffs_alpha
from include.labelling.box_agreement import Agreement, agreement
from include.labelling.drawings import Drawings, read_drawings
from include.labelling.people import PeopleLabels, answers_frame
from include.labelling.rounds import ITEM
from include.labelling.verdicts import ANNOTATOR, VERDICT, people_of
from include.lake.table import Lake
from include.use_cases.schema import UseCase


class Finding(NamedTuple):
    """A row of the report: its topic, its subject, a number, and details as JSON."""

    topic: str
    subject: str
    value: float | None
    details: str


@dataclass(frozen=True)
class PeopleReported:
    """What is said of the people who labelled a partition.

    Attributes
    ----------
    rows : list of Finding
        About `agreement`, `annotator`, `conflict`, `boxes` and `boxes of a picture`.
    alpha : float or None
        Krippendorff's; None where no item has two answers, or all are of one class.
    below : list of str
        Annotators who are surely below `labels.people.min_accuracy`.
    conflicts : int
        Items without a label, because their answers contradict each other.
    warnings : list of str
        Sentences.
    """

    rows: list[Finding] = field(default_factory=list)
    alpha: float | None = None
    below: list[str] = field(default_factory=list)
    conflicts: int = 0
    warnings: list[str] = field(default_factory=list)


def report_people(use_case: UseCase, partition: str, lake: Lake) -> PeopleReported:
    """Look at the answers to the items of one partition.

    Parameters
    ----------
    use_case : UseCase
        With `labels.people`.
    partition : str
        Its key.
    lake : Lake
        Holds rounds and answers; none yet make an empty report.
    """
    made = PeopleLabels.of(use_case, partition, lake)
    frame = answers_frame(made.given)
    several = frame[frame.notna().sum(axis=1) >= 2].dropna(axis=1, how="all")
    alpha = _number(krippendorffs_alpha(several)) if len(several) else None
    conflicts = list(_conflicts(made))
    rows = [*_agreement(several, alpha), *_annotators(made), *conflicts]
    if people_of(use_case).boxes:
        rows += _boxes(read_drawings(use_case, partition, lake))
    warnings = list(_warnings(made, alpha, len(several)))
    return PeopleReported(rows, alpha, made.below, len(conflicts), warnings)


def _agreement(several: pd.DataFrame, alpha: float | None) -> Iterator[Finding]:
    """Give alpha; Fleiss' kappa where all answered all; Cohen's of each two who met."""
    if several.empty:
        return
    counted = {"items": len(several), "annotators": several.shape[1]}
    yield Finding("agreement", "Krippendorff's alpha", alpha, json.dumps(counted))
    if not several.isna().to_numpy().any():
        kappa = _number(fleiss_kappa(several))
        yield Finding("agreement", "Fleiss' kappa", kappa, json.dumps(counted))
    for one, other in combinations(several.columns, 2):
        both = several[[one, other]].dropna()
        if len(both):
            told = json.dumps({"items": len(both), "annotators": [one, other]})
            kappa = _number(cohens_kappa(both))
            yield Finding("agreement", f"Cohen's kappa of {one} and {other}", kappa, told)


def _annotators(made: PeopleLabels) -> Iterator[Finding]:
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in made.answers.to_pylist():
        if row[ANNOTATOR] is not None:
            verdicts[row[ANNOTATOR]][row[VERDICT]] += 1
    measured = made.on_gold.to_dict(orient="index")
    for who in sorted(verdicts):
        on_gold = {name: _number(value) for name, value in measured.get(who, {}).items()}
        told = {
            "answers": dict(sorted(verdicts[who].items())),
            "gold": int(on_gold.get("answered") or 0),
            "lower": on_gold.get("lower"),
            "upper": on_gold.get("upper"),
            "below": who in made.below,
        }
        yield Finding("annotator", who, on_gold.get("right"), json.dumps(told))


def _conflicts(made: PeopleLabels) -> Iterator[Finding]:
    people, key = people_of(made.use_case), list(made.use_case.ingest.key)
    labels = made.use_case.labels
    names = {number: name for name, number in labels.answers.items()} if labels else {}
    keys = {row[ITEM]: {name: row[name] for name in key} for row in made.rounds.to_pylist()}
    for item, found in made.standing.items():
        if found.conflict:
            told = {
                "answers": {who: names[label] for who, label in found.votes.items()},
                "asked": found.asked,
                "asked again": found.wants_more(people),
            }
            name = json.dumps(keys[item], default=str)
            yield Finding("conflict", name, float(len(found.votes)), json.dumps(told))


def _boxes(drawings: Drawings) -> Iterator[Finding]:
    """Compare each two annotators of a picture: on all pictures together, and where they differ."""
    of_picture = {item: list(combinations(drawn.values(), 2)) for item, drawn in drawings.items()}
    together = [pair for pairs in of_picture.values() for pair in pairs]
    for found in agreement(together):
        yield Finding("boxes", found.name, found.f1, _told_of(found))
    for item, pairs in of_picture.items():
        for found in agreement(pairs):
            if found.f1 < 1:
                yield Finding("boxes of a picture", item, found.f1, _told_of(found))


def _told_of(found: Agreement) -> str:
    told: Mapping[str, Any] = {
        "name": found.name,
        "drawn": found.first + found.second,
        "matched": 2 * found.matched,
        "mean IoU": _number(found.mean_iou),
    }
    return json.dumps(told)


def _warnings(made: PeopleLabels, alpha: float | None, items: int) -> Iterator[str]:
    if alpha is not None and alpha < RELIABLE:
        yield (
            f"annotators agree little: Krippendorff's alpha is {alpha:.2f} on {items} items with "
            f"several answers, and below {RELIABLE} no conclusion should be drawn from them. Look "
            "at the rows 'conflict' of label_quality, and explain the classes to the annotators."
        )
    people = people_of(made.use_case)
    for who in made.below:
        one = made.on_gold.loc[who]
        becomes = "no longer count" if people.below == "exclude" else "count as before"
        yield (
            f"{who} is right on {one['right']:.0%} of {one['answered']:.0f} gold items, which is "
            f"surely below min_accuracy {people.min_accuracy:g}: the answers {becomes}."
        )
    left = sum(one.conflict and not one.wants_more(people) for one in made.standing.values())
    if left:
        yield (
            f"{left} items have contradicting answers after {people.ask_again} more rounds and "
            "stay without a label. Raise labels.people.ask_again, and let somebody answer whom "
            "labels.people.adjudicators names: that answer decides."
        )


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
