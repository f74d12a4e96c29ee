"""What real pairs of models look like on flights: the simulated worlds are built from it.

    python -m benchmarks.decision_pairs

Fits pairs on three months of flights each, and measures on the month after: how alike the two
models' scores are within a class, and how much of their spread rows of one day share.
`benchmarks/decision_worlds.py` holds the numbers that this printed. About two minutes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from benchmarks.decision_flights import Floats, fitted, month, months_before, scored
from include.modelling.metrics import metric_of
from include.modelling.uncertainty import estimate_gain
from include.use_cases.loader import get

Days = npt.NDArray[np.intp]
JUDGED = ("2013-05", "2013-08", "2013-11")
KNOWN = 3
"""Months before, that a model is fitted on; `older` on as many that end a month earlier."""

_BOOSTING: dict[str, Any] = {"learning_rate": 0.1, "max_leaf_nodes": 31, "l2_regularization": 0.1}
_SLOWER: dict[str, Any] = {"learning_rate": 0.05, "max_leaf_nodes": 15, "l2_regularization": 1.0}
MODELS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "flight_delays": {
        "linear": ("logistic_regression", {"C": 0.1}),
        "boosting": ("hist_gradient_boosting", {"max_iter": 80, **_BOOSTING}),
        "slower": ("hist_gradient_boosting", {"max_iter": 80, **_SLOWER}),
    },
    "air_time": {
        "linear": ("ridge", {"alpha": 1.0}),
        "boosting": ("hist_gradient_boosting", {"max_iter": 80, **_BOOSTING}),
        "slower": ("hist_gradient_boosting", {"max_iter": 80, **_SLOWER}),
    },
}
PAIRS = (("boosting", "linear"), ("boosting", "slower"), ("boosting", "older"))


def intraclass_correlation(values: Floats, day: Days) -> float:
    """Return the share of the variance that rows of one day have in common.

    The analysis of variance's estimator for days of unequal size (Donner, International Statistical
    Review 54, 1986, 67-82); it may be slightly negative.

    Examples
    --------
    All of it, and none of it:

    >>> day = np.array([0, 0, 1, 1])
    >>> float(intraclass_correlation(np.array([1.0, 1.0, 5.0, 5.0]), day))
    1.0
    >>> float(intraclass_correlation(np.array([1.0, 5.0, 1.0, 5.0]), day))
    -1.0
    """
    _, day = np.unique(day, return_inverse=True)
    size = np.bincount(day).astype(np.float64)
    mean = np.bincount(day, values) / size
    count, rows = len(size), len(values)
    between = float(size @ (mean - values.mean()) ** 2) / (count - 1)
    within = float(np.sum((values - mean[day]) ** 2)) / (rows - count)
    typical = (rows - float(size @ size) / rows) / (count - 1)
    return (between - within) / (between + (typical - 1) * within)


def measure_pair(use_case: str, key: str, ours: Floats, theirs: Floats) -> dict[str, float]:
    """Measure what the worlds need of two models' scores of one month."""
    metric, judged = metric_of(get(use_case)), month(use_case, key)
    truth, day = judged.y.to_numpy(dtype=np.float64), judged.day
    gain = estimate_gain(metric, truth, ours, theirs, day)
    rng = np.random.default_rng(0)
    shuffled = estimate_gain(metric, truth, ours, theirs, rng.permutation(day))
    size = np.bincount(day)
    constant = np.full(len(truth), np.median(truth))
    found = {
        "dummy": metric.compute(truth, constant),
        "rows_a_day": float(size.mean()),
        "rows_a_day_cv": float(size.std() / size.mean()),
        "ours": metric.compute(truth, ours),
        "theirs": metric.compute(truth, theirs),
        "design_effect_of_gain": (gain.standard_error / shuffled.standard_error) ** 2,
    }
    if metric.name == "roc_auc":
        return found | _of_classes(truth, ours, theirs, day)
    errors = [truth - each for each in (ours, theirs)]
    return found | {
        "correlation_of_errors": float(np.corrcoef(*errors)[0, 1]),
        "error_sd": float(errors[0].std()),
        "excess_kurtosis": float(np.mean(((errors[0] - errors[0].mean()) / errors[0].std()) ** 4))
        - 3,
        "icc_error": intraclass_correlation(errors[0], day),
        "icc_absolute_error": intraclass_correlation(np.abs(errors[0]), day),
        "icc_of_difference": intraclass_correlation(np.abs(errors[0]) - np.abs(errors[1]), day),
        "correlation_of_day_means": _day_correlation(*map(np.abs, errors), day),
    }


def _of_classes(truth: Floats, ours: Floats, theirs: Floats, day: Days) -> dict[str, float]:
    """Scores as normal numbers within each class: AUC looks at their order only."""
    parts: dict[str, list[float]] = {}
    means = []
    for label in (0, 1):
        which = truth == label
        a, b = (_normal(each[which]) for each in (ours, theirs))
        here = day[which]
        for name, value in {
            "correlation_within_class": float(np.corrcoef(a, b)[0, 1]),
            "icc_score": intraclass_correlation(a, here),
            "icc_of_difference": intraclass_correlation(a - b, here),
            "correlation_of_day_means": _day_correlation(a, b, here),
        }.items():
            parts.setdefault(name, []).append(value)
        means.append(_day_means(a - b, here, int(day.max()) + 1))
    both = np.isfinite(means[0]) & np.isfinite(means[1])
    return {
        "positives": float(truth.mean()),
        "icc_label": intraclass_correlation(truth, day),
        **{name: float(np.mean(values)) for name, values in parts.items()},
        "correlation_of_classes": float(np.corrcoef(means[0][both], means[1][both])[0, 1]),
    }


def _normal(score: Floats) -> Floats:
    return norm.ppf((rankdata(score) - 0.5) / len(score))


def _day_means(values: Floats, day: Days, count: int) -> Floats:
    size = np.bincount(day, minlength=count).astype(np.float64)
    total = np.bincount(day, values, minlength=count)
    return np.divide(total, size, out=np.full(count, np.nan), where=size > 0)


def _day_correlation(a: Floats, b: Floats, day: Days) -> float:
    count = int(day.max()) + 1
    means = [_day_means(each, day, count) for each in (a, b)]
    there = np.isfinite(means[0])
    return float(np.corrcoef(means[0][there], means[1][there])[0, 1])


def main() -> int:
    """Measure every pair on every month, and print each and the median over months."""
    for use_case, models in MODELS.items():
        found: dict[tuple[str, str], list[dict[str, float]]] = {pair: [] for pair in PAIRS}
        for key in JUDGED:
            case, known = get(use_case), months_before(key, KNOWN + 1)
            scored = {
                name: scored(fitted(case, *model, known[1:]), case, key)
                for name, model in models.items()
            }
            scored["older"] = scored(fitted(case, *models["boosting"], known[:-1]), case, key)
            for ours, theirs in PAIRS:
                measured = measure_pair(use_case, key, scored[ours], scored[theirs])
                found[ours, theirs].append(measured)
                print(use_case, key, ours, theirs, _shown(measured), flush=True)
        for pair, each in found.items():
            middle = {name: float(np.median([one[name] for one in each])) for name in each[0]}
            print(use_case, "median", *pair, _shown(middle), flush=True)
    return 0


def _shown(measured: dict[str, float]) -> str:
    return json.dumps({name: round(value, 4) for name, value in measured.items()})


if __name__ == "__main__":
    sys.exit(main())
