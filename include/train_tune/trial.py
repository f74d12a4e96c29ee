"""One trial: one configuration of one candidate, judged on folds in order of time."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from include.lake.table import Lake
from include.modelling.out_of_fold import out_of_fold
from include.modelling.search import Trial, TrialDone
from include.modelling.training_set import TrainingSet
from include.registry.client import Registry
from include.train_tune.prepare import Prepared, load_pinned
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


def run_trial(
    use_case_name: str,
    prepared: Prepared,
    trial: Trial,
    lake: Lake,
    registry: Registry,
    kept_in: Path | None = None,
) -> TrialDone:
    """Run a trial and log it as a run nested in the training's.

    Idempotent: the same trial gives the same result, and is logged to the same run. What it tries
    was drawn before it began, so one that was killed tries the same again.

    Parameters
    ----------
    use_case_name : str
        What is trained; how, `prepared` says.
    prepared : Prepared
        What `prepare` returned.
    trial : Trial
        What is tried.
    lake : Lake
        Holds the training set.
    registry : Registry
        Where it is logged.
    kept_in : Path, optional
        Where `prepare` kept the training set, if on this machine; the scores are kept beside it.
    """
    use_case = prepared.use_case(use_case_name)
    training = load_pinned(use_case, prepared, lake, kept_in)
    found = out_of_fold(use_case, trial.candidate, trial.params, training)
    if kept_in is not None and (folder := kept_in / prepared.run_id).is_dir():
        draft = folder / f"draft-{os.getpid()}.npy"
        np.save(draft, found.scores)
        draft.rename(folder / _kept_as(trial))
    _log_trial(use_case, prepared.run_id, trial, found.values, registry)
    mean = float(np.mean(found.values))
    value = mean if math.isfinite(mean) else None
    return TrialDone(trial.candidate, trial.number, trial.params, value)


def scores_of(
    use_case: UseCase,
    trial: Trial | TrialDone,
    training: TrainingSet,
    kept: Path | None = None,
) -> npt.NDArray[np.float64]:
    """Return a trial's scores on the rows of all folds.

    They are read where the trial ran on this machine, and made again otherwise.

    Parameters
    ----------
    use_case : UseCase
        How it was tried.
    trial : Trial or TrialDone
        Which.
    training : TrainingSet
        What it learned from.
    kept : Path, optional
        Folder of the training in which `run_trial` kept them.
    """
    if kept is not None:
        try:
            return np.asarray(np.load(kept / _kept_as(trial), allow_pickle=False))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, EOFError) as error:
            log.warning("%s cannot be read (%s): it is made again", kept / _kept_as(trial), error)
    return out_of_fold(use_case, trial.candidate, trial.params, training).scores


def name_of(trial: Trial | TrialDone) -> str:
    """Name what is tried: equal for equal parameters of the same candidate and number."""
    text = json.dumps(trial.params, sort_keys=True)
    return f"{trial.candidate} {trial.number} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _kept_as(trial: Trial | TrialDone) -> str:
    return f"{name_of(trial).replace(' ', '-')}.npy"


def _log_trial(
    use_case: UseCase, parent: str, trial: Trial, values: list[float], registry: Registry
) -> None:
    name = use_case.train.metric
    tags = {"mlflow.parentRunId": parent, "flywheel.phase": "train_tune"}
    shown = f"{trial.candidate} {trial.number}"
    run_id = registry.run(use_case.name, f"trial {parent} {name_of(trial)}", shown, tags)
    folds = {f"fold_{fold}_{name}": value for fold, value in enumerate(values, start=1)}
    metrics = {**folds, f"mean_{name}": float(np.mean(values))}
    registry.log(
        run_id,
        params={"candidate": trial.candidate, "number": trial.number, **trial.params},
        metrics={key: value for key, value in metrics.items() if math.isfinite(value)},
    )
    registry.client.set_terminated(run_id)
