"""Is the challenger better than what serves now? An answer with its numbers, never an exception."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.deploy.holdout import Holdout, holdout_of
from include.errors import DataContractError
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.modelling.estimators import dummy
from include.modelling.metrics import (
    MAX_RESAMPLED_ROWS,
    Judged,
    Metric,
    bootstrap,
    by_slice,
    judged,
    metric_of,
)
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, load_training_set, wide
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.use_cases.schema import Slices, UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger is to become champion, and why.

    Attributes
    ----------
    promote : bool
        The answer.
    reasons : list of str
        Each with its numbers.
    metric : str
        What they were compared by.
    challenger, dummy : float
        The metric on the holdout.
    champion : float or None
        None when there is none to compare with.
    effect : float
        How much better the challenger is than the champion, or than the dummy when there is no
        champion; negative if worse, whichever way the metric reads.
    confidence_low : float
        The effect is above this at `deploy.confidence`.
    rows : int
        Compared on so many.
    holdout_partition : str
        The challenger's.
    champion_version : str or None
        Which champion.
    """

    promote: bool
    reasons: list[str]
    metric: str
    challenger: float
    champion: float | None
    dummy: float
    effect: float
    confidence_low: float
    rows: int
    holdout_partition: str
    champion_version: str | None


def compare(
    use_case: UseCase, version: str, champion_version: str | None, lake: Lake, registry: Registry
) -> Verdict:
    """Compare a version with the champion on the version's holdout, at its lake versions.

    Each model sees the features that its own Python and its own YAML build of these rows, as it
    would when it serves: an edit of the working tree changes neither's figures.

    The difference must be above 0 at ``deploy.confidence`` (one-sided, paired bootstrap) and at
    least ``deploy.min_effect``, and no slice of at least ``deploy.slices.min_rows`` rows may be
    worse by more than ``deploy.slices.max_drop``. Without a champion the dummy takes its place, and
    slices are not compared.

    Parameters
    ----------
    use_case : UseCase
        Gives the rule.
    version : str
        The challenger.
    champion_version : str or None
        What serves; None before the first promotion.
    lake : Lake
        Holds the holdout.
    registry : Registry
        Holds the models.
    """
    challenger = registry.load(use_case.name, version)
    trained, holdout = challenger.use_case, holdout_of(challenger, lake)
    X = holdout.features_of(challenger, lake)
    rows = judged(trained, X, holdout.y, MAX_RESAMPLED_ROWS)
    scores = {"challenger": score_rows(challenger.estimator, rows.X, trained)}
    training = _training_of(challenger, lake)
    guess = dummy(trained).fit(wide(training.train_X), training.train_y)
    scores["dummy"] = score_rows(guess, rows.X, trained)
    notes: list[str] = []
    if champion_version is not None and champion_version != version:
        champion = registry.load(use_case.name, champion_version)
        theirs = _champions_features(champion, challenger, holdout, lake, notes)
        if theirs is not None:
            seen = theirs.loc[rows.X.index]
            scores["champion"] = score_rows(champion.estimator, seen, champion.use_case)
    verdict = decide(use_case, rows, scores, holdout.partition, champion_version, notes)
    if champion_version != version:
        return verdict
    reasons = [f"version {version} is champion already: nothing to do"]
    return Verdict(**{**vars(verdict), "promote": False, "reasons": reasons})


