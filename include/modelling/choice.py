"""Chooses the trial to keep: the simplest that is at most one standard error worse than the best.

The one-standard-error rule is from Breiman, Friedman, Olshen & Stone, Classification and Regression
Trees, 1984, section 3.4.3. Here the standard error is that of the paired difference: what all
configurations have in common, such as hard days, does not count.
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
        The trial that is kept.
    best : TrialDone
        The trial with the best mean over the folds; often the same.
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
    weight: Floats | None = None,
) -> Choice:
    """Choose among the trials of a search.

    Of each estimator the trial with the best mean over the folds is taken; ties go to the lower
    number. Of these the first is kept, in the order of ``train.candidates``, that is at most one
    standard error worse than the best of all. The linear baseline comes before the candidates.
    Where there is no standard error, as with fewer than ten days, the best mean is kept.

    Parameters
    ----------
    use_case : UseCase
        Gives the metric, and the candidates in the order of simplicity.
    done : sequence of TrialDone
        What came of the trials, in any order; those that failed are left out.
    scores_of : callable
        Returns `OutOfFold.scores` of a trial. It may have to fit, so it is called for one trial
        of each estimator at most, and once.
    truth : ndarray
        What `judged_rows` returns for these scores.
    blocks : ndarray of int, shape (rows,)
        Independent unit of each judged row, as `include.modelling.blocks` numbers them.
    weight : ndarray of shape (rows,), optional
        How much each judged row counts.

    Raises
    ------
    DataContractError
        If no trial completed.
    """
    metric = metric_of(use_case)
    completed = [one for one in done if one.value is not None]
    finalists = [
        min(of_estimator, key=lambda one: (-metric.sign * _mean(one), one.number))
        for name in simplest_first(use_case)
        if (of_estimator := [one for one in completed if one.candidate == name])
    ]
    if not finalists:
        raise DataContractError(
            f"{use_case.name}: a trial must have completed, none of {len(done)} has. Look at the "
            "logs of the trials."
        )
    best = max(finalists, key=lambda one: metric.sign * _mean(one))  # ties go to the simpler
    simpler_ones = finalists[: finalists.index(best)]
    if not simpler_ones:
        return Choice(best, best, [])
    over_rows, of_best, reasons = _over_rows(use_case), scores_of(best), []
    for simpler in simpler_ones:
        gain = estimate_gain(over_rows, truth, of_best, scores_of(simpler), blocks, weight)
        first, other = (f"{one.candidate} {one.number}" for one in (best, simpler))
        if gain.value is None or gain.standard_error is None:
            reasons.append(f"{first} is kept before {other} on its mean alone: {gain.problem}")
            continue
        within = gain.value <= gain.standard_error
        reasons.append(
            f"{first} gains {gain.value:+.4g} {metric.name} over {other}, "
            f"{'within' if within else 'more than'} one standard error ({gain.standard_error:.4g} "
            f"over {gain.groups} blocks)" + (": the simpler one is kept" if within else "")
        )
        if within:
            return Choice(simpler, best, reasons)
    return Choice(best, best, reasons)


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
