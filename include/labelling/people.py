"""The strategy `people`: the answers of all rounds of a partition, as one label for each item."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.labelling.agreement import below, on_gold
from include.labelling.answer_model import weigh_answers
from include.labelling.answers import read_answers
from include.labelling.asking import GOLD, RANDOM, item_id
from include.labelling.contract import LABEL, PEOPLE, claims_schema, labels_schema
from include.labelling.label_model import ABSTAIN, chosen
from include.labelling.rounds import ITEM, POLICY, ROUND, read_rounds
from include.labelling.verdicts import ANNOTATOR, COUNTS, SKIPPED, VERDICT, is_among, people_of
from include.lake.schemas import CHOSEN
from include.lake.table import Lake
from include.use_cases.gold import read_gold
from include.use_cases.loader import folder_of
from include.use_cases.schema import UseCase
from include.use_cases.sections.people import People

_DIGITS = 3
"""Digits of a confidence, so that one more answer does not give every label a new version."""

Given = dict[str, dict[str, int]]
"""By item and annotator: the class."""


@dataclass(frozen=True)
class Standing:
    """What people have said of one item so far.

    Attributes
    ----------
    policy : str
        `random` if every round of it was drawn by chance, otherwise the first other policy.
    asked : int
        In how many rounds it was.
    votes : dict of str to int
        The class that each annotator gave; only answers that count.
    skips : int
        Annotators who could not tell.
    label : int or None
        What came of it; None where nobody answered, or no class is clearly ahead.
    confidence : float
        Probability of the label; 1 where an adjudicator gave it.
    adjudicated : bool
        Whether somebody of `labels.people.adjudicators` answered.
    """

    policy: str
    asked: int
    votes: dict[str, int]
    skips: int
    label: int | None
    confidence: float
    adjudicated: bool = False

    @property
    def conflict(self) -> bool:
        """Whether there are answers, and no class is clearly ahead."""
        return bool(self.votes) and self.label is None

    def wants_more(self, people: People) -> bool:
        """Whether one more annotator should be asked: answers contradict each other, or are few.

        At most `people.ask_again` times.
        """
        few = 0 < len(self.votes) + self.skips < people.annotators and not self.adjudicated
        return self.asked <= people.ask_again and (self.conflict or few)


@dataclass(frozen=True, eq=False)
class PeopleLabels:
    """The labels that people give to the rows of one partition.

    Attributes
    ----------
    use_case : UseCase
        Whose rows.
    rows : Table
        The columns of `labels_schema` except the label, of each row that is there now.
    rounds, answers : Table
        As `read_rounds` and `read_answers` give them.
    gold : mapping of str to int
        The class of each gold item.
    """

    use_case: UseCase
    rows: pa.Table
    rounds: pa.Table
    answers: pa.Table
    gold: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, use_case: UseCase, partition: str, lake: Lake) -> PeopleLabels:
        """Read what people said of a partition, and the rows that are there."""
        assert use_case.labels is not None  # noqa: S101  for mypy: people stand in it
        named = pa.schema(list(labels_schema(use_case, use_case.labels))[:-1])
        clean = lake.table(use_case.name, "clean")
        there = partition in clean.partitions()
        rows = clean.read([partition], named) if there else named.empty_table()
        rounds, answers = (read(use_case, partition, lake) for read in (read_rounds, read_answers))
        gold = read_gold(use_case, folder_of(use_case.name))
        return cls(use_case, rows, rounds, answers, {item_id(key): label for key, label in gold})

    @property
    def strategy(self) -> str:
        """Its name in `labels.precedence`."""
        return PEOPLE

    @cached_property
    def on_gold(self) -> pd.DataFrame:
        """How good each annotator is on gold items: see `agreement.on_gold`."""
        return on_gold(answers_frame(self._said(COUNTS, gold=True)), self.gold)

    @cached_property
    def below(self) -> list[str]:
        """Annotators who are surely below `labels.people.min_accuracy`."""
        limit = people_of(self.use_case).min_accuracy
        return [] if limit is None else below(self.on_gold, limit)

    @cached_property
    def given(self) -> Given:
        """The answers that count, to all items but gold ones."""
        excluded = self.below if people_of(self.use_case).below == "exclude" else []
        return {
            item: counted
            for item, votes in self._said(COUNTS, gold=False).items()
            if (counted := {who: votes[who] for who in sorted(votes) if who not in excluded})
        }

    @cached_property
    def standing(self) -> dict[str, Standing]:
        """What was said of each item, in the order of item ids. Gold items are not among them."""
        asked = [row for row in self.rounds.to_pylist() if row[POLICY] != GOLD]
        policies: dict[str, str] = {}
        for row in asked:  # by round
            if policies.get(row[ITEM], RANDOM) == RANDOM:
                policies[row[ITEM]] = row[POLICY]
        times = Counter(row[ITEM] for row in asked)
        skips = self._said(SKIPPED, gold=False)
        items = sorted(policies)
        label, confidence = self._aggregated(items)
        decided = [self._decided(item) for item in items]
        for place, classes in enumerate(decided):
            if len(classes) == 1:
                label[place], confidence[place] = next(iter(classes)), 1.0
            elif classes:  # adjudicators who contradict each other decide nothing
                label[place], confidence[place] = ABSTAIN, 0.0
        return {
            item: Standing(
                policies[item],
                times[item],
                self.given.get(item, {}),
                len(skips.get(item, ())),
                None if label[place] == ABSTAIN else int(label[place]),
                float(confidence[place]),
                bool(decided[place]),
            )
            for place, item in enumerate(items)
        }

    def labels(self) -> pa.Table:
        """Give one label for each item on which a class is clearly ahead, and who gave it."""
        assert self.use_case.labels is not None  # noqa: S101  for mypy
        schema = claims_schema(self.use_case, self.use_case.labels)
        key = list(self.use_case.ingest.key)
        asked = self.rows.join(self.rounds.select(key), key, join_type="left semi")
        told = []
        for row in asked.sort_by([(name, "ascending") for name in key]).to_pylist():
            found = self.standing.get(item_id({name: row[name] for name in key}))
            if found is None or found.label is None:
                continue
            agree = sorted(who for who, label in found.votes.items() if label == found.label)
            told.append(
                {
                    **row,
                    LABEL: found.label,
                    "_source": ", ".join(agree),
                    "_confidence": round(found.confidence, _DIGITS),
                    CHOSEN: found.policy,
                }
            )
        return pa.Table.from_pylist(told, schema=schema)

    def _said(self, verdict: str, *, gold: bool) -> Given:
        """Give the answers with a verdict, to gold items or to the others."""
        rounds = self.rounds.select([ITEM, ROUND, POLICY]).to_pylist()
        of_gold = {(row[ITEM], row[ROUND]): row[POLICY] == GOLD for row in rounds}
        found: Given = defaultdict(dict)
        for row in self.answers.to_pylist():
            if row[VERDICT] == verdict and of_gold.get((row[ITEM], row[ROUND])) is gold:
                found[row[ITEM]][row[ANNOTATOR]] = row[LABEL]
        return dict(found)

    def _decided(self, item: str) -> set[int]:
        """Give the classes that adjudicators gave to an item."""
        names = people_of(self.use_case).adjudicators or []
        votes = self.given.get(item, {})
        return {label for who, label in votes.items() if is_among(who, names)}

    def _aggregated(self, items: list[str]) -> tuple[Any, Any]:
        assert self.use_case.labels is not None  # noqa: S101  for mypy
        who = sorted({one for votes in self.given.values() for one in votes})
        if not who:
            return np.full(len(items), ABSTAIN), np.zeros(len(items))
        place = {name: number for number, name in enumerate(who)}
        matrix = np.full((len(items), len(who)), ABSTAIN, dtype=np.int64)
        for number, item in enumerate(items):
            for name, label in self.given.get(item, {}).items():
                matrix[number, place[name]] = label
        classes = len(self.use_case.labels.answers)
        return chosen(weigh_answers(matrix, classes, people_of(self.use_case).aggregate))


def answers_frame(given: Given) -> pd.DataFrame:
    """Make a frame for `agreement`: one row per item, one column per annotator."""
    frame = pd.DataFrame.from_dict(given, orient="index", dtype="float64")
    return frame.sort_index().sort_index(axis=1)
