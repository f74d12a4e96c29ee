"""When a replay trains, and what decides which model serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.modelling.training_set import TrainingSet
from include.replay.learn import Learned
from include.retrain_trigger.decide import decide_from
from include.retrain_trigger.facts import Decision, Facts
from include.use_cases.schema import UseCase

Policy = Callable[[Facts, UseCase], Decision]
"""Decides whether to train, from what was known."""


@dataclass(frozen=True)
class Ruling:
    """What a gate says of a challenger.

    Attributes
    ----------
    promote : bool
        The answer.
    reasons : list of str
        In words.
    low : float or None
        The gain over the champion that the gate vouches for, in the metric's unit; None where it
        vouches for none.
    """

    promote: bool
    reasons: list[str]
    low: float | None = None


Judge = Callable[[UseCase, Learned, Learned | None, TrainingSet, int], Ruling]
"""Judges a challenger against the champion on the training set's holdout, at its k-th look."""


def never(facts: Facts, use_case: UseCase) -> Decision:
    """Train the first model, and none after it."""
    if facts.champion is None:
        return declared(facts, use_case)
    return Decision(False, facts.as_of, ["never"])


def declared(facts: Facts, use_case: UseCase) -> Decision:
    """Train when the use case's `retrain` section says so."""
    grain = use_case.ingest.partition.grain
    return decide_from(facts, use_case.retrain, use_case.partitions_needed, grain)


def every_partition(facts: Facts, use_case: UseCase) -> Decision:
    """Train whenever newer labels have come."""
    if facts.champion is None:
        return declared(facts, use_case)
    new = not any(request.newest_labelled == facts.newest for request in facts.requests)
    said = f"labels up to {facts.newest}" if new else "no newer labels"
    return Decision(new, facts.as_of, [said])


def promote_all(
    use_case: UseCase,
    challenger: Learned,
    champion: Learned | None,
    training: TrainingSet,
    look: int,
) -> Ruling:
    """Let every challenger serve: what a gate has to be better than."""
    return Ruling(True, ["no gate"])


POLICIES: dict[str, Policy] = {
    "never": never,
    "declared": declared,
    "every partition": every_partition,
}
