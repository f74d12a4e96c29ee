"""The last step of a training: one trial's model, judged, packaged, signed, registered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.algorithms import Params
from include.due.mixed import named_in_tags
from include.errors import DataContractError
from include.lake.table import Lake
from include.modelling.choice import Choice, choose
from include.modelling.metrics import by_slice, judged, metric_of
from include.modelling.out_of_fold import judged_rows
from include.modelling.scoring import score_rows
from include.modelling.search import TrialDone, planned
from include.modelling.training_set import TrainingSet
from include.modelling.tuning import fit_and_compare
from include.modelling.uncertainty import estimate
from include.provenance import environment
from include.registry.client import Registry
from include.registry.package import reference_of
from include.registry.packing import Packed, pack_and_register
from include.train_tune.prepare import Prepared, load_pinned
from include.train_tune.trial import scores_of
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
    compared = fit_and_compare(use_case, candidate, params, training)
    estimator, values = compared.estimator, compared.values
    facts = _facts(use_case, prepared, choice, values)
    facts["holdout_rows"] = len(training.holdout_X)
    facts["learned_from"] = training.learned_from
    facts["class_rows"] = _class_rows(use_case, training)
    if training.holdout_y is not None:  # what the monitor compares outcomes with
        score = score_rows(estimator, training.holdout_X, use_case)
        truth = training.holdout_y.to_numpy(dtype=np.float64)
        sure = truth, score, training.holdout_blocks, training.holdout_weight
        known = estimate(metric_of(use_case), *sure)
        facts["holdout_estimate"] = asdict(known)
    facts["slices"] = _slices(use_case, estimator, training)
    _log(registry, facts)
    model = Packed(
        use_case=use_case,
        python=prepared.own_python(use_case_name),
        estimator=estimator,
        reference=reference_of(estimator, training.holdout_X, use_case),
        facts=facts,
    )
    tags = named_in_tags(prepared.mixed_definitions)
    version = pack_and_register(model, tags, lake, registry, work_dir)
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
    return choose(
        use_case,
        completed,
        lambda trial: scores_of(use_case, trial, training, kept),
        truth,
        training.train_blocks[positions],
        None if training.train_weight is None else training.train_weight[positions],
    )


def _facts(
    use_case: UseCase,
    prepared: Prepared,
    choice: Choice,
    values: dict[str, dict[str, float]],
) -> dict[str, Any]:
    lineage = (
        "run_id", "as_of", "partitions", "holdout_partition", "holdout_partitions", "inputs",
        "mixed_definitions",
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


def _class_rows(use_case: UseCase, training: TrainingSet) -> dict[str, int]:
    """Count the rows of each of three classes or more; the model predicts none that has no row."""
    if training.train_y is None:
        return {}
    counts = training.train_y.value_counts()
    return {name: int(counts.get(place, 0)) for place, name in enumerate(use_case.class_names)}


def _slices(use_case: UseCase, estimator: Any, training: TrainingSet) -> dict[str, Any]:
    wanted = use_case.deploy.slices
    if wanted is None:
        return {}
    rows = judged(use_case, training.holdout_X, training.holdout_y, training.holdout_weight)
    score = score_rows(estimator, rows.X, use_case)
    return by_slice(metric_of(use_case), rows, score, wanted.columns, wanted.min_rows)


def _log(registry: Registry, facts: Mapping[str, Any]) -> None:
    metrics = {f"holdout_{name}": value for name, value in facts["metrics"].items()}
    for baseline, values in facts["baselines"].items():
        metrics |= {f"{baseline}_{name}": value for name, value in values.items()}
    # Best configuration as tags: parameters cannot be written twice, and this may be a second try.
    best = {f"flywheel.best.{name}": value for name, value in facts["params"].items()}
    best["flywheel.best.candidate"] = facts["candidate"]
    if facts["class_rows"]:
        best["flywheel.class_rows"] = json.dumps(facts["class_rows"], ensure_ascii=False)
    best["flywheel.choice"] = "; ".join(facts["choice"]) or "the best is the simplest"
    registry.log(facts["run_id"], metrics=metrics, tags=best)
