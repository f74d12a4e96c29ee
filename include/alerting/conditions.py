"""What is wrong with a use case now. Facts in, conditions out: nothing is read here.

How often something may come is declared in the YAML (`expect`); what drift, decay and the failure
of a phase are, the phases have decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.overview.card import Card
from include.use_cases.sections.operation import Expect

TAKES_OVER_WITHIN = timedelta(minutes=10)
"""Serving has a new champion within seconds; this long it may load and be restarted (ADR 0007)."""
TOLD_FOR = timedelta(days=1)
"""A promotion older than this is no news, as when alerts are new to an old lake."""
_SHOWN_KEYS = 3


@dataclass(frozen=True)
class Condition:
    """One thing that a person should know of.

    Attributes
    ----------
    kind : str
        Which: there is a page of docs/runbooks for each.
    subject : str
        What of the kind: a phase, the number of a promotion; '' where there is one of a kind.
    words : str
        What, in a sentence. No value of any row.
    dag : str
        The phase whose Dag shows more.
    lasts : bool
        Whether it can end: a promotion is news, and is told once.
    """

    kind: str
    subject: str
    words: str
    dag: str
    lasts: bool = True

    @property
    def name(self) -> tuple[str, str]:
        """Kind and subject: what is one incident as long as it lasts."""
        return self.kind, self.subject


@dataclass(frozen=True)
class Facts:
    """What is known of a use case.

    Attributes
    ----------
    now : datetime
        When it was looked at, UTC.
    card : Card
        What the page shows of it.
    failing : mapping of str to sequence of str
        By phase, the keys whose newest run has failed; '' stands for a run without a key.
    served : str or None
        The version that serving answers with.
    unreachable : str or None
        Why serving was not heard, where it was not.
    """

    now: datetime
    card: Card
    failing: Mapping[str, Sequence[str]]
    served: str | None = None
    unreachable: str | None = None


def conditions(facts: Facts, expect: Expect) -> list[Condition]:
    """Find all that is wrong, and what is new.

    Parameters
    ----------
    facts : Facts
        Of the use case.
    expect : Expect
        What is declared.
    """
    return [each for find in _FOUND for each in find(facts, expect)]


def _late(facts: Facts, expect: Expect) -> Iterator[Condition]:
    card = facts.card
    for kind, what, at, most in (
        ("rows_late", "rows", card.landed_at, expect.rows),
        ("labels_late", "labels", card.labels_at, expect.labels),
    ):
        if at is None or most is None:
            continue
        since = datetime.fromisoformat(at)
        if facts.now - since > most:
            words = (
                f"No {what} have come since {since:%Y-%m-%d %H:%M} UTC; they are expected at least "
                f"every {_days(most)}."
            )
            yield Condition(kind, "", words, "ingest_label")


def _failing(facts: Facts, expect: Expect) -> Iterator[Condition]:
    for phase, keys in facts.failing.items():
        if keys:
            newest = sorted(keys, reverse=True)
            shown = ", ".join(key or "a run without a key" for key in newest[:_SHOWN_KEYS])
            more = len(newest) - _SHOWN_KEYS
            words = f"{phase} has failed for {shown}{f' and {more} more' if more > 0 else ''}."
            yield Condition("phase_failed", phase, words, phase)


def _monitored(facts: Facts, expect: Expect) -> Iterator[Condition]:
    seen = facts.card.monitored
    if seen is None or seen.verdict not in ("drift", "decay"):
        return
    if seen.verdict == "drift":
        words = f"The data of {seen.partition} differ from those of training: " + (
            f"{', '.join(seen.drifted)}." if seen.drifted else "the predictions."
        )
    else:
        words = (
            f"On the outcomes of {seen.partition} version {seen.model_version} has "
            f"{facts.card.metric} {seen.performance:.4g}; {seen.worst_allowed:.4g} is the limit."
            if seen.performance is not None and seen.worst_allowed is not None
            else f"On the outcomes of {seen.partition} version {seen.model_version} is worse than "
            "is allowed."
        )
    yield Condition(seen.verdict, "", words, "drift_monitor")


def _old(facts: Facts, expect: Expect) -> Iterator[Condition]:
    champion = facts.card.champion
    if champion is None or expect.champion is None:
        return
    since = datetime.fromisoformat(champion.promoted_at)
    if facts.now - since > expect.champion:
        words = (
            f"Version {champion.version} serves since {since:%Y-%m-%d}; a new champion is expected "
            f"at least every {_days(expect.champion)}."
        )
        yield Condition("champion_old", "", words, "train_tune")


def _serving(facts: Facts, expect: Expect) -> Iterator[Condition]:
    champion = facts.card.champion
    if champion is None:
        return
    if facts.unreachable is not None:
        yield Condition("serving_away", "", facts.unreachable, "deploy")
        return
    promoted = datetime.fromisoformat(champion.promoted_at)
    if facts.served != champion.version and facts.now - promoted > TAKES_OVER_WITHIN:
        answers = "no model" if facts.served is None else f"version {facts.served}"
        words = (
            f"Serving answers with {answers}; version {champion.version} is champion since "
            f"{promoted:%Y-%m-%d %H:%M} UTC."
        )
        yield Condition("serving_behind", "", words, "deploy")


def _promoted(facts: Facts, expect: Expect) -> Iterator[Condition]:
    for one in facts.card.promotions:
        if facts.now - datetime.fromisoformat(one.promoted_at) <= TOLD_FOR:
            words = f"Version {one.version} serves: {one.why}."
            yield Condition("promoted", str(one.number), words, "deploy", lasts=False)


def _days(time: timedelta) -> str:
    days = time / timedelta(days=1)
    return f"{days:g} days" if days >= 1 else f"{time / timedelta(hours=1):g} hours"


_FOUND: tuple[Callable[[Facts, Expect], Iterator[Condition]], ...] = (
    _late, _failing, _monitored, _old, _serving, _promoted,
)  # fmt: skip
