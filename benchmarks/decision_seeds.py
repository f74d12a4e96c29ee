"""Real pairs on flights that differ in `random_state` alone: one is better by chance only.

The wheel itself would answer such a pair with "there is nothing to compare", as the configuration
is the same. Here it is asked all the same, as if the configurations differed, so that the figure
says what the question itself does with models that differ by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import permutations, product
from statistics import fmean, stdev

import numpy as np

from benchmarks import decision_before as before
from benchmarks.decision_flights import (
    MONTHS,
    Floats,
    fitted,
    month,
    months_before,
    scored,
    seeded,
    window,
)
from benchmarks.decision_pairs import KNOWN, MODELS
from benchmarks.decision_scenarios import AUC, evidence
from benchmarks.decision_table import Row, not_run
from benchmarks.decision_worlds import Drawn
from include.deploy.origins import origins, scores_at_origins
from include.deploy.rule import judge
from include.modelling.estimators import linear
from include.provenance import code_version
from include.use_cases.loader import get

NAME = "seeds"
CASE = "flight_delays"
JUDGED = MONTHS[KNOWN:-1]
"""Months with three before and one after."""
LIMIT = 0.10
GAINS = {
    "gain": "these promotions: AUC gained on the holdout, mean of the months that have any",
    "next_gain": "these promotions: AUC gained in the next month, mean of the same months",
}


@dataclass(frozen=True, eq=False)
class Seeded:
    """What one seed scores, by month.

    Attributes
    ----------
    at_origins : ndarray or None
        The month by the configuration at its origins; None for the last month.
    fixed : ndarray
        The month by the model that was fitted on the three before it.
    following : ndarray or None
        The next month by that model.
    """

    at_origins: Floats | None
    fixed: Floats
    following: Floats | None


@dataclass(frozen=True)
class Judged:
    """One ordered pair on one month: what was decided, and the gain then and in the next month."""

    promoted: bool
    gain: float
    next_gain: float


def rows(seeds: int, processes: Executor) -> Iterator[Row]:
    """Fit so many seeds on every three months, and judge each ordered pair on the month after."""
    tasks = list(product(range(seeds), MONTHS[KNOWN:]))
    parts = processes.map(_score, *zip(*tasks, strict=True), chunksize=math.ceil(len(tasks) / 2))
    found = dict(zip(tasks, parts, strict=True))
    judged = list(processes.map(_judge, JUDGED, [_of(found, key) for key in JUDGED]))
    yield _promotions(judged, seeds)
    yield from _gains(judged)


def places() -> Iterator[Row]:
    """Keep the places of rows that were not measured."""
    yield not_run(NAME, _promoted(0), LIMIT)
    for name, words in GAINS.items():
        yield not_run(f"{NAME}/{name}", words, share=False)


def _score(seed: int, key: str) -> Seeded:
    case, known = seeded(get(CASE), seed), months_before(key, KNOWN)
    candidate, params = MODELS[CASE]["boosting"]
    model = fitted(case, candidate, params, known)
    fixed = scored(model, case, key)
    if key not in JUDGED:
        return Seeded(None, fixed, None)
    judged = month(CASE, key)
    starts = origins(judged.times, case.deploy.origins)
    holdout = judged.X, judged.y
    again = scores_at_origins(
        case, candidate, params, window(CASE, known), holdout, starts, first=model
    )
    return Seeded(again, fixed, scored(model, case, _after(key)))


def _of(found: dict[tuple[int, str], Seeded], key: str) -> list[tuple[Seeded, Floats]]:
    """Give each seed's scores of a month, and those of the next by what was fitted up to it.

    The model fitted on the three months up to the holdout is the one that knows the holdout too.
    """
    seeds = sorted({seed for seed, _ in found})
    return [(found[seed, key], found[seed, _after(key)].fixed) for seed in seeds]


def _judge(key: str, seeds: list[tuple[Seeded, Floats]]) -> list[tuple[Judged, Judged]]:
    """Judge each ordered pair, now and before."""
    here, following = month(CASE, key), month(CASE, _after(key))
    truth, later = (each.y.to_numpy(dtype=np.float64) for each in (here, following))
    case = get(CASE)
    simple = linear(case).fit(*window(CASE, months_before(key, KNOWN)))
    with_linear = scored(simple, case, key)
    deploy = case.deploy.model_copy(update={"slices": None})
    decided = []
    for (ours, our_refit), (theirs, their_refit) in permutations(seeds, 2):
        pair = [_there(ours.at_origins), _there(theirs.at_origins)]
        gathered = evidence(AUC, Drawn(truth, [*pair, with_linear], here.day), configuration=1)
        fixed = ours.fixed, theirs.fixed
        decided.append(
            (
                Judged(
                    judge(gathered, deploy).promote,
                    _gain(truth, *pair),
                    _gain(later, our_refit, their_refit),
                ),
                Judged(
                    before.promotes(AUC, truth, *fixed),
                    _gain(truth, *fixed),
                    _gain(later, _there(ours.following), _there(theirs.following)),
                ),
            )
        )
    return decided


def _promotions(judged: Sequence[Sequence[tuple[Judged, Judged]]], seeds: int) -> Row:
    """Months are the independent units: the pairs of one month share its models and its rows."""
    figures: list[float] = []
    for which in (0, 1):
        shares = [fmean(pair[which].promoted for pair in pairs) for pairs in judged]
        figures += [fmean(shares), _error(shares)]
    return Row(
        NAME,
        _promoted(seeds),
        *figures,
        limit=LIMIT,
        sense="at most",
        share=True,
        n=sum(map(len, judged)),
        n_before=sum(map(len, judged)),
        code=code_version(),
    )


def _gains(judged: Sequence[Sequence[tuple[Judged, Judged]]]) -> Iterator[Row]:
    """Say what the promoted ones gained then, and in the next month; months as units."""
    for name, words in GAINS.items():
        figures: list[float | None] = []
        counts = []
        for which in (0, 1):
            means = [
                fmean(getattr(pair[which], name) for pair in pairs if pair[which].promoted)
                for pairs in judged
                if any(pair[which].promoted for pair in pairs)
            ]
            counts.append(len(means))
            figures += [fmean(means) if means else None, _error(means) if means[1:] else None]
        yield Row(
            f"{NAME}/{name}",
            words,
            *figures,
            limit=None,
            sense="at least",
            share=False,
            n=counts[0],
            n_before=counts[1],
            code=code_version(),
        )


def _promoted(seeds: int) -> str:
    return (
        f"flights, {len(JUDGED)} months, ordered pairs of {seeds or 'some'} models that differ in "
        "`random_state` alone: promoted"
    )


def _gain(truth: Floats, ours: Floats, theirs: Floats) -> float:
    return AUC.gain(AUC.compute(truth, ours), AUC.compute(truth, theirs))


def _error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


def _after(key: str) -> str:
    return MONTHS[MONTHS.index(key) + 1]


def _there(scores: Floats | None) -> Floats:
    if scores is None:
        raise ValueError(f"only the months {JUDGED} are judged")
    return scores
