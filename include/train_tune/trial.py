"""One trial: one configuration of one candidate, judged on folds in order of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from include.errors import ConfigError
from include.lake.table import Lake
from include.modelling.estimators import Params
from include.modelling.fit import fit
from include.modelling.folds import time_folds
from include.modelling.metrics import judged, metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, wide
from include.registry.client import Registry
from include.train_tune.prepare import Prepared, load_pinned
from include.train_tune.studies import PARAMS, begin, completed, open_study, opened
from include.use_cases.schema import Candidate, UseCase


@dataclass(frozen=True)
class TrialDone:
    """What came of a trial.

    Attributes
    ----------
    candidate : str
        Which estimator.
    number : int
        Which of its trials.
    value : float or None
        Mean of the metric over the folds; None where the metric was not defined, such as for a
        clustering that found one cluster.
    params : dict
        The configuration.
    """

    candidate: str
    number: int
    value: float | None
    params: Params


def run_trial(
    use_case_name: str,
    prepared: Prepared,
    candidate: str,
    number: int,
    lake: Lake,
    registry: Registry,
    optuna_storage: str,
    kept_in: Path | None = None,
) -> TrialDone:
    """Run a trial and log it as a run nested in the training's.

    Idempotent: a completed trial is not run again. One that was killed is, with the configuration
    that it had drawn.

    Parameters
    ----------
    use_case_name : str
        What is trained; how, `prepared` says.
    prepared : Prepared
        What `prepare` returned.
    candidate : str
        Which estimator.
    number : int
        Which of its trials; 0 is the middle of every range.
    lake : Lake
        Holds the training set.
    registry : Registry
        Where it is logged.
    optuna_storage : str
        Database of the study.
    kept_in : Path, optional
        Where `prepare` kept the training set, if on this machine.
    """
    use_case = prepared.use_case(use_case_name)
    space = space_of(use_case, candidate)
    with opened(optuna_storage) as storage:
        study = open_study(storage, use_case, prepared.run_id, space, number)
        done = completed(study, number)
        if done is not None:
            return TrialDone(candidate, number, done.values[0], done.user_attrs[PARAMS])
        trial = begin(study, space, number)
        params = trial.user_attrs[PARAMS]
        try:
            training = load_pinned(use_case, prepared, lake, kept_in)
            values = fold_values(use_case, candidate, params, training)
            value = float(np.mean(values))
            _log_trial(use_case, prepared.run_id, candidate, number, params, values, registry)
        except BaseException:  # also when the task is stopped: nobody would finish the trial
            study.tell(trial, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
            raise
        # Told last: a completed trial is a logged one.
        if not math.isfinite(value):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return TrialDone(candidate, number, None, params)
        study.tell(trial, value)
    return TrialDone(candidate, number, value, params)


def fold_values(
    use_case: UseCase, candidate: str, params: Params, training: TrainingSet
) -> list[float]:
    """Return the metric on each fold, NaN where it is not defined."""
    metric, y = metric_of(use_case), training.train_y
    values = []
    for learn, judge in time_folds(training.train_times, use_case.train.split.folds):
        estimator = fit(use_case, candidate, params, training.train_X.iloc[learn], _at(y, learn))
        rows = judged(use_case, wide(training.train_X.iloc[judge]), _at(y, judge))
        values.append(metric.compute(rows.truth, score_rows(estimator, rows.X, use_case)))
    return values


def space_of(use_case: UseCase, candidate: str) -> Candidate:
    """Return what is searched for a candidate."""
    spaces = {space.estimator: space for space in use_case.train.candidates}
    if candidate not in spaces:
        raise ConfigError(
            f"{use_case.name}: trials are of train.candidates {sorted(spaces)}, got {candidate!r}. "
            "Start a new training: the use case has changed since this one began."
        )
    return spaces[candidate]


def _at(y: pd.Series[Any] | None, positions: Any) -> pd.Series[Any] | None:
    return None if y is None else y.iloc[positions]


def _log_trial(
    use_case: UseCase,
    parent: str,
    candidate: str,
    number: int,
    params: Params,
    values: list[float],
    registry: Registry,
) -> None:
    name = use_case.train.metric
    tags = {"mlflow.parentRunId": parent, "flywheel.phase": "train_tune"}
    run_id = registry.run(
        use_case.name, f"trial {parent} {candidate} {number}", f"{candidate} {number}", tags
    )
    folds = {f"fold_{fold}_{name}": value for fold, value in enumerate(values, start=1)}
    metrics = {**folds, f"mean_{name}": float(np.mean(values))}
    registry.log(
        run_id,
        params={"candidate": candidate, "number": number, **params},
        metrics={key: value for key, value in metrics.items() if math.isfinite(value)},
    )
    registry.client.set_terminated(run_id)
