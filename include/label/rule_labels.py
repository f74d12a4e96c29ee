"""The strategy `rules`: a clean partition into votes, and votes into labels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.errors import ConfigError, DataContractError
from include.label.functions import Voted, classes_of, vote
from include.label.summary import FunctionSummary, summaries
from include.labelling.contract import LABEL, SAID, labels_schema
from include.labelling.history import LabelHistory
from include.labelling.label_model import ABSTAIN, Weighed, chosen, weigh
from include.labelling.publishing import publish_labels
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.schema import Labels, UseCase
from include.use_cases.sections.rules import Rules

log = logging.getLogger(__name__)

VOTE, MAJORITY, CONFIDENCE = "_vote_", "_majority", "_confidence"
_DIGITS = 3
"""A confidence is kept to so many digits: a fit on one more row must not make every label new."""


@dataclass(frozen=True)
class RulesApplied:
    """What `label_partition` published.

    Attributes
    ----------
    partition : str
        Its key.
    rows : int
        Clean rows that were voted on.
    labelled : int
        Rows that the rules gave a label.
    all_abstain : int
        Rows on which no rule voted: they have no label.
    undecided : int
        Rows with votes whose likeliest class is not likelier than `min_confidence`: no label.
    model : {'dawid_skene', 'majority'}
        What weighed the votes.
    differs_from_majority : int
        Rows with another label than the majority vote gives.
    class_shares : dict of str to float
        Share of each class among the labels.
    functions : list of FunctionSummary
        Each labelling function.
    """

    partition: str
    rows: int
    labelled: int
    all_abstain: int
    undecided: int
    model: str
    differs_from_majority: int
    class_shares: dict[str, float]
    functions: list[FunctionSummary]
    version: int
    partition_version: int
    changed: bool


@dataclass(frozen=True, eq=False)
class RuleLabels:
    """The labels that rules give to the rows of one partition.

    Attributes
    ----------
    use_case : UseCase
        Whose rows.
    section : Labels
        Its `labels`.
    rows : Table
        The clean rows.
    voted : Voted
        What each function says of them.
    weighed : Weighed
        What the label model makes of that.
    min_confidence : float
        See `Rules`.
    """

    use_case: UseCase
    section: Labels
    rows: pa.Table
    voted: Voted
    weighed: Weighed
    min_confidence: float

    @property
    def strategy(self) -> str:
        """Its name in `labels.precedence`."""
        return "rules"

    @property
    def chosen(self) -> tuple[Any, Any]:
        """The class of each row or `ABSTAIN`, and its probability."""
        return chosen(self.weighed.posterior, self.min_confidence)

    def labels(self) -> pa.Table:
        """Give a label where a class is likely enough; the source names the rules that voted so."""
        labels, confidence = self.chosen
        given = np.flatnonzero(labels != ABSTAIN)
        schema = labels_schema(self.use_case, self.section)
        rows = self.rows.select(schema.names[:-1]).take(given)
        columns = [
            pa.array(labels[given]).cast(schema.field(LABEL).type),
            pa.array(self._sources(labels, given), pa.string()),
            pa.array(confidence[given].round(_DIGITS)),
        ]
        for column, values in zip([schema.field(LABEL), *SAID], columns, strict=True):
            rows = rows.append_column(column, values)
        return rows

    def _sources(self, labels: Any, given: Any) -> list[str]:
        agree = self.voted.votes[given] == labels[given][:, None]
        patterns, place = np.unique(agree, axis=0, return_inverse=True)
        names = np.array(self.voted.names)
        said = [", ".join(names[pattern]) for pattern in patterns]
        return [said[each] for each in place.ravel()]


def label_partition(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> RulesApplied:
    """Vote on the rows of a clean partition, and publish the votes and the labels.

    Raises
    ------
    ConfigError
        The use case has no rules, or `labels.py` is not as they say.
    DataContractError
        There is no such clean partition, or no row gets a label: nothing is published then.
    """
    labels = use_case.labels
    if labels is None or labels.rules is None:
        raise ConfigError(f"{use_case.name}: has no labels.rules. Write some, or do not label.")
    # Before labels.py is read: one that is edited meanwhile leaves the partition due.
    definitions = {stage: definition_of(use_case, stage) for stage in ("votes", "labels")}
    clean = lake.table(use_case.name, "clean")
    rows, source = clean.read_input(partition, arrow_schema(use_case.ingest.columns))
    made = make_rule_labels(use_case, labels, labels.rules, rows)
    labelled = int((made.chosen[0] != ABSTAIN).sum())
    if labelled == 0 and not labels.landed:
        said = summaries(made.voted, made.weighed.posterior)
        raise DataContractError(
            f"{use_case.name}: no rule gives a label to any of the {rows.num_rows:,} rows of "
            f"{partition}: {'; '.join(one.told for one in said)}. Nothing was published. Correct "
            "labels.rules."
        )
    published = publish_labels(
        made,
        LabelHistory(use_case, lake),
        partition,
        writer,
        inputs=[source],
        # Beside landed files the labels are theirs; what rules add has its definition in `votes`.
        consumed={} if labels.landed else {DEFINITION: definitions["labels"]},
    )
    votes = _votes_table(made, rows.select(labels_schema(use_case, labels).names[:-1]))
    done = lake.table(use_case.name, "votes").publish(
        votes,
        partition=partition,
        schema=votes.schema,
        writer=writer,
        inputs=[source],
        consumed={DEFINITION: definitions["votes"]},
        facts={"labelled": labelled, "model": made.weighed.model},
        migrations=use_case.migrations,
    )
    changed = published.changed or done.changed
    log.info("%s: %s: %d of %d rows labelled", use_case.name, partition, labelled, rows.num_rows)
    return _applied(partition, made, done.version, done.partition_version, changed)


def make_rule_labels(use_case: UseCase, labels: Labels, rules: Rules, rows: pa.Table) -> RuleLabels:
    """Vote and weigh; nothing is published."""
    voted = vote(use_case, labels, rules, rows)
    weighed = weigh(voted.votes, classes_of(use_case), rules.model)
    return RuleLabels(use_case, labels, rows, voted, weighed, rules.min_confidence)


def _votes_table(made: RuleLabels, named: pa.Table) -> pa.Table:
    """Keep what each function said, the label, and that of the majority; null is no answer."""
    label, confidence = made.chosen
    by_majority, _ = chosen(made.weighed.majority)
    columns = {
        LABEL: _nullable(label),
        CONFIDENCE: pa.array(confidence.round(_DIGITS)),
        MAJORITY: _nullable(by_majority),
        **{
            f"{VOTE}{name}": _nullable(made.voted.votes[:, number])
            for number, name in enumerate(made.voted.names)
        },
    }
    for name, values in columns.items():
        named = named.append_column(name, values)
    return named.combine_chunks()


def _nullable(labels: Any) -> pa.Array:
    return pa.array(labels, pa.int64(), mask=labels == ABSTAIN)


def _applied(
    partition: str, made: RuleLabels, version: int, partition_version: int, changed: bool
) -> RulesApplied:
    label, _ = made.chosen
    by_majority, _ = chosen(made.weighed.majority)
    given = label != ABSTAIN
    abstain = int((made.voted.votes == ABSTAIN).all(axis=1).sum())
    classes, counts = np.unique(label[given], return_counts=True)
    return RulesApplied(
        partition=partition,
        rows=len(label),
        labelled=int(given.sum()),
        all_abstain=abstain,
        undecided=len(label) - int(given.sum()) - abstain,
        model=made.weighed.model,
        differs_from_majority=int((given & (label != by_majority)).sum()),
        class_shares={
            str(one): float(count / given.sum())
            for one, count in zip(classes.tolist(), counts.tolist(), strict=True)
        },
        functions=summaries(made.voted, made.weighed.posterior),
        version=version,
        partition_version=partition_version,
        changed=changed,
    )
