"""A use case in one line, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from include.errors import FlywheelError
from include.overview.card import Card


def lines(cards: Mapping[str, Card | FlywheelError]) -> list[str]:
    """Say a line of each use case; of one that cannot be read, why."""
    width = max((len(name) for name in cards), default=0)
    return [f"{name:<{width}} {line(card)}" for name, card in cards.items()]


def line(card: Card | FlywheelError) -> str:
    """Say what serves, how good it is, what the monitor sees, and what was decided; or why not.

    Examples
    --------
    >>> line(Card("votes", "classification", "", "", "roc_auc", None, [], [], None, None))
    'no rows landed yet'
    """
    if isinstance(card, FlywheelError):
        return f"cannot be read: {card}"
    if card.newest is None:
        return "no rows landed yet"
    said = [_serves(card), f"newest rows {card.newest.partition}"]
    if card.newest.quarantined:
        said.append(f"{card.newest.quarantined:,} of them quarantined")
    if (measured := card.measured) is not None:
        said.append(f"{card.metric} {measured.performance:.4g} in {measured.partition}")
    if (monitored := card.monitored) is not None:
        said.append(f"{monitored.verdict} in {monitored.partition}".replace("_", " "))
    if (decided := card.decided) is not None:
        said.append(f"{decided.decision} after {decided.partition}")
    return "; ".join(said)


def _serves(card: Card) -> str:
    if card.champion is None:
        return "no model serves yet"
    return f"version {card.champion.version} serves since {card.champion.promoted_at[:16]}Z"
