"""Whether a training is due: a pure function of facts, so that a replayed year decides alike."""

from __future__ import annotations

from dataclasses import replace

from include.retrain_trigger.facts import Decision, Facts
from include.retrain_trigger.obstacles import obstacles_to
from include.retrain_trigger.signals import signals_of
from include.use_cases.schema import Grain, Retrain


def decide_from(facts: Facts, retrain: Retrain, min_partitions: int, grain: Grain) -> Decision:
    """Decide whether a training is due.

    A training needs a cause (no champion yet, or one of the signals in `retrain.when`) and no
    obstacle (already asked for, refused, nothing new to learn from, cooldown, budget).

    Parameters
    ----------
    facts : Facts
        What the lake and the registry say.
    retrain : Retrain
        The use case's `retrain` section.
    min_partitions : int
        Labelled partitions a first training needs.
    grain : {'day', 'month'}
        What a partition key stands for.

    Returns
    -------
    Decision
        Its reasons carry the numbers that they rest on. Where a signal fires and no training is
        asked for, the obstacles come first, and `signals` names them under `obstacles`.

    Examples
    --------
    >>> two = Facts(as_of="2013-03", labelled=["2013-01", "2013-02"], training_set="a")
    >>> decision = decide_from(two, Retrain(when=["age"]), min_partitions=2, grain="month")
    >>> decision.ask, decision.reasons
    (True, ['no champion yet; 2 labelled partitions up to 2013-02, 2 needed'])
    """
    signals = signals_of(facts, retrain, min_partitions, grain)
    firing = [signal.reason for signal in signals.values() if signal.fires]
    obstacles = obstacles_to(facts, retrain, grain) if firing else {}
    reasons = firing or [signal.reason for signal in signals.values()]
    numbers = {name: {"fires": s.fires, **s.numbers} for name, s in signals.items()}
    return Decision(
        ask=bool(firing) and not obstacles,
        as_of=facts.as_of,
        reasons=[*obstacles.values(), *reasons, *_incomplete(facts)],
        signals=numbers
        | {"newest_labelled": facts.newest, "training_set": facts.training_set}
        | ({"obstacles": list(obstacles)} if obstacles else {}),
        champion_version=facts.champion.version if facts.champion else None,
    )


def asked_by(person: str, decision: Decision, as_of: str) -> Decision:
    """Make a request of a decision, because a person asks: recorded with what speaks against it.

    Parameters
    ----------
    person : str
        Who asks.
    decision : Decision
        What was decided without them; returned as it is when it asks anyway.
    as_of : str
        The partition that the person named.
    """
    if decision.ask:
        return decision
    return replace(
        decision,
        ask=True,
        as_of=as_of,
        reasons=[f"asked for by {person}, against:", *decision.reasons],
        signals=decision.signals | {"person": {"fires": True, "who": person}},
    )


def _incomplete(facts: Facts) -> list[str]:
    """Name the newest partitions that would be learned from if their labels were complete."""
    more = len(facts.incomplete) - 3
    rest = [f"{more} more wait for labels"] if more > 0 else []
    return [f"waits for labels: {words}" for words in facts.incomplete[-3:]] + rest
