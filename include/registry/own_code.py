"""Runs a use case's own estimators and own metric on a sample, before any training does.

The sample is made up here from the names and kinds of the features, so a mistake is reported when
the use case is validated, before a row has landed. Each check is something that a later phase
relies on. The search needs two fits with one seed to be the same; batches and requests need each
row to be scored by itself; the registry must store the model and read it back; the gate computes
the metric on parts of the rows; the monitor compares it between more rows and fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from include.errors import ConfigError
from include.modelling import estimators
from include.modelling.metrics import Metric, metric_of
from include.modelling.scoring import score_rows
from include.modelling.uncertainty import estimate
from include.registry.trusted import trusted_types, types_of
from include.use_cases.own_code import is_own, load_own, named_in, split
from include.use_cases.python_package import OwnPython, place_of
from include.use_cases.schema import Candidate, UseCase

Floats = npt.NDArray[np.float64]

ROWS = 200
ALONE = 20
"""Rows that are scored one by one, too."""
CLOSE = 1e-9
"""Relative difference that the order of a sum may make."""
MORE_ROWS = 0.02
"""Relative difference that twice the rows may make: a variance divides by n - 1."""


class _Wrong(Exception):  # noqa: N818  a finding, not a failure of Flywheel
    """What a check has found: a sentence."""


def problems_of_own_code(use_case: UseCase) -> list[tuple[str, str]]:
    """Run what a use case names of its own, on a sample.

    Returns
    -------
    list of (str, str)
        The key in the YAML, such as ``train.metric``, and a sentence: what is wrong, and what to
        do. At most one for each name; empty when all is well, or nothing is named.
    """
    found = []
    for key, name in named_in(use_case).items():
        try:
            if key == "train.metric":
                _check_metric(use_case)
            else:
                space = next(s for s in use_case.train.candidates if s.estimator == name)
                _check_estimator(use_case, space)
        except (_Wrong, ConfigError) as error:
            found.append((key, str(error) if name in str(error) else f"{name}: {error}"))
    return found


def check_own_code(use_case: UseCase) -> None:
    """Refuse a use case whose own code does not do what the phases rely on.

    Raises
    ------
    ConfigError
        One line for each name.
    """
    if problems := problems_of_own_code(use_case):
        lines = (f"{use_case.name}: {key}: {problem}" for key, problem in problems)
        raise ConfigError("\n".join(lines))


@dataclass(frozen=True, eq=False)
class _Sample:
    """Features and labels: the first feature decides the label, with some noise."""

    X: pd.DataFrame
    y: pd.Series[Any] | None


def _sample(use_case: UseCase) -> _Sample:
    draw = np.random.default_rng(0)
    features, columns = use_case.features, {}
    for name in features.numeric:
        columns[name] = np.where(draw.random(ROWS) < 0.1, np.nan, draw.normal(size=ROWS))
    for name in features.categorical:
        columns[name] = draw.choice(["a", "b", "missing"], ROWS)
    X = pd.DataFrame(columns)
    for name in features.categorical:
        X[name] = X[name].astype("str")
    first = X[features.columns[0]]
    level = np.nan_to_num(first.to_numpy()) if features.numeric else 1.0 * (first == "a")
    value = np.asarray(level) + draw.normal(0, 0.3, ROWS)
    if use_case.task == "clustering":
        return _Sample(X, None)
    count = len(use_case.class_names) or 2
    bounds = np.quantile(value, np.arange(1, count) / count)
    classes = np.searchsorted(bounds, value).astype(np.int64)
    return _Sample(X, pd.Series(classes if use_case.task == "classification" else value))


def _check_estimator(use_case: UseCase, space: Candidate) -> None:
    name, python = space.estimator, use_case.python or OwnPython(use_case.name)
    kind = load_own(python, name)
    needed = ("fit", "predict_proba" if use_case.task == "classification" else "predict")
    if missing := [method for method in needed if not callable(getattr(kind, method, None))]:
        raise _Wrong(f"{name} must have {' and '.join(needed)}, lacks {missing}. Define them.")
    sample, params = _sample(use_case), estimators.defaults(space)
    pipeline = estimators.make(use_case, name, params)
    _tried("cannot be copied with its parameters", name, lambda: clone(pipeline))
    before = _sample(use_case)
    model = _tried("cannot be fitted", name, lambda: _fit(pipeline, sample))
    score = _tried("cannot score", name, lambda: score_rows(model, sample.X, use_case))
    _check_scores(use_case, name, score)
    if not sample.X.equals(before.X):
        raise _Wrong(f"{name} changes the rows that it is given. Copy them first.")
    if sample.y is not None and before.y is not None and not sample.y.equals(before.y):
        raise _Wrong(f"{name} changes the labels that it is given. Copy them first.")
    again = score_rows(_fit(estimators.make(use_case, name, params), sample), sample.X, use_case)
    if not np.array_equal(score, again):
        raise _Wrong(
            f"{name} gives other scores when it is fitted a second time. Take an argument "
            "random_state in __init__, and draw everything from it."
        )
    order = np.random.default_rng(1).permutation(ROWS)
    moved = score_rows(model, sample.X.iloc[order], use_case)
    alone = [score_rows(model, sample.X.iloc[[row]], use_case)[0] for row in range(ALONE)]
    if not (_close(moved, score[order]) and _close(alone, score[:ALONE])):
        raise _Wrong(
            f"{name} scores a row by the rows beside it: in another order, or alone, it gets "
            "another score. Learn in fit, and treat each row for itself in predict."
        )
    _check_stored(use_case, name, python, model, sample, score)
    if space.takes_weights:
        weighted = {"estimate__sample_weight": np.linspace(0.5, 1.5, ROWS)}
        fresh = estimators.make(use_case, name, params)
        _tried("takes no weights", name, lambda: fresh.fit(sample.X, sample.y, **weighted))


def _check_scores(use_case: UseCase, name: str, score: Floats) -> None:
    shape = (ROWS, len(use_case.class_names)) if use_case.class_names else (ROWS,)
    if score.shape != shape:
        raise _Wrong(f"{name} must give scores of shape {shape}, got shape {score.shape}.")
    if not np.isfinite(score).all():
        raise _Wrong(
            f"{name} gives scores that are not finite. Numbers may be missing where `prepare` is "
            "'target_encoded' or 'passthrough'."
        )
    if use_case.task == "classification" and (score.min() < 0 or score.max() > 1):
        raise _Wrong(f"{name}: predict_proba must give 0 to 1, got {score.min()} to {score.max()}.")
    if use_case.task == "clustering" and not np.array_equal(score, np.round(score)):
        raise _Wrong(f"{name}: predict must give numbers of clusters, got {score[:3]}.")


def _check_stored(
    use_case: UseCase, name: str, python: OwnPython, model: Any, sample: _Sample, score: Floats
) -> None:
    trusted = trusted_types(python, types_of(python, name))
    file = _tried("cannot be stored by skops", name, lambda: skops.io.dumps(model))
    if strange := sorted(set(skops.io.get_untrusted_types(data=file)) - set(trusted)):
        raise _Wrong(
            f"{name} keeps objects of {strange}. A stored model may hold numbers, texts, arrays, "
            f"scikit-learn's classes and those of {split(name)[0]}.py and what that imports of "
            "its folder. Keep these alone in attributes."
        )
    loaded = _tried("cannot be read back", name, lambda: skops.io.loads(file, trusted=trusted))
    if not np.array_equal(score_rows(loaded, sample.X, use_case), score):
        raise _Wrong(
            f"{name} gives other scores when it was stored and read. Keep all that it has learned "
            "in attributes of the object."
        )


def _check_metric(use_case: UseCase) -> None:
    metric, y = metric_of(use_case), _sample(use_case).y
    assert y is not None and is_own(metric.name)  # noqa: PT018, S101  for mypy: not of clustering
    truth = y.to_numpy(dtype=np.float64)
    draw = np.random.default_rng(2)
    right = np.eye(len(use_case.class_names))[y] if use_case.class_names else truth
    chance = right[draw.permutation(ROWS)]
    fair = 0.7 * right + 0.3 * chance
    perfect, guessed, value = (metric.compute(truth, each) for each in (right, chance, fair))
    if not np.isfinite([perfect, guessed, value]).all():
        raise _Wrong(
            f"{metric.name} is not defined on {ROWS} rows of both kinds: got {value}. Return NaN "
            "only where nothing can be said."
        )
    if value != metric.compute(truth, fair):
        raise _Wrong(f"{metric.name} gives another value the second time. Nothing may be random.")
    if metric.gain(perfect, guessed) <= 0:
        raise _Wrong(
            f"{metric.name}: with greater_is_better: {str(metric.greater_is_better).lower()} the "
            f"truth itself ({perfect:.4g}) must be better than chance ({guessed:.4g}). Flip "
            "train.greater_is_better, or correct the function: its first argument is the truth, "
            "its second the scores."
        )
    order = draw.permutation(ROWS)
    if not _close([metric.compute(truth[order], fair[order])], [value]):
        raise _Wrong(f"{metric.name} depends on the order of the rows. It must not.")
    twice = metric.compute(np.concatenate([truth, truth]), np.concatenate([fair, fair]))
    if abs(twice - value) > MORE_ROWS * abs(value) + CLOSE:
        raise _Wrong(
            f"{metric.name} depends on how many rows there are: {value:.4g} on {ROWS}, {twice:.4g} "
            "on the same rows twice. The monitor compares more rows with fewer. Divide by their "
            "number."
        )
    _check_weights(use_case, metric, truth, fair, draw)
    found = estimate(metric, truth, fair, np.arange(ROWS) // 10)
    if found.problem is not None:
        raise _Wrong(f"{metric.name} cannot be resampled for the gate: {found.problem}.")


def _check_weights(
    use_case: UseCase, metric: Metric, truth: Floats, score: Floats, draw: np.random.Generator
) -> None:
    """Compare a weight of 2 with two rows; a metric without weights refuses them by itself."""
    times = draw.integers(1, 4, ROWS)
    try:
        weighted = metric.compute(truth, score, times.astype(np.float64))
    except ConfigError as error:
        if "must take an argument 'weight'" in str(error) and not use_case.train.sample_weight:
            return
        raise
    repeated = metric.compute(np.repeat(truth, times), np.repeat(score, times, axis=0))
    if abs(weighted - repeated) > MORE_ROWS * abs(repeated) + CLOSE:
        raise _Wrong(
            f"{metric.name} takes weights, but a row of weight 2 does not count as two rows: "
            f"{weighted:.4g} instead of {repeated:.4g}. Use `weight`, or take no such argument."
        )


def _fit(pipeline: Any, sample: _Sample) -> Any:
    return pipeline.fit(sample.X, sample.y)


def _tried(what: str, name: str, step: Callable[[], Any]) -> Any:
    """Run own code; report whatever it raises, with the line that raised it."""
    try:
        return step()
    except ConfigError:
        raise
    except NotFittedError as error:
        raise _Wrong(
            f"{name} counts as not fitted after fit: scikit-learn tells it by an attribute whose "
            "name ends with '_'. Keep what fit has learned in such ones, like self.mean_."
        ) from error
    except (Exception, SystemExit) as error:
        place = place_of(error)
        where = f" in {place}" if place else ""
        raise _Wrong(
            f"{name} {what}: {type(error).__name__}{where}: {error}. Correct it."
        ) from error


def _close(here: Any, there: Any) -> bool:
    return bool(np.allclose(here, there, rtol=CLOSE, atol=CLOSE))