def decide(
    use_case: UseCase,
    rows: Judged,
    scores: Mapping[str, Floats],
    holdout_partition: str,
    champion_version: str | None,
    notes: list[str],
) -> Verdict:
    """Decide from the scores of challenger, dummy and (where there is one) champion."""
    metric, rule = metric_of(use_case), use_case.deploy
    values = {name: metric.compute(rows.truth, score) for name, score in scores.items()}
    if not math.isfinite(values.get("champion", 0.0)):
        # A clustering may find one cluster only in rows it has never seen.
        notes = [
            *notes,
            f"{metric.name} of the champion is not defined here: compared with the dummy",
        ]
        del values["champion"]
    opponent = "champion" if "champion" in values else "dummy"
    effect = metric.gain(values["challenger"], values[opponent])
    skill = values.get("champion", values["challenger"]) - values["dummy"]
    needed = rule.min_effect.within(skill)
    low = _lower_bound(metric, rows.truth, scores["challenger"], scores[opponent], rule.confidence)
    name = f"champion (version {champion_version})" if opponent == "champion" else "dummy"
    numbers = (
        f"{metric.name} {values['challenger']:.4f} against {values[opponent]:.4f} of the {name}"
    )
    reasons_against = []
    if not low > 0:
        reasons_against.append(
            f"not surely better: {numbers}, lower bound of the gain {low:+.4f} "
            f"at {rule.confidence:.0%}"
        )
    if not effect >= needed:
        reasons_against.append(f"too small a gain: {numbers}, {effect:+.4f} of {needed:.4f} needed")
    if opponent == "champion" and rule.slices is not None:
        reasons_against += _worse_slices(metric, rule.slices, rows, scores, skill)
    reasons_for = [
        f"better: {numbers}, gain {effect:+.4f}, at least {low:+.4f} at {rule.confidence:.0%}"
    ]
    return Verdict(
        promote=not reasons_against,
        reasons=[*notes, *(reasons_against or reasons_for)],
        metric=metric.name,
        challenger=values["challenger"],
        champion=values.get("champion"),
        dummy=values["dummy"],
        effect=effect,
        confidence_low=low,
        rows=len(rows.X),
        holdout_partition=holdout_partition,
        champion_version=champion_version,
    )


def _lower_bound(
    metric: Metric, truth: Floats, ours: Floats, theirs: Floats, confidence: float
) -> float:
    """Return the one-sided lower bound of the gain: a percentile of the paired bootstrap."""
    values = bootstrap(metric, truth, [ours, theirs])
    gains = metric.gain(1, 0) * (values[:, 0] - values[:, 1])
    return float(np.quantile(gains, 1 - confidence))


def _worse_slices(
    metric: Metric, rule: Slices, rows: Judged, scores: Mapping[str, Floats], skill: float
) -> list[str]:
    ours = by_slice(metric, rows, scores["challenger"], rule.columns, rule.min_rows)
    theirs = by_slice(metric, rows, scores["champion"], rule.columns, rule.min_rows)
    allowed = rule.max_drop.within(skill)
    worse = []
    for name in sorted(ours.keys() & theirs.keys()):
        drop = -metric.gain(ours[name]["value"], theirs[name]["value"])
        if drop > allowed:
            worse.append(
                f"worse in slice {name} ({ours[name]['rows']} rows): {metric.name} "
                f"{ours[name]['value']:.4f} against {theirs[name]['value']:.4f}, "
                f"a drop of {drop:.4f}, {allowed:.4f} allowed"
            )
    return worse


def _training_of(model: ServableModel, lake: Lake) -> TrainingSet:
    facts: Mapping[str, Any] = model.facts
    versions = pinned_versions(lake, facts["inputs"])
    return load_training_set(model.use_case, lake, facts["as_of"], versions, facts["partitions"])


def _champions_features(
    champion: ServableModel,
    challenger: ServableModel,
    holdout: Holdout,
    lake: Lake,
    notes: list[str],
) -> pd.DataFrame | None:
    """Give the champion its features, or None; note what the reader of the verdict must know."""
    try:
        X = holdout.features_of(champion, lake)
    except DataContractError as error:
        notes.append(
            f"champion (version {champion.version}) cannot score these rows and is replaced by the "
            f"dummy: {error}"
        )
        return None
    if champion.facts["as_of"] > challenger.facts["as_of"]:
        notes.append(
            f"champion (version {champion.version}) was trained as of {champion.facts['as_of']}, "
            f"after the challenger ({challenger.facts['as_of']}): it may know these rows"
        )
    return X
