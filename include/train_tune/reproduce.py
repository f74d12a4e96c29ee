"""Fit a registered model again from its pins, and compare what the two answer.

Nothing is registered, promoted or published: the model that is fitted again is kept in memory, and
goes with the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.errors import DataContractError
from include.lake.pins import pin_of, pinned_versions, table_of
from include.lake.table import Input, Lake
from include.modelling.fit import fit, threads
from include.modelling.known_rows import load_known_rows
from include.modelling.metrics import evaluate
from include.modelling.scoring import predictions, score_rows
from include.modelling.training_set import TrainingSet, load_as_then
from include.provenance import environment
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase

TOLERANCE = 1e-6
"""Largest difference of two scores that still counts as equal where lock, CPU or threads differ:
sums are then taken in another order, and differ in the last bits."""

REFIT = "evaluated_version"
"""Fact that only a refit has."""

Verdict = Literal["identical", "equal", "different", "impossible"]


@dataclass(frozen=True)
class Reproduced:
    """What came of fitting a model version again.

    Attributes
    ----------
    version, run_id : str
        Model version, and the MLflow run that trained it.
    verdict : {'identical', 'equal', 'different', 'impossible'}
        Bit for bit; within `TOLERANCE` and of the same classes; neither; or data that it learned
        from is gone, so that nothing was fitted.
    because : str
        A sentence.
    environment : dict of str to dict
        `then` and `now` of what differs: lock, code, Python, machine, threads.
    gone : list of str
        What can not be read any more at its pin, and what is left of it.
    rows : int
        Holdout rows that both predicted.
    rows_differing : int
        How many of them were not equal bit for bit.
    largest_difference : float or None
        Of two scores (probability, value, or number of the cluster).
    classes_differing : int or None
        How many rows have another class or cluster; None for regression.
    metrics : dict of str to dict
        `then` and `now` of each metric on the holdout; `stored` is what the registered model has
        there today. Of a refit there is no `then`: its package has the metrics of the version that
        was judged.
    """

    version: str
    run_id: str
    verdict: Verdict
    because: str
    environment: dict[str, dict[str, str]]
    gone: list[str]
    rows: int = 0
    rows_differing: int = 0
    largest_difference: float | None = None
    classes_differing: int | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)


def reproduce(use_case_name: str, version: str, lake: Lake, registry: Registry) -> Reproduced:
    """Fit a model version again from what its signed package names, and compare the two.

    The search is not repeated: the candidate and the parameters that won are fitted with the same
    seed on the pinned rows; of a refit these include the holdout, on which the two are compared.

    Parameters
    ----------
    use_case_name, version : str
        Which model version.
    lake : Lake
        Holds the tables that it learned from.
    registry : Registry
        Holds its package.

    Raises
    ------
    DataContractError
        There is no such version, or its package is not exactly what was signed.
    """
    model = registry.load(use_case_name, version)
    facts, use_case = model.facts, model.use_case
    gone = gone_of(use_case, facts, lake)
    try:
        training = _training_of(use_case, facts, lake)
    except DataContractError as error:
        return _result(model, "impossible", f"The training rows are gone. {error}", gone)
    # As many threads as then: they decide the order in which numbers are added.
    limit = int(facts.get("threads", threads()))
    with threadpool_limits(limit):
        X, y, weight = _learned(use_case, facts, lake, training)
        settings = facts["candidate"], facts["params"]
        rebuilt = fit(use_case, *settings, X, y, limit, weight=weight)
        then, now = (
            score_rows(estimator, training.holdout_X, use_case)
            for estimator in (model.estimator, rebuilt)
        )
        holdout = training.holdout_X, training.holdout_y, training.holdout_weight
        metrics = {
            name: evaluate(use_case, estimator, *holdout)
            for name, estimator in (("stored", model.estimator), ("now", rebuilt))
        }
    return _compared(model, then, now, metrics, gone)


def gone_of(use_case: UseCase, facts: Mapping[str, Any], lake: Lake) -> list[str]:
    """Say of each pin that cannot be read whole any more what is gone, and what is left."""
    found = []
    for pin in map(pin_of, facts["inputs"]):
        try:
            table_of(lake, pin.table).check_pin(pin)
        except DataContractError as error:
            found.append(str(error))
            continue
        left = [key for key in facts["partitions"] if _is_left(use_case, pin, key, lake)]
        if lost := [key for key in facts["partitions"] if key not in left]:
            found.append(
                f"{pin.table}, version {pin.version}: data files of {', '.join(lost)} are gone "
                f"(vacuumed or deleted); left are {', '.join(left) or 'none'}."
            )
    return found


def _training_of(use_case: UseCase, facts: Mapping[str, Any], lake: Lake) -> TrainingSet:
    return load_as_then(use_case, lake, {**facts, "inputs": _fitted(facts)})


def _learned(
    use_case: UseCase, facts: Mapping[str, Any], lake: Lake, training: TrainingSet
) -> tuple[pd.DataFrame, pd.Series[Any] | None, npt.NDArray[np.float64] | None]:
    """Return what the model was fitted on: a refit learned the holdout too."""
    if REFIT not in facts:
        return training.train_X, training.train_y, training.train_weight
    versions = pinned_versions(lake, _fitted(facts))
    rows = load_known_rows(use_case, lake, versions, facts["partitions"])
    return rows.X, rows.y, rows.learning_weight


def _fitted(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    # The clean rows are not fitted: a model whose package learned the ranges of requests from rows
    # that are gone can still be fitted again.
    return [pin for pin in facts["inputs"] if not pin["table"].endswith(".clean")]


def _is_left(use_case: UseCase, pin: Input, partition: str, lake: Lake) -> bool:
    try:
        table_of(lake, pin.table).read([partition], use_case.ingest.key[:1], pin.version)
    except DataContractError:
        return False
    return True


def _compared(
    model: ServableModel,
    then: npt.NDArray[np.float64],
    now: npt.NDArray[np.float64],
    metrics: Mapping[str, Mapping[str, float]],
    gone: Sequence[str],
) -> Reproduced:
    classes = None
    if model.use_case.task != "regression":
        classes = int(np.sum(_classes(model, then) != _classes(model, now)))
    apart = np.abs(then - now).reshape(len(then), -1).max(axis=1)  # of all classes of a row
    differing, largest = int(np.sum(apart > 0)), float(np.max(apart))
    changed = ", ".join(_environment(model.facts))
    verdict: Verdict = "different"
    because = (
        f"{differing} of {len(then)} holdout rows are predicted otherwise, by {largest:.3g} at "
        f"most. Of the environment {changed or 'nothing'} differs."
    )
    if differing == 0:
        verdict, because = "identical", f"All {len(then)} holdout rows are equal bit for bit."
    elif largest <= TOLERANCE and not classes:
        verdict = "equal"
        because = f"Equal within {TOLERANCE:g}, as where lock, CPU or threads differ: {because}"
    return _result(
        model,
        verdict,
        because,
        gone,
        rows=len(then),
        rows_differing=differing,
        largest_difference=largest,
        classes_differing=classes,
        metrics={
            name: {
                **_noted_then(model, name),
                "stored": metrics["stored"][name],
                "now": value,
            }
            for name, value in metrics["now"].items()
        },
    )


def _noted_then(model: ServableModel, metric: str) -> dict[str, float]:
    """Return the metric that its package names; that of a refit is the evaluated version's."""
    noted = {} if REFIT in model.facts else model.facts["metrics"]
    return {"then": noted[metric]} if metric in noted else {}


def _classes(model: ServableModel, scores: npt.NDArray[np.float64]) -> Any:
    return predictions(scores, model.use_case, pd.RangeIndex(len(scores)))["prediction"].to_numpy()


def _environment(facts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return what differs between then and now; what was not noted then is not compared."""
    return {
        name: {"then": str(facts[name]), "now": now}
        for name, now in environment().items()
        if name in facts and str(facts[name]) != now
    }


def _result(
    model: ServableModel, verdict: Verdict, because: str, gone: Sequence[str], **compared: Any
) -> Reproduced:
    return Reproduced(
        version=model.version,
        run_id=model.facts["run_id"],
        verdict=verdict,
        because=because,
        environment=_environment(model.facts),
        gone=list(gone),
        **compared,
    )
