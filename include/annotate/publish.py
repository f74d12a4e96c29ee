"""From answers to labels: publish what people said of a partition."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.labelling.contract import LABEL, PEOPLE, STRATEGY
from include.labelling.history import LabelHistory
from include.labelling.people import PeopleLabels
from include.labelling.publishing import publish_labels
from include.labelling.verdicts import people_of
from include.lake.table import Lake, Published, Writer
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class PeoplePublished:
    """What people have said of a partition, over all rounds.

    Attributes
    ----------
    partition : str
        Its key.
    labelled : int
        Rows that people gave a label.
    undecided : int
        Items whose answers contradict each other: no label, and asked about again, as often as
        `labels.people.ask_again` allows.
    skipped : int
        Items that were skipped by all who looked at them.
    class_counts : dict of str to int
        Labels by the class's name.
    version : int or None
        Delta version of `labels`; None where nothing was published.
    changed : bool
        Whether the labels differ from those before.
    """

    partition: str
    labelled: int
    undecided: int
    skipped: int
    class_counts: dict[str, int]
    version: int | None
    changed: bool


def publish_outdated(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> bool:
    """Publish again what people said, where they alone give labels and the classes have changed.

    Nothing else would: no file lands for them, and no rule votes.

    Returns
    -------
    bool
        Whether the labels were of another definition.
    """
    labels, table = use_case.labels, lake.table(use_case.name, "labels")
    if labels is None or labels.strategies != [PEOPLE] or partition not in table.partitions():
        return False
    made = table.made_from({partition: [DEFINITION]})[partition][DEFINITION]
    if made == definition_of(use_case, "labels"):
        return False
    publish_people(use_case, partition, lake, writer)
    return True


def publish_people(
    use_case: UseCase, partition: str, lake: Lake, writer: Writer
) -> PeoplePublished:
    """Publish the labels that people gave to a partition; nothing where they gave none yet.

    Raises
    ------
    DataContractError
        The use case asks nobody.
    StaleAttempt
        A later attempt was faster.
    """
    people_of(use_case)
    made, history = PeopleLabels.of(use_case, partition, lake), LabelHistory(use_case, lake)
    claims, labels = made.labels(), use_case.labels
    known = history.known(partition)
    others = {*(labels.strategies if labels else ())} - {made.strategy}
    done: Published | None = None
    if claims.num_rows or others & set(known[STRATEGY].to_pylist()):
        definition = definition_of(use_case, "labels")
        done = publish_labels(
            made,
            history,
            partition,
            writer,
            consumed={} if labels and labels.landed else {DEFINITION: definition},
        )
    elif known.num_rows:
        # No answer counts any more, such as when nobody who gave one is trusted.
        history.record(partition, made.strategy, claims, writer)
        done = lake.table(use_case.name, "labels").clear(partition, writer)
    names = {number: name for name, number in labels.answers.items()} if labels else {}
    standing = made.standing.values()
    return PeoplePublished(
        partition=partition,
        labelled=claims.num_rows,
        undecided=sum(one.conflict for one in standing),
        skipped=sum(bool(one.skips) and not one.votes for one in standing),
        class_counts={
            names[row["values"]]: row["counts"]
            for row in pc.value_counts(claims[LABEL]).to_pylist()
        },
        version=done.version if done else None,
        changed=bool(done and done.changed),
    )
