"""Whether a model does worse on arrived outcomes than on its holdout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from include.modelling.metrics import Metric
from include.modelling.uncertainty import Estimate


@dataclass(frozen=True)
class Performance:
    """How predictions did against the holdout.

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
    now: Estimate,
    holdout: Estimate,
    *,
    max_drop: float,
    max_false_alarm_rate: float,
) -> Performance | None:
    """Compare a metric on arrived outcomes with its value on the holdout.

    Decay is a drop whose one-sided lower bound at `1 - max_false_alarm_rate` is above `max_drop`.
    Both sides are samples of other days, so the squares of their standard errors add up. The bound
    is that of a t distribution with the fewer degrees of freedom of the two (a conservative form of
    Welch, Biometrika 34, 1947, 28-35).

    Parameters
    ----------
    metric : Metric
        The metric the use case trains for.
    now, holdout : Estimate
        The metric on outcomes and on the champion's holdout.
    max_drop : float
        Allowed drop, in the metric's unit.
    max_false_alarm_rate : float
        Chance of calling decay when the true drop is exactly `max_drop`.

    Returns
    -------
    Performance or None
        None where nothing can be said about chance: an estimate has a `problem`.
    """
    if now.value is None or now.standard_error is None:
        return None
    if holdout.value is None or holdout.standard_error is None:
        return None
    drop = Estimate(
        metric.gain(holdout.value, now.value),
        math.hypot(now.standard_error, holdout.standard_error),
        min(now.groups, holdout.groups),
    )
    low = drop.low(max_false_alarm_rate)
    assert drop.value is not None  # noqa: S101  for mypy: given above
    assert low is not None  # noqa: S101  likewise
    verdict: Literal["decay", "stable"] = "decay" if low > max_drop else "stable"
    return Performance(now.value, holdout.value, drop.value, low, verdict)
