"""The last step of a training: one trial's model, judged, packaged, signed, registered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.due.mixed import named_in_tags
from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.modelling.blocks import days, grouped
from include.modelling.choice import Choice, choose
from include.modelling.estimators import Params, dummy, linear
from include.modelling.fit import fit, threads
from include.modelling.metrics import by_slice, evaluate, judged, metric_of
from include.modelling.out_of_fold import judged_rows
from include.modelling.scoring import score_rows
from include.modelling.search import TrialDone, planned
from include.modelling.training_set import TrainingSet, wide
from include.provenance import environment
from include.registry.client import Registry
from include.registry.package import write_package
from include.train_tune.prepare import Prepared, load_pinned, pin_tags
from include.train_tune.trial import scores_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class Trained:
    """A registered challenger.

    Attributes
    ----------
    version : str
        Its model version.
    run_id, as_of, holdout_partition : str
        As in `Prepared`.
    candidate : str
        The estimator that won.
    params : dict
        Its configuration.
    metric : str
        What it was chosen by.
    value, dummy, linear : float
        The metric on the holdout: its own, and the baselines'.
    package_sha256 : str
        Of the package's manifest.
    trials_completed, trials : int
        How many trials there were, and how many of them completed.
    choice : list of str
        Why it was kept: a sentence on each simpler estimator that was compared with the best.
    """

    version: str
    run_id: str
    as_of: str
    candidate: str
    params: Params
    metric: str
    value: float
    dummy: float
    linear: float
    holdout_partition: str
    package_sha256: str
    trials_completed: int
    trials: int
    choice: list[str]


def finish(
    use_case_name: str,
    prepared: Prepared,
    done: Sequence[TrialDone],
    lake: Lake,
    registry: Registry,
    work_dir: Path,
    kept_in: Path | None = None,
) -> Trained:
    """Make a challenger of the trial that `choose` keeps.

    Idempotent: a training has one model version, however often it is finished.

    Parameters
    ----------
    use_case_name : str
        What is trained; how, `prepared` says.
    prepared : Prepared
        What `prepare` returned.
    done : sequence of TrialDone
        What came of the trials of all rounds, in any order; those that are missing have failed.
    lake : Lake
        Holds the training set.
    registry : Registry
        Where the model goes; it must know the signing key.
    work_dir : Path
        Where the package is made; it is removed once registered.
    kept_in : Path, optional
        Where `prepare` kept the training set, and the trials their scores, if on this machine.

    Raises
    ------
    DataContractError
        If too few trials completed (``train.tuning.min_completed_share``).
    """
    use_case = prepared.use_case(use_case_name)
    completed = _enough(use_case, prepared, done)
    training = load_pinned(use_case, prepared, lake, kept_in)
    choice = _choose(use_case, completed, training, kept_in and kept_in / prepared.run_id)
    candidate, params = choice.trial.candidate, choice.trial.params
    X, y = wide(training.train_X), training.train_y
    estimator = fit(use_case, candidate, params, X, y)
    with threadpool_limits(threads()):
        models = {
            "model": estimator,
            "dummy": dummy(use_case).fit(X, y),
            "linear": linear(use_case).fit(X, y),
        }
        values = {
            name: evaluate(use_case, model, training.holdout_X, training.holdout_y)
            for name, model in models.items()
        }
    facts = _facts(use_case, prepared, choice, values)
    facts["holdout_rows"] = len(training.holdout_X)
    facts["slices"] = _slices(use_case, estimator, training)
    python = prepared.own_python(use_case_name)
    version = _register(use_case, python, estimator, training, facts, lake, registry, work_dir)
    metric = use_case.train.metric
    return Trained(
        version=version,
        run_id=prepared.run_id,
        as_of=prepared.as_of,
        candidate=candidate,
        params=params,
        metric=metric,
        value=values["model"][metric],
        dummy=values["dummy"][metric],
        linear=values["linear"][metric],
        holdout_partition=training.holdout_partition,
        package_sha256=registry.details(use_case.name, version)["tags"]["package_sha256"],
        trials_completed=len(completed),
        trials=planned(use_case),
        choice=choice.reasons,
    )


def _enough(use_case: UseCase, prepared: Prepared, done: Sequence[TrialDone]) -> list[TrialDone]:
    """Return the trials that completed, if they are enough."""
    completed = [one for one in done if one.value is not None]
    trials = planned(use_case)
    needed = use_case.train.tuning.min_completed_share * trials
    if not completed or len(completed) < needed:
        raise DataContractError(
            f"{use_case.name}: at least {needed:g} of {trials} trials must "
            "complete (train.tuning.min_completed_share), "
            f"{len(completed)} did in training run {prepared.run_id}. Look at the logs of the "
            f"trials that failed, and at their runs in MLflow: where {use_case.train.metric} was "
            "not defined on one of the folds, the trial does not complete."
        )
    return completed


def _choose(
    use_case: UseCase, completed: Sequence[TrialDone], training: TrainingSet, kept: Path | None
) -> Choice:
    truth, positions = judged_rows(use_case, training)
    blocks = grouped(days(training.train_times.iloc[positions]))
    return choose(
        use_case,
        completed,
        lambda trial: scores_of(use_case, trial, training, kept),
        truth,
        blocks,
    )


def _facts(
    use_case: UseCase,
    prepared: Prepared,
    choice: Choice,
    values: dict[str, dict[str, float]],
) -> dict[str, Any]:
    lineage = (
        "run_id", "as_of", "partitions", "holdout_partition", "inputs", "mixed_definitions"
    )  # fmt: skip
    return {
        **{name: getattr(prepared, name) for name in lineage},
        "candidate": choice.trial.candidate,
        "params": choice.trial.params,
        "metric": use_case.train.metric,
        "folds_mean": choice.trial.value,
        "choice": choice.reasons,
        "metrics": values["model"],
        "baselines": {"dummy": values["dummy"], "linear": values["linear"]},
        "definitions": prepared.definitions,
        **environment(),
    }


def _slices(use_case: UseCase, estimator: Any, training: TrainingSet) -> dict[str, Any]:
    wanted = use_case.deploy.slices
    if wanted is None:
        return {}
    rows = judged(use_case, training.holdout_X, training.holdout_y)
    score = score_rows(estimator, rows.X, use_case)
    return by_slice(metric_of(use_case), rows, score, wanted.columns, wanted.min_rows)


def _register(
    use_case: UseCase,
    python: OwnPython,
    estimator: Any,
    training: TrainingSet,
    facts: dict[str, Any],
    lake: Lake,
    registry: Registry,
    work_dir: Path,
) -> str:
    """Log, package and register; the challenger is ready when this returns."""
    run_id = facts["run_id"]
    clean = pinned_versions(lake, facts["inputs"])[f"{use_case.name}.clean"]
    metrics = {f"holdout_{name}": value for name, value in facts["metrics"].items()}
    for baseline, values in facts["baselines"].items():
        metrics |= {f"{baseline}_{name}": value for name, value in values.items()}
    tags = {
        "as_of": facts["as_of"],
        "holdout_partition": facts["holdout_partition"],
        "candidate": facts["candidate"],
        facts["metric"]: f"{facts['metrics'][facts['metric']]:.6g}",
        "code_version": facts["code_version"],
        "lock_hash": facts["lock_hash"],
        **named_in_tags(facts["mixed_definitions"]),
        **pin_tags(facts["inputs"]),
    }
    # Best configuration as tags: parameters cannot be written twice, and this may be a second try.
    best_params = {f"flywheel.best.{name}": value for name, value in facts["params"].items()}
    registry.log(
        run_id,
        metrics=metrics,
        tags={
            "flywheel.best.candidate": facts["candidate"],
            "flywheel.choice": "; ".join(facts["choice"]) or "the best is the simplest",
            **best_params,
        },
    )
    folder = work_dir / run_id
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that died
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_package(
            folder,
            estimator=estimator,
            use_case=use_case,
            python=python,
            example=example_row(use_case, training.holdout_partition, lake, clean),
            holdout_X=training.holdout_X,
            facts=facts,
            run_id=run_id,
            signing_key=registry.signing_key,
            # What the model learned from, without the holdout: the ranges that requests may have.
            request_rows=request_rows(use_case, training.learned_from, lake, clean),
        )
        version = registry.register(use_case.name, run_id, folder, tags)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    registry.client.set_terminated(run_id)
    return version


def request_rows(
    use_case: UseCase, partitions: list[str], lake: Lake, version: int | None = None
) -> Iterator[pd.DataFrame]:
    """Read what requests carried in these partitions, piece by piece."""
    clean = lake.table(use_case.name, "clean")
    for partition in partitions:  # one at a time: a scan of several reads ahead
        for batch in clean.batches([partition], use_case.features.inputs, version):
            yield to_pandas(pa.Table.from_batches([batch]))


def example_row(
    use_case: UseCase, partition: str, lake: Lake, version: int | None = None
) -> dict[str, Any]:
    """Return a complete row as a request carries it: JSON values, timestamps in ISO 8601."""
    first: dict[str, Any] = {}
    clean = lake.table(use_case.name, "clean")
    for batch in clean.batches([partition], use_case.features.inputs, version):
        complete = np.flatnonzero(batch.to_pandas().notna().all(axis=1).to_numpy())
        first = first or batch.slice(0, 1).to_pylist()[0]
        if len(complete):
            first = batch.slice(int(complete[0]), 1).to_pylist()[0]
            break
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in first.items()
    }
