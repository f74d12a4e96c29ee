"""Simulated holdouts in which the true answer is known, with days as flights have them.

Everything here was fixed before any decision was simulated. The numbers were measured by
`python -m benchmarks.decision_pairs` on models that were fitted on three months of flights and
judged on the month after (May, August and November 2013: the median of the three). The day ICC of
0.02 of the worlds `rho_02` is the issue's; on flights the days weigh more, which `as_flights` has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.intp]

DAYS = 30
ROWS_A_DAY_CV = 0.089
"""Standard deviation of the rows of a day over their mean."""
FLIGHT_ROWS = 27_000
"""Rows of a month: 907 a day."""
POSITIVES, LABEL_ICC = 0.226, 0.090
CHAMPION_AUC = 0.712
SCORE_ICC = 0.253
"""Of the scores within a class, put onto a normal scale."""
LINEAR_AUC = 0.66
"""Not measured: low enough that the linear baseline decides nothing. On flights it is 0.71."""

Kind = Literal["settings", "kinds", "older"]
"""Two settings of gradient boosting; gradient boosting and logistic regression; one setting fitted
a month later and a month earlier."""
CORRELATION: dict[Kind, float] = {"settings": 0.907, "kinds": 0.677, "older": 0.674}
"""Of two models' scores within a class."""
DIFFERENCE_ICC: dict[Kind, float] = {"settings": 0.123, "kinds": 0.309, "older": 0.276}
"""Of the difference between two models' scores within a class: what a paired comparison feels."""
CLASS_CORRELATION: dict[Kind, float] = {"settings": 0.891, "kinds": 0.885, "older": 0.933}
"""Of the day means of that difference in the two classes: a day lifts both alike."""

ERROR_CORRELATION: dict[Kind, float] = {"settings": 0.953, "kinds": 0.916, "older": 0.904}
"""Of two models' errors of `air_time`, row by row."""
ERROR_DAY_CORRELATION: dict[Kind, float] = {"settings": 0.836, "kinds": 0.759, "older": 0.688}
"""Of two models' mean absolute errors of a day."""
ERROR_DIFFERENCE_ICC: dict[Kind, float] = {"settings": 0.052, "kinds": 0.049, "older": 0.067}
EXCESS_KURTOSIS = 3.8
CHAMPION_MAE, DUMMY_MAE = 8.0, 69.3
"""Minutes."""
LINEAR_MAE = 20.0
"""As `LINEAR_AUC`; on flights it is 8.6. Corrected once after a first run, against the gate: at 12
the baseline refused every challenger that loses the whole margin, so that row said nothing."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One simulated holdout.

    Attributes
    ----------
    truth : ndarray of shape (n_rows,)
        Labels.
    scores : list of ndarray, each of shape (n_rows,)
        One for each model.
    day : ndarray of shape (n_rows,)
        The independent unit of each row.
    """

    truth: Floats
    scores: list[Floats]
    day: Days


@dataclass(frozen=True)
class AucWorld:
    """A classification: within a class, scores are normal, with a part that rows of a day share.

    Attributes
    ----------
    correlation : float
        Of any two models' scores within a class.
    score_icc, difference_icc : float
        Share of the variance between days: of a model's scores, and of the difference of two.
    class_correlation : float
        How much of a day's effect both classes share.
    positives : float
        Expected share.
    """

    correlation: float
    score_icc: float
    difference_icc: float
    class_correlation: float
    positives: float = POSITIVES

    def draw(self, rng: np.random.Generator, rows: int, aucs: list[float]) -> Drawn:
        """Draw a holdout of some 30 days for models of the given true areas under the curve."""
        day = _days(rng, rows)
        # Beta shares of a day give labels exactly this ICC.
        size = 1 / LABEL_ICC - 1
        share = rng.beta(self.positives * size, (1 - self.positives) * size, DAYS)
        return self.on(rng, (rng.random(rows) < share[day]).astype(np.float64), day, aucs)

    def with_positives(
        self, rng: np.random.Generator, rows: int, count: int, aucs: list[float]
    ) -> Drawn:
        """Draw one with exactly `count` positives, on any days."""
        truth = np.zeros(rows)
        truth[rng.choice(rows, count, replace=False)] = 1
        return self.on(rng, truth, _days(rng, rows), aucs)

    def on(self, rng: np.random.Generator, truth: Floats, day: Days, aucs: list[float]) -> Drawn:
        """Draw scores on given rows."""
        models, label = len(aucs), truth.astype(np.intp)
        between = self.difference_icc * (1 - self.correlation)
        days_alike = 1 - between / self.score_icc
        rows_alike = 1 - (1 - self.correlation - between) / (1 - self.score_icc)
        both = _alike(rng, models, DAYS, days_alike)
        own = [_alike(rng, models, DAYS, days_alike) for _ in range(2)]
        of_day = math.sqrt(self.class_correlation) * both[:, day] + math.sqrt(
            1 - self.class_correlation
        ) * np.where(label == 1, own[1][:, day], own[0][:, day])
        noise = _alike(rng, models, len(truth), rows_alike)
        residual = math.sqrt(self.score_icc) * of_day + math.sqrt(1 - self.score_icc) * noise
        # Hanley & McNeil 1982: two normal classes of variance 1 have AUC Phi(distance / sqrt 2).
        distance = math.sqrt(2) * norm.ppf(np.array(aucs))
        return Drawn(truth, list(residual + distance[:, None] * truth), day)


