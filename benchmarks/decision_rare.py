"""Rare classes: a handful of positives, and slices that have few of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from benchmarks import decision_before as before
from benchmarks.decision_scenarios import AUC, Outcome, Setting, evidence, question
from benchmarks.decision_worlds import CHAMPION_AUC, AucWorld, Drawn
from include.deploy.rule import Verdict, judge
from include.modelling.uncertainty import Estimate
from include.use_cases.schema import Deploy, Slices

SLICES = 10
SLICE = "slice"


def few_positives(world: AucWorld, rng: np.random.Generator) -> Outcome:
    """Count verdicts that do not say in words what the rows lack: 4 to 10 positives of 1,000."""
    values = Setting(world, 1000, gain=0.15).values()
    drawn = world.with_positives(rng, 1000, int(rng.integers(4, 11)), values)
    verdict = judge(evidence(AUC, drawn, configuration=1), Deploy())
    pair = drawn.scores[:2]
    return Outcome(
        not names_what_is_missing(verdict),
        lambda: math.isnan(before.lower_bound(AUC, drawn.truth, *pair)),
    )


def names_what_is_missing(verdict: Verdict) -> bool:
    """Return whether a verdict refuses for want of data, in words, and has no bound that is NaN."""
    said = " ".join(verdict.reasons)
    missing = "not enough data" in said and "nan" not in said.lower()
    return missing and not verdict.promote and verdict.confidence_low is None


def slices(world: AucWorld, rows: int, worse: bool, rng: np.random.Generator) -> Outcome:
    """Return whether a slice blocks a challenger that is better by .02; one slice may be worse.

    All else is made certain, so that nothing but a slice can refuse it. The slice that is worse
    is so by twice `deploy.slices.max_drop`.
    """
    values = Setting(world, rows, gain=0.02).values()
    drawn = world.draw(rng, rows, values)
    which = rng.permutation(np.arange(rows) % SLICES)
    deploy = Deploy(slices=Slices(columns=[SLICE]))
    ours, theirs, _ = drawn.scores
    if worse:
        assert deploy.slices is not None  # noqa: S101  for mypy
        drop = 2 * deploy.slices.max_drop.within(CHAMPION_AUC - 0.5)
        ours = ours + (which == 0) * drawn.truth * (
            _distance(CHAMPION_AUC - drop) - _distance(values[0])
        )
    asked = {}
    for one in range(SLICES):
        here = which == one
        part = Drawn(drawn.truth[here], [], drawn.day[here])
        asked[f"{SLICE}={one}"] = question(AUC, part, ours[here], theirs[here])
    gathered = evidence(AUC, drawn, configuration=1)
    certain = Estimate(0.02, 1e-9, 30)
    surely = {
        name: replace(getattr(gathered, name), gain=certain)
        for name in ("dummy", "linear", "configuration")
    }
    verdict = judge(replace(gathered, **surely, slices=asked), deploy)
    return Outcome(
        not verdict.promote, lambda: before.blocks(AUC, drawn.truth, ours, theirs, which)
    )


def _distance(auc: float) -> float:
    return math.sqrt(2) * float(norm.ppf(auc))
