"""The signals that ask for a training, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from include.partitions import start_of
from include.retrain_trigger.facts import Champion, Facts, Window
from include.use_cases.schema import Grain, Retrain


@dataclass(frozen=True)
class Signal:
    """Whether a signal asks for a training, in words and in numbers."""

    fires: bool
    reason: str
    numbers: dict[str, Any]


def signals_of(
    facts: Facts, retrain: Retrain, min_partitions: int, grain: Grain
) -> dict[str, Signal]:
    """Return the signals in `retrain.when` by name; before the first champion its one signal."""
    champion = facts.champion
    if champion is None:
        return {"first_training": _first_training(facts, min_partitions)}
    of_name: dict[str, Callable[[], Signal]] = {
        "drift": lambda: _k_of_n("predictions drifted", facts, champion, retrain, _drift),
        "performance": lambda: _k_of_n("performance decayed", facts, champion, retrain, _decay),
        "age": lambda: _age(facts, champion, retrain, grain),
        "schedule": lambda: _schedule(facts, champion, retrain, grain),
        "new_rows": lambda: _new_rows(facts, champion, retrain),
        "new_labels": lambda: _new_labels(facts, champion, retrain),
        "corrections": lambda: _corrections(facts, champion, retrain),
    }
    return {name: of_name[name]() for name in retrain.when}


def _first_training(facts: Facts, min_partitions: int) -> Signal:
    count = len(facts.labelled)
    up_to = f" up to {facts.newest}" if count else ""
    return Signal(
        fires=count >= min_partitions,
        reason=f"no champion yet; {count} labelled partitions{up_to}, {min_partitions} needed",
        numbers={"labelled_partitions": count, "needed": min_partitions},
    )


def _drift(window: Window) -> bool | None:
    return window.drift


def _decay(window: Window) -> bool | None:
    return window.decay


def _k_of_n(
    what: str,
    facts: Facts,
    champion: Champion,
    retrain: Retrain,
    flag_of: Callable[[Window], bool | None],
) -> Signal:
    """At least k of the last n windows, and the latest one (source: databricks/mlops-stacks).

    One odd window does not start a training, and neither does a problem that is already over.
    Windows in which the monitor could not tell do not count.
    """
    k, n = retrain.k_of_n
    last = [window for window in facts.windows if flag_of(window) is not None][-n:]
    flagged = [_named(window, champion) for window in last if flag_of(window)]
    latest = bool(last) and bool(flag_of(last[-1]))
    where = f" ({', '.join(flagged)})" if flagged else ""
    tail = ""
    if flagged:
        tail = f"; the latest, {last[-1].partition}, is {'' if latest else 'not '}one of them"
    return Signal(
        fires=len(flagged) >= k and latest,
        reason=f"{what} in {len(flagged)} of the last {len(last)} windows{where},"
        f" {k} of {n} needed{tail}",
        numbers={"flagged": len(flagged), "windows": len(last), "k": k, "n": n, "latest": latest},
    )


def _named(window: Window, champion: Champion) -> str:
    """Name a window; also the model where another one than the champion scored it."""
    others = window.model_version not in (None, champion.version)
    return f"{window.partition} of model {window.model_version}" if others else window.partition


def _age(facts: Facts, champion: Champion, retrain: Retrain, grain: Grain) -> Signal:
    age = start_of(facts.as_of, grain) - start_of(champion.as_of, grain)
    return Signal(
        fires=age >= retrain.max_age,
        reason=f"champion {champion.version} was trained as of {champion.as_of},"
        f" {days(age)} days before {facts.as_of}; due at {days(retrain.max_age)} days",
        numbers={"age_hours": _hours(age), "max_age_hours": _hours(retrain.max_age)},
    )


def _schedule(facts: Facts, champion: Champion, retrain: Retrain, grain: Grain) -> Signal:
    """Count from the last training that was asked for, whatever came of it.

    Age counts from the champion's training instead: after a rejected challenger it still fires.
    """
    asked = [request.as_of for request in facts.requests if request.as_of < facts.as_of]
    last = max([champion.as_of, *asked])
    passed = start_of(facts.as_of, grain) - start_of(last, grain)
    return Signal(
        fires=passed >= retrain.every,
        reason=f"the last training was as of {last}, {days(passed)} days before {facts.as_of};"
        f" one every {days(retrain.every)} days",
        numbers={"passed_hours": _hours(passed), "every_hours": _hours(retrain.every)},
    )


def _new_rows(facts: Facts, champion: Champion, retrain: Retrain) -> Signal:
    share = facts.new_rows / facts.rows if facts.rows else 0.0
    return Signal(
        fires=facts.new_rows > 0 and share >= retrain.new_rows,
        reason=f"{facts.new_rows} of the {facts.rows} rows that a training would use are newer than"
        f" {champion.known_up_to}, the newest known to champion {champion.version}: {share:.0%},"
        f" {retrain.new_rows:.0%} needed",
        numbers={"new_rows": facts.new_rows, "rows": facts.rows, "needed_share": retrain.new_rows},
    )


def _new_labels(facts: Facts, champion: Champion, retrain: Retrain) -> Signal:
    new = facts.new_labels
    share = (new or 0) / facts.rows if facts.rows else 0.0
    numbers = {"new_labels": new, "rows": facts.rows, "needed_share": retrain.new_labels}
    if new is None:
        reason = (
            f"new labels cannot be counted: those that champion {champion.version} was trained with"
            " are not in the lake any more"
        )
        return Signal(False, reason, numbers)
    return Signal(
        fires=new > 0 and share >= retrain.new_labels,
        reason=f"{new} of the {facts.rows} rows that a training would use had no label when"
        f" champion {champion.version} was trained: {share:.1%}, {retrain.new_labels:.1%} needed",
        numbers=numbers,
    )


def _corrections(facts: Facts, champion: Champion, retrain: Retrain) -> Signal:
    corrected = facts.corrected_rows
    share = (corrected or 0) / facts.rows if facts.rows else 0.0
    numbers = {
        "corrected_rows": corrected,
        "rows": facts.rows,
        "needed_share": retrain.corrections,
    }
    if corrected is None:
        reason = (
            f"corrected labels cannot be counted: the labels that champion {champion.version} was"
            " trained with are not in the lake any more"
        )
        return Signal(False, reason, numbers)
    return Signal(
        fires=corrected > 0 and share >= retrain.corrections,
        reason=f"{corrected} rows known to champion {champion.version} have another label now,"
        f" {share:.1%} of the {facts.rows} that a training would use; {retrain.corrections:.1%}"
        " needed",
        numbers=numbers,
    )


def days(span: timedelta) -> str:
    """Write a span in days, whole where it is.

    >>> days(timedelta(hours=36)), days(timedelta(days=7))
    ('1.5', '7')
    """
    return f"{_hours(span) / 24:g}"


def _hours(span: timedelta) -> int:
    return int(span.total_seconds() // 3600)
