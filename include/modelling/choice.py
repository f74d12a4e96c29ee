"""Which trial's configuration is kept: the simplest that is as good as the best, within chance.

The rule is that of one standard error (Breiman, Friedman, Olshen & Stone, Classification and
Regression Trees, 1984, section 3.4.3), with the standard error of the paired difference: what all
configurations have in common, such as hard days, is no reason to doubt which one is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from include.errors import DataContractError
from include.modelling.metrics import Metric, metric_of
from include.modelling.search import TrialDone, simplest_first
from include.modelling.uncertainty import estimate_gain
from include.use_cases.schema import UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was kept, and why.

    Attributes
    ----------
    trial : TrialDone
        The one that is kept.
    best : TrialDone
        The one with the best mean over the folds; often the same.
    reasons : list of str
        A sentence on each simpler estimator that was compared with the best.
    """

    trial: TrialDone
    best: TrialDone
    reasons: list[str]


def choose(
    use_case: UseCase,
    done: Sequence[TrialDone],
    scores_of: Callable[[TrialDone], Floats],
    truth: Floats,
    blocks: npt.NDArray[np.intp],
) -> Choice:
    """Choose among the trials of a search.

    Within one estimator the best mean over the folds is kept; ties go to the lower number. Of the
    estimators, the first in the order of ``train.candidates`` whose best trial is at most one
    standard error worse than the best of all. The linear baseline stands before the candidates.
    Where chance cannot be judged, as with fewer than ten days, the best mean is kept.

    Parameters
    ----------
    use_case : UseCase
        Gives the metric, and the candidates in the order of simplicity.
    done : sequence of TrialDone
        What came of the trials, in any order; those that failed are left out.
    scores_of : callable
        Gives `OutOfFold.scores` of a trial; asked for one trial of each estimator at most.
    truth : ndarray
        What `judged_rows` gives.
    blocks : ndarray of int, shape (rows,)
        Independent unit of each judged row, as `include.modelling.blocks` numbers them.

    Raises
    ------
    DataContractError
        If no trial completed.
    """
    metric = metric_of(use_case)
    completed = [one for one in done if one.value is not None]
    finalists = [
        min(of_estimator, key=lambda one: (-_sign(metric) * _mean(one), one.number))
        for name in simplest_first(use_case)
        if (of_estimator := [one for one in completed if one.candidate == name])
    ]
    if not finalists:
        raise DataContractError(
            f"{use_case.name}: a trial must have completed, none of {len(done)} has. Look at the "
            "logs of the trials."
        )
    best = max(finalists, key=lambda one: _sign(metric) * _mean(one))  # ties go to the simpler
    reasons = []
    for simpler in finalists[: finalists.index(best)]:
        gain = estimate_gain(
            _over_rows(use_case), truth, scores_of(best), scores_of(simpler), blocks
        )
        names = f"{best.candidate} {best.number}", f"{simpler.candidate} {simpler.number}"
        if gain.value is None or gain.standard_error is None:
            reasons.append(
                f"{names[0]} is kept before {names[1]} on its mean alone: {gain.problem}"
            )
            continue
        within = gain.value <= gain.standard_error
        reasons.append(
            f"{names[0]} is better than {names[1]} by {gain.value:.4g} {metric.name}, "
            f"{'within' if within else 'more than'} one standard error ({gain.standard_error:.4g} "
            f"over {gain.groups} blocks)" + (": the simpler one is kept" if within else "")
        )
        if within:
            return Choice(simpler, best, reasons)
    return Choice(best, best, reasons)


def _sign(metric: Metric) -> float:
    return metric.gain(1.0, 0.0)


def _mean(one: TrialDone) -> float:
    assert one.value is not None  # noqa: S101  for mypy: those without a value were left out
    return one.value


def _over_rows(use_case: UseCase) -> Metric:
    """Return the metric over the rows of all folds together.

    Scores of a clustering are the rows' own values of the metric already.
    """
    metric = metric_of(use_case)
    if use_case.task != "clustering":
        return metric
    return replace(metric, whole=None, per_row=lambda _truth, score: score)
