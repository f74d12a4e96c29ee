"""The monitor's question, in worlds in which nothing has changed."""

from __future__ import annotations

import numpy as np

from benchmarks import decision_before as before
from benchmarks.decision_scenarios import Outcome, Setting
from include.drift_monitor.performance import measure
from include.modelling.uncertainty import estimate

FALSE_ALARMS = 0.05


def no_change(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Compare a month with the holdout, both of one world; any alarm is false.

    No drop is allowed, so that the bound itself is tested; by default a tenth of the skill is, and
    alarms are rarer.
    """
    metric, values = setting.metric, setting.values(challengers=0)[:1]
    holdout, month = (setting.world.draw(rng, setting.rows, values) for _ in range(2))
    then, now = (
        estimate(metric, each.truth, each.scores[0], each.day) for each in (holdout, month)
    )
    found = measure(metric, now, then, max_drop=0.0, max_false_alarm_rate=FALSE_ALARMS)
    return Outcome(
        found is not None and found.verdict == "decay",
        lambda: before.alarms(
            metric,
            month.truth,
            month.scores[0],
            metric.compute(holdout.truth, holdout.scores[0]),
            len(holdout.truth),
        ),
    )
