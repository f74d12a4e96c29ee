"""May a refit serve in the place of the model that was judged? Sanity checks, on the same holdout.

A refit was fitted on rows that its own judgement would need, so nothing here says how good it is:
that is known of the evaluated model only. What is checked is whether something went wrong, such as
a refit on other labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.deploy.statements import percent
from include.modelling.blocks import Blocks
from include.modelling.metrics import Judged, metric_of
from include.modelling.uncertainty import estimate_gain
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]

MIN_RANK_CORRELATION = 0.25
"""Smallest Spearman correlation of the two models' scores on the holdout. Our choice, tuned on no
data: two fits of one configuration that share most of their rows are far above, fits on unrelated
labels are near 0."""
MIN_ADJUSTED_RAND = 0.2
"""Likewise for two clusterings: the adjusted Rand index is 1 for equal ones, 0 on average for
unrelated ones (Hubert & Arabie 1985, Journal of Classification 2, 193-218)."""


@dataclass(frozen=True)
class Checked:
    """What came of the checks.

    Attributes
    ----------
    agreement : float or None
        Spearman correlation of both models' scores (of several classes the mean), or the adjusted
        Rand index of both clusterings; None where it is not defined.
    reasons_against : list of str
        Why the refit must not serve; empty where it may.
    """

    agreement: float | None
    reasons_against: list[str]


def check_refit(
    use_case: UseCase, rows: Judged, blocks: Blocks, evaluated: Floats, refit: Floats
) -> Checked:
    """Check the scores of a refit against those of the model that was judged.

    Parameters
    ----------
    use_case : UseCase
        Gives the task, the metric and ``deploy.confidence``.
    rows : Judged
        Rows of the holdout.
    blocks : ndarray of int, shape (n_rows,)
        Which of them belong together.
    evaluated, refit : ndarray of shape (n_rows,) or (n_rows, n_classes)
        What `score_rows` gives for each model.
    """
    if wrong := int(np.sum(~np.isfinite(refit.reshape(len(refit), -1)).all(axis=1))):
        return Checked(None, [f"{wrong} of {len(refit)} scores of the holdout are not finite"])
    agreement, needed, measure = _agreement(use_case, evaluated, refit)
    found = "is not defined" if agreement is None else f"is {agreement:.2f}"
    against = []
    if agreement is None or agreement < needed:
        against.append(
            f"the {measure} with the evaluated model on the holdout {found}, {needed:g} needed"
        )
    if (worse := _surely_worse(use_case, rows, blocks, evaluated, refit)) is not None:
        against.append(worse)
    return Checked(agreement, against)


def _agreement(
    use_case: UseCase, evaluated: Floats, refit: Floats
) -> tuple[float | None, float, str]:
    if use_case.task == "clustering":
        from sklearn.metrics import adjusted_rand_score

        index = float(adjusted_rand_score(evaluated, refit))
        return index, MIN_ADJUSTED_RAND, "adjusted Rand index"
    from scipy.stats import spearmanr

    # Of several classes the mean; one whose probability is the same in all rows has no ranks.
    pairs = [each.reshape(len(each), -1).T for each in (evaluated, refit)]
    found = [
        float(spearmanr(ours, theirs).statistic)
        for ours, theirs in zip(*pairs, strict=True)
        if min(np.ptp(ours), np.ptp(theirs)) > 0
    ]
    correlation = float(np.mean(found)) if found else None
    return correlation, MIN_RANK_CORRELATION, "rank correlation of scores"


def _surely_worse(
    use_case: UseCase, rows: Judged, blocks: Blocks, evaluated: Floats, refit: Floats
) -> str | None:
    """Say that the refit is surely worse, if the upper bound of its gain is below 0.

    Without a bound, as with too few blocks, nothing is sure and nothing is said.
    """
    metric, confidence = metric_of(use_case), use_case.deploy.confidence
    ours, theirs = (metric.compute(rows.truth, score, rows.weight) for score in (refit, evaluated))
    if not np.isfinite(ours):
        return f"{metric.name} of the holdout is not defined"
    gain = estimate_gain(metric, rows.truth, refit, evaluated, blocks, rows.weight)
    high = gain.high(1 - confidence)
    if high is None or high >= 0:
        return None
    return (
        f"surely worse on the holdout, which it has learned: {metric.name} {ours:.4f} against "
        f"{theirs:.4f} of the evaluated model, gain at most {high:+.4g} at "
        f"{percent(1 - confidence)}"
    )
