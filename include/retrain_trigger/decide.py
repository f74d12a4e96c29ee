"""Whether a training is due: a pure function of facts, so that a replayed year decides alike.

All times are the dates of partitions, never the clock of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from include.errors import bounded
from include.partitions import start_of
from include.use_cases.schema import Grain, Retrain


@dataclass(frozen=True)
class Champion:
    """The model that serves, and what it has learned from."""

    version: str
    as_of: str
    holdout_partition: str


@dataclass(frozen=True)
class Window:
    """What the monitor said of a partition the champion scored; None where it could not say."""

    partition: str
    drift: bool | None
    decay: bool | None


@dataclass(frozen=True)
class Request:
    """A training that was asked for earlier."""

    as_of: str
    newest_labelled: str
    training_set: str


@dataclass(frozen=True)
class Facts:
    """All that a decision may depend on.

    Parameters
    ----------
    as_of : str
        The partition up to which a training would learn.
    labelled : sequence of str
        Partitions that can be learned from, oldest first.
    training_set : str
        Fingerprint of `labelled` with the version of each partition.
    champion : Champion or None
        None before the first promotion.
    windows : sequence of Window
        Partitions newer than the champion's holdout and scored by it, oldest first.
    requests : sequence of Request
        Trainings asked for so far, oldest first, without those that failed.
    pending : sequence of str
        Before the first training: partitions up to `as_of` that have landed and have no features
        yet, and phases that still run.
    refused : str or None
        Why a training as of `as_of` was refused, if nothing has changed since.
    incomplete : sequence of str
        Partitions up to `as_of` whose labels are not complete, and why.
    """

    as_of: str
    labelled: Sequence[str]
    training_set: str
    champion: Champion | None = None
    windows: Sequence[Window] = ()
    requests: Sequence[Request] = ()
    pending: Sequence[str] = ()
    refused: str | None = None
    incomplete: Sequence[str] = ()


@dataclass(frozen=True)
class Decision:
    """Whether to ask for a training, why, and the numbers behind it.

    `seen` is the version of the monitor's report that it was decided from, None without one.
    """

    ask: bool
    as_of: str
    reasons: list[str]
    signals: dict[str, Any] = field(default_factory=dict)
    champion_version: str | None = None
    seen: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class _Signal:
    fires: bool
    reason: str
    numbers: dict[str, Any]


def decide_from(facts: Facts, retrain: Retrain, min_partitions: int, grain: Grain) -> Decision:
    """Decide whether a training is due.

    A training needs a cause (no champion yet, or one of the signals in `retrain.when`) and no
    obstacle (already asked for, nothing new to learn from, cooldown, budget).

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
        Its reasons always carry the numbers they rest on.

    Examples
    --------
    >>> two = Facts(as_of="2013-03", labelled=["2013-01", "2013-02"], training_set="a")
    >>> decision = decide_from(two, Retrain(when=["age"]), min_partitions=2, grain="month")
    >>> decision.ask, decision.reasons
    (True, ['no champion yet; 2 labelled partitions up to 2013-02, 2 needed'])
    """
    causes = _causes(facts, retrain, min_partitions, grain)
    obstacles = _obstacles(facts, retrain, grain)
    wanted = [signal.reason for signal in causes.values() if signal.fires]
    if wanted:
        ask, reasons = not obstacles, [*obstacles, *wanted]
    else:
        ask, reasons = False, [signal.reason for signal in causes.values()]
    return Decision(
        ask=ask,
        as_of=facts.as_of,
        reasons=[*reasons, *_incomplete(facts)],
        signals={name: {"fires": s.fires, **s.numbers} for name, s in causes.items()}
        | {"newest_labelled": _newest(facts), "training_set": facts.training_set},
        champion_version=facts.champion.version if facts.champion else None,
    )


def _newest(facts: Facts) -> str:
    return facts.labelled[-1] if facts.labelled else ""


def _causes(
    facts: Facts, retrain: Retrain, min_partitions: int, grain: Grain
) -> dict[str, _Signal]:
    if facts.champion is None:
        return {"first_training": _first_training(facts, min_partitions)}
    of_name = {
        "drift": lambda: _k_of_n("predictions drifted", retrain, _seen(facts, "drift")),
        "performance": lambda: _k_of_n("performance decayed", retrain, _seen(facts, "decay")),
        "age": lambda: _age(facts.as_of, facts.champion, retrain, grain),
    }
    return {name: of_name[name]() for name in retrain.when}


def _first_training(facts: Facts, min_partitions: int) -> _Signal:
    count = len(facts.labelled)
    up_to = f" up to {_newest(facts)}" if count else ""
    return _Signal(
        fires=count >= min_partitions,
        reason=f"no champion yet; {count} labelled partitions{up_to}, {min_partitions} needed",
        numbers={"labelled_partitions": count, "needed": min_partitions},
    )


def _seen(facts: Facts, what: str) -> list[tuple[str, bool]]:
    """Windows in which the monitor could tell, oldest first."""
    seen = [(window.partition, getattr(window, what)) for window in facts.windows]
    return [(partition, flagged) for partition, flagged in seen if flagged is not None]


def _k_of_n(what: str, retrain: Retrain, seen: list[tuple[str, bool]]) -> _Signal:
    """At least k of the last n windows, and the latest one (source: databricks/mlops-stacks).

    One odd window does not start a training, and neither does a trouble that is already over.
    """
    k, n = retrain.k_of_n
    last = seen[-n:]
    flagged = [partition for partition, is_flagged in last if is_flagged]
    latest = bool(last) and last[-1][1]
    where = f" ({', '.join(flagged)})" if flagged else ""
    tail = (
        f"; the latest, {last[-1][0]}, is {'' if latest else 'not '}one of them" if flagged else ""
    )
    return _Signal(
        fires=len(flagged) >= k and latest,
        reason=f"{what} in {len(flagged)} of the last {len(last)} windows{where},"
        f" {k} of {n} needed{tail}",
        numbers={"flagged": len(flagged), "windows": len(last), "k": k, "n": n, "latest": latest},
    )


def _age(as_of: str, champion: Champion, retrain: Retrain, grain: Grain) -> _Signal:
    age = start_of(as_of, grain) - start_of(champion.as_of, grain)
    return _Signal(
        fires=age >= retrain.max_age,
        reason=f"champion {champion.version} was trained as of {champion.as_of},"
        f" {_hours(age) / 24:g} days before {as_of}; due at {_hours(retrain.max_age) / 24:g} days",
        numbers={"age_hours": _hours(age), "max_age_hours": _hours(retrain.max_age)},
    )


def _hours(span: timedelta) -> int:
    return int(span.total_seconds() // 3600)


def _obstacles(facts: Facts, retrain: Retrain, grain: Grain) -> list[str]:
    """Why a training that is due must not be asked for; empty when it may."""
    if any(_is_same(request, facts) for request in facts.requests):
        return [f"already asked for as of {facts.as_of}"]
    return [
        *_refused(facts),
        *_pending(facts),
        *_nothing_new(facts),
        *_cooling_down(facts, retrain, grain),
        *_over_budget(facts, retrain, grain),
    ]


def _is_same(request: Request, facts: Facts) -> bool:
    """Whether a request is the one that would be made now.

    Before the first champion the as-of partition stays where it is, so corrected labels are news.
    """
    same_data = facts.champion is not None or request.training_set == facts.training_set
    return request.as_of == facts.as_of and same_data


def _refused(facts: Facts) -> list[str]:
    """Do not ask again for what would be refused again."""
    if facts.refused is None:
        return []
    return [
        f"the training as of {facts.as_of} was refused, and nothing has changed since: "
        f"{bounded(facts.refused, 500)}"
    ]


def _pending(facts: Facts) -> list[str]:
    """Wait for what has landed: a first training on half of it would have to be repeated."""
    if facts.champion is not None or not facts.pending:
        return []
    shown = ", ".join(facts.pending[:3])
    more = f" and {len(facts.pending) - 3} more" if len(facts.pending) > 3 else ""
    return [f"waits for what has landed before: {shown}{more}"]


def _incomplete(facts: Facts) -> list[str]:
    """Name the newest partitions that would be learned from if their labels were complete."""
    more = len(facts.incomplete) - 3
    rest = [f"{more} more wait for labels"] if more > 0 else []
    return [f"waits for labels: {words}" for words in facts.incomplete[-3:]] + rest


def _nothing_new(facts: Facts) -> list[str]:
    """Name what makes another training learn the same again.

    A request counts also when its challenger was rejected: the same data would give the same
    challenger. Corrected labels are new: the training set has another fingerprint then.
    """
    newest, champion = _newest(facts), facts.champion
    if champion is None:
        same = [r.as_of for r in facts.requests if r.training_set == facts.training_set]
        return [f"the same training set was already asked for as of {same[-1]}"] if same else []
    learned = [r.training_set for r in facts.requests if r.as_of == champion.as_of]
    corrected = (
        newest == champion.holdout_partition and bool(learned) and learned[-1] != facts.training_set
    )
    if newest <= champion.holdout_partition and not corrected:
        return [
            f"nothing new to learn: the newest labelled partition is {newest or 'none'}, and"
            f" champion {champion.version} was held out on {champion.holdout_partition}"
        ]
    asked = [
        r
        for r in facts.requests
        if r.newest_labelled > newest
        or (r.newest_labelled == newest and r.training_set == facts.training_set)
    ]
    if asked:
        return [
            f"nothing new to learn: a training with labels up to {asked[-1].newest_labelled} was"
            f" already asked for as of {asked[-1].as_of}"
        ]
    return []


def _cooling_down(facts: Facts, retrain: Retrain, grain: Grain) -> list[str]:
    earlier = [request.as_of for request in facts.requests if request.as_of != facts.as_of]
    if not earlier:
        return []
    last = earlier[-1]
    passed = start_of(facts.as_of, grain) - start_of(last, grain)
    if passed >= retrain.cooldown:
        return []
    return [
        f"cooling down: asked as of {last}, {_hours(passed) / 24:g} days before {facts.as_of};"
        f" {_hours(retrain.cooldown) / 24:g} days needed"
    ]


def _over_budget(facts: Facts, retrain: Retrain, grain: Grain) -> list[str]:
    month = start_of(facts.as_of, grain).strftime("%Y-%m")
    spent = sum(start_of(r.as_of, grain).strftime("%Y-%m") == month for r in facts.requests)
    if spent < retrain.monthly_budget:
        return []
    return [
        f"budget spent: {spent} trainings asked for in {month}, {retrain.monthly_budget} allowed"
    ]
