"""The gate and the monitor as they were before: percentiles of 300 resamples of single rows.

The named alternative that every figure of `benchmarks.decisions` is shown beside. A challenger was
promoted if the percentile bootstrap's lower bound of its gain was above 0 (Efron, Annals of
Statistics 7, 1979, with rows as units), the point estimate was at least `deploy.min_effect`, and no
slice was worse by more than `deploy.slices.max_drop` on the point estimate.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from include.modelling.metrics import Metric

RESAMPLES = 300
MONITOR_RESAMPLES = 200
SLICE_MAX_DROP = 0.05
"""The default then."""
Floats = npt.NDArray[np.float64]


def lower_bound(
    metric: Metric, truth: Floats, ours: Floats, theirs: Floats, confidence: float = 0.95
) -> float:
    """Return the percentile bootstrap's lower bound of the gain; NaN if one resample is undefined.

    The resamples are those of `include.modelling.metrics.bootstrap`, sorted once for all of them.
    """
    rng, rows = np.random.default_rng(0), len(truth)
    values = [_Resampled(metric, truth, score) for score in (ours, theirs)]
    gains = np.empty(RESAMPLES)
    for resample in range(RESAMPLES):
        weight = np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)
        gains[resample] = metric.gain(values[0].of(weight), values[1].of(weight))
    return float(np.quantile(gains, 1 - confidence))


def promotes(
    metric: Metric, truth: Floats, ours: Floats, theirs: Floats, min_effect: float = 0.0
) -> bool:
    """Decide as the gate did."""
    effect = metric.gain(metric.compute(truth, ours), metric.compute(truth, theirs))
    return lower_bound(metric, truth, ours, theirs) > 0 and effect >= min_effect


def blocks(
    metric: Metric,
    truth: Floats,
    ours: Floats,
    theirs: Floats,
    slices: npt.NDArray[np.intp],
    min_rows: int = 500,
) -> bool:
    """Return whether a slice was found worse."""
    for one in np.unique(slices):
        here = slices == one
        if here.sum() < min_rows:
            continue
        values = [metric.compute(truth[here], score[here]) for score in (ours, theirs)]
        if -metric.gain(*values) > SLICE_MAX_DROP:
            return True
    return False


def alarms(
    metric: Metric, truth: Floats, score: Floats, reference: float, reference_rows: int
) -> bool:
    """Return whether the monitor called decay: no drop is allowed, 5 % of false alarms are.

    The basic bootstrap of rows, for two samples (Davison & Hinkley 1997, Bootstrap Methods, 5.2).
    """
    rng, rows = np.random.default_rng(0), len(truth)
    resampled = _Resampled(metric, truth, score)
    values = np.array(
        [
            resampled.of(np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(float))
            for _ in range(MONITOR_RESAMPLES)
        ]
    )
    scale = math.sqrt(rows * (1 / rows + 1 / reference_rows))
    drops = -metric.gain(1, 0) * (values - values.mean()) * scale
    drop = metric.gain(reference, metric.compute(truth, score))
    return bool(drop - np.quantile(drops, 0.95) > 0)


class _Resampled:
    """A metric of one model on many resamples of its rows."""

    def __init__(self, metric: Metric, truth: Floats, score: Floats) -> None:
        if metric.per_row is not None:
            self._each: Floats | None = metric.per_row(truth, score)
            return
        if metric.name != "roc_auc":
            raise ValueError(f"{metric.name} is not written here: give roc_auc or a mean over rows")
        self._each, self._order = None, np.argsort(score)
        self._ones = truth[self._order] > 0.5
        # Where each distinct score begins: rows with equal scores count as half in order.
        self._starts = np.unique(score[self._order], return_index=True)[1]

    def of(self, weight: Floats) -> float:
        if self._each is not None:
            return float(weight @ self._each / weight.sum())
        drawn = weight[self._order]
        ones = np.where(self._ones, drawn, 0.0)
        zeros = drawn - ones
        pairs = ones.sum() * zeros.sum()
        if not pairs:
            return math.nan
        ones, zeros = (np.add.reduceat(each, self._starts) for each in (ones, zeros))
        return float(ones @ (np.cumsum(zeros) - zeros / 2) / pairs)