@dataclass(frozen=True)
class MaeWorld:
    """A regression: errors have heavy tails, and on some days one model errs more.

    Attributes
    ----------
    correlation, day_correlation : float
        Of two models' errors, and of their mean absolute errors of a day.
    difference_icc : float
        Share of the variance of the difference of absolute errors that is between days.
    """

    correlation: float
    day_correlation: float
    difference_icc: float

    def draw(self, rng: np.random.Generator, rows: int, maes: list[float]) -> Drawn:
        """Draw a holdout of 30 days for models of the given true mean absolute errors."""
        day = _days(rng, rows)
        freedom = 4 + 6 / EXCESS_KURTOSIS  # Student's t has excess kurtosis 6 / (freedom - 4)
        # A row that is hard is hard for all models: one scale for all.
        scale = np.sqrt((freedom - 2) / rng.chisquare(freedom, rows))
        spread = self._day_spread(freedom)
        of_day = np.exp(spread * _alike(rng, len(maes), DAYS, self.day_correlation))
        error = _alike(rng, len(maes), rows, self.correlation) * scale * of_day[:, day]
        usual = math.sqrt(2 / math.pi) * _mean_scale(freedom) * math.exp(spread**2 / 2)
        # The dummy predicts 0; its MAE is the mean absolute value of the label.
        truth = rng.normal(0, DUMMY_MAE * math.sqrt(math.pi / 2), rows)
        return Drawn(
            truth, [truth + each * mae / usual for each, mae in zip(error, maes, strict=True)], day
        )

    def _day_spread(self, freedom: float) -> float:
        """Give the standard deviation of a day's log scale that makes `difference_icc` true.

        To first order: |e1| - |e2| has between days the variance 2 (spread E|e|)^2 (1 - correlation
        of days), and within days E(|e1| - |e2|)^2 of correlated normal errors.
        """
        c = self.correlation
        within = 2 - 4 / math.pi * (math.sqrt(1 - c**2) + c * math.asin(c))
        mean = math.sqrt(2 / math.pi) * _mean_scale(freedom)
        odds = self.difference_icc / (1 - self.difference_icc)
        return math.sqrt(odds * within / (2 * mean**2 * (1 - self.day_correlation)))


def auc_rho_02(kind: Kind) -> AucWorld:
    """Give scores and their difference a day ICC of 0.02, with days of each class by itself.

    With common days, the row bootstrap would be less wrong than the audit found it.
    """
    return AucWorld(CORRELATION[kind], 0.02, 0.02, 0.0)


def auc_as_flights(kind: Kind) -> AucWorld:
    """Take all of it as measured."""
    return AucWorld(CORRELATION[kind], SCORE_ICC, DIFFERENCE_ICC[kind], CLASS_CORRELATION[kind])


def mae_rho_02(kind: Kind) -> MaeWorld:
    """Give the difference of absolute errors a day ICC of 0.02."""
    return MaeWorld(ERROR_CORRELATION[kind], ERROR_DAY_CORRELATION[kind], 0.02)


def mae_as_flights(kind: Kind) -> MaeWorld:
    """Take all of it as measured."""
    return MaeWorld(
        ERROR_CORRELATION[kind], ERROR_DAY_CORRELATION[kind], ERROR_DIFFERENCE_ICC[kind]
    )


def _days(rng: np.random.Generator, rows: int) -> Days:
    weight = np.maximum(0.1, rng.normal(1, ROWS_A_DAY_CV, DAYS))
    return np.repeat(np.arange(DAYS), rng.multinomial(rows, weight / weight.sum()))


def _alike(rng: np.random.Generator, models: int, count: int, correlation: float) -> Floats:
    """Draw standard normal numbers of shape (models, count), alike between models."""
    shared, own = rng.standard_normal(count), rng.standard_normal((models, count))
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


def _mean_scale(freedom: float) -> float:
    """Give the mean of sqrt((freedom - 2) / chi2(freedom)), whose square has the mean 1."""
    ratio = math.lgamma((freedom - 1) / 2) - math.lgamma(freedom / 2)
    return math.sqrt((freedom - 2) / 2) * math.exp(ratio)
