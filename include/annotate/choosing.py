"""Choose the rows of the next round: whom to ask about what is decided here, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from include.annotate.guesses import Guesses
from include.annotate.pictures import Read, with_pictures
from include.annotate.publish import publish_outdated
from include.annotate.state import State, reserved_rows, votes_of
from include.labelling.asking import GOLD, RANDOM, Item, Round
from include.labelling.label_model import ABSTAIN
from include.labelling.policies import Floats, choose, disagreement
from include.labelling.policies import uncertainty as uncertainty_of
from include.labelling.rounds import (
    append_round,
    next_number,
    read_round,
    with_rows,
)
from include.labelling.seen import seen_as
from include.labelling.verdicts import people_of
from include.lake.table import Lake, Writer
from include.modelling.units import unit_numbers
from include.use_cases.schema import UseCase
from include.use_cases.sections.people import People

log = logging.getLogger(__name__)

_TRIES = 20


_NOBODY = (
    "Nobody needs to be asked about {}: every row has a label, was skipped, or is a gold item. "
    "Land more rows, or start another partition."
)

_OTHERS = "Other runs choose rows of {} at the same time. Start the Dag again when they have ended."


def choose_round(
    use_case: UseCase,
    partition: str,
    lake: Lake,
    writer: Writer,
    guesses: Guesses | None = None,
    read: Read | None = None,
) -> Round:
    """Choose the rows of a clean partition that people are asked about next, and write it down.

    First come rows whose answers contradict each other or are too few, then those that the policies
    choose. The policies never choose rows that have a label which no rule gave, rows that people
    have skipped or answered, or gold items, and only `random` chooses a row again that it has
    chosen before. Labels that people gave under an earlier definition, such as other classes, are
    published again first.

    Parameters
    ----------
    use_case : UseCase
        With `labels.people`.
    partition : str
        A partition of `clean`.
    lake : Lake
        Holds rows, votes, labels and former rounds.
    writer : Writer
        The same run gets the same round again.
    guesses : Guesses, optional
        What the champion says. Without it `uncertain` leaves its share to `random`.
    read : callable, optional
        Reads landed files, for `labels.people.picture.column`.

    Returns
    -------
    Round
        It has no items where nobody is to be asked; `why_not` says why.

    Raises
    ------
    DataContractError
        There is no such clean partition, or no picture can be made.
    """
    people = people_of(use_case)
    publish_outdated(use_case, partition, lake, writer)
    for _ in range(_TRIES):
        number = next_number(use_case, partition, lake)
        state = State.of(use_case, partition, lake)
        if (own := state.round_of(writer.run_id)) is not None:
            return read_round(use_case, partition, own, lake)
        if why_not := state.obstacle():
            return Round(partition, 0, [], why_not=why_not)
        items = _chosen(state, people, number, guesses, lake)
        if all(one.policy == GOLD for one in items):
            return Round(partition, 0, [], why_not=_NOBODY.format(partition))
        if people.picture is not None:
            ids = [one.item for one in items]
            rows = dict(zip(ids, state.rows(ids).to_pylist(), strict=True))
            with_pictures(use_case, partition, items, rows, people.picture, lake, read)
        now = datetime.now(UTC)
        made = Round(partition, number, items, now, now + people.within)
        model = None if guesses is None else guesses.model
        if append_round(use_case, made, lake, model=model, run_id=writer.run_id):
            log.info("%s: round %d of %s: %d items", use_case.name, number, partition, len(items))
            return Round(
                partition,
                number,
                with_rows(use_case, partition, items, lake),
                made.asked_at,
                made.closes_at,
            )
    return Round(partition, 0, [], why_not=_OTHERS.format(partition))


def _chosen(
    state: State, people: People, number: int, guesses: Guesses | None, lake: Lake
) -> list[Item]:
    gold, golden = _gold(state, people, number), set(state.said.gold)
    standing = state.said.standing
    again = [
        item
        for item, said in standing.items()
        if item in state.places and item not in golden and said.wants_more(people)
    ]
    again = sorted(again, key=lambda item: -len(standing[item].votes))[: people.items - len(gold)]
    asked = {item for item, said in standing.items() if said.votes or said.skips}
    settled = state.labelled | golden | asked
    left = [item for item in state.places if item not in settled]
    count = people.items - len(gold) - len(again)
    found = _by_policy(state, people, left, count, guesses, lake)
    items = [
        *((item, str(GOLD), None) for item in gold),
        *((item, standing[item].policy, None) for item in again),
        *found,
    ]
    rows = state.rows([item for item, *_ in items]).to_pylist()
    key = state.use_case.ingest.key
    made = [
        Item(
            item=item,
            key={name: row[name] for name in key},
            row={},
            policy=policy,  # type: ignore[arg-type]  # of `Asked`, by the schema
            score=score,
            seen=seen_as(state.use_case, row),
            **({} if policy == GOLD else _guess(item, guesses)),
        )
        for (item, policy, score), row in zip(items, rows, strict=True)
    ]
    # By id, which says nothing: in their own order people would see which are gold.
    return sorted(made, key=lambda one: one.item)


def _by_policy(
    state: State,
    people: People,
    left: Sequence[str],
    count: int,
    guesses: Guesses | None,
    lake: Lake,
) -> list[tuple[str, str, float | None]]:
    rows = state.rows(left)
    scores: dict[str, Floats] = {}
    if guesses is not None:
        scores["uncertain"] = uncertainty_of(guesses.of(list(left)))
    votes = votes_of(state, lake)
    if votes:
        width = len(next(iter(votes.values())))
        nothing = [ABSTAIN] * width
        matrix = np.array([votes.get(item, nothing) for item in left], np.int64)
        scores["disagreement"] = disagreement(matrix.reshape(len(left), width))
    shares = {str(policy): share for policy, share in people.choose.items()}
    chance = unit_numbers(rows, state.use_case.ingest.key, "audit")
    # A row that was drawn by chance and has no answer waits for the next draw: if a policy took it
    # because it is hard, the fair sample would lack it.
    drawn = {item for item, said in state.said.standing.items() if said.policy == RANDOM}
    waiting = np.array([item in drawn for item in left], dtype=bool)
    reserved = reserved_rows(state.use_case, rows) | waiting
    chosen = choose(shares, count, scores, chance, reserved)
    return [
        (left[row], policy, score)
        for row, policy, score in zip(chosen.rows, chosen.policies, chosen.scores, strict=True)
    ]


def _gold(state: State, people: People, number: int) -> list[str]:
    """Choose the gold items of a round: others in each, as far as there are others."""
    there = sorted(set(state.said.gold) & set(state.places))
    start = (number - 1) * people.gold_items
    wanted = min(people.gold_items, len(there))
    return [there[(start + step) % len(there)] for step in range(wanted)]


def _guess(item: str, guesses: Guesses | None) -> dict[str, Any]:
    if guesses is None or (place := guesses.items.get(item)) is None:
        return {}
    chances = guesses.probabilities[place]
    return {"guess": int(chances.argmax()), "guess_probability": float(chances.max())}
