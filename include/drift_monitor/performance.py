"""Whether the predictions made then came true as well as the champion's holdout promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from include.modelling.metrics import Metric

RESAMPLES = 200
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Performance:
    """How a partition's predictions did against the holdout.

    `drop` is how much worse than the holdout, in the metric's unit, positive when worse; `drop_low`
    its lower confidence bound, which is what has to exceed the allowed drop.
    """

    value: float
    reference: float
    drop: float
    drop_low: float
    verdict: Literal["decay", "stable"]


def measure(
    metric: Metric,
    y: Floats,
    score: Floats,
    *,
    reference: float,
    reference_rows: int,
    max_drop: float,
    max_false_alarm_rate: float,
    sample_rows: int,
) -> Performance | None:
    """Compare a metric on arrived outcomes with its value on the holdout.

    Decay is a drop whose one-sided lower bound at `1 - max_false_alarm_rate` is above `max_drop`.
    The bound is the basic bootstrap's (Davison & Hinkley 1997, Bootstrap Methods, 5.2): `drop` less
    the upper quantile of the resampled deviations. Both sides are samples, n rows here and h in the
    holdout, so deviations must have a variance in 1/n + 1/h. They are made of m <= `sample_rows`
    rows and scaled by sqrt(m (1/n + 1/h)) (m out of n bootstrap: Bickel, Götze & van Zwet 1997,
    Statistica Sinica 7, 1-31), so 28,000 rows cost no more than 5,000.

    Parameters
    ----------
    metric : Metric
        The metric the use case trains for.
    y, score : ndarray of shape (n_rows,)
        Outcomes, and what was predicted then (probability of class 1, or the value).
    reference : float
        The metric on the champion's holdout.
    reference_rows : int
        Rows of that holdout.
    max_drop : float
        Allowed drop, in the metric's unit.
    max_false_alarm_rate : float
        Chance of calling decay when the true drop is exactly `max_drop`.
    sample_rows : int
        Rows in one resample at most.

    Returns
    -------
    Performance or None
        None where the metric is not defined, such as ROC AUC when all outcomes are of one class.
    """
    value = metric.compute(y, score, np.ones(len(y)))
    if np.isnan(value):
        return None
    drop = metric.gain(reference, value)
    sign = 1.0 if metric.greater_is_better else -1.0
    # The drop falls as a metric that should be high rises.
    of_drop = -sign * _deviations(metric, y, score, reference_rows, sample_rows)
    drop_low = drop - float(np.quantile(of_drop, 1 - max_false_alarm_rate))
    verdict: Literal["decay", "stable"] = "decay" if drop_low > max_drop else "stable"
    return Performance(value, reference, drop, drop_low, verdict)


def _deviations(
    metric: Metric, y: Floats, score: Floats, reference_rows: int, sample_rows: int
) -> Floats:
    """Resampled metric less its centre, with the spread of a difference between both samples."""
    random = np.random.default_rng(0)
    rows, size = len(y), min(len(y), sample_rows)
    weight = np.ones(size)
    resampled = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        chosen = random.integers(0, rows, size)
        resampled[i] = metric.compute(y[chosen], score[chosen], weight)
    resampled = resampled[~np.isnan(resampled)]  # a draw may miss the rare class
    scale = np.sqrt(size * (1 / rows + 1 / reference_rows))
    deviations: Floats = (resampled - resampled.mean()) * scale
    return deviations
