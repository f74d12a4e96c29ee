"""The last step of a training: the best trial's model, judged, packaged, signed, registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.due.mixed import named_in_tags
from include.errors import DataContractError
from include.lake.table import Lake
from include.modelling.estimators import Params, dummy, linear
from include.modelling.fit import fit, threads
from include.modelling.metrics import by_slice, evaluate, judged, metric_of
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, wide
from include.provenance import environment
from include.registry.client import Registry
from include.registry.package import reference_of
from include.registry.packing import Packed, pack_and_register
from include.train_tune.prepare import Prepared, load_pinned
from include.train_tune.studies import best, count_completed, open_study, opened
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


def finish(
    use_case_name: str,
    prepared: Prepared,
    lake: Lake,
    registry: Registry,
    optuna_storage: str,
    work_dir: Path,
    kept_in: Path | None = None,
) -> Trained:
    """Make a challenger of the best trial.

    Idempotent: a training has one model version, however often it is finished.

    Parameters
    ----------
    use_case_name : str
        What is trained; how, `prepared` says.
    prepared : Prepared
        What `prepare` returned.
    lake : Lake
        Holds the training set.
    registry : Registry
        Where the model goes; it must know the signing key.
    optuna_storage : str
        Database of the studies.
    work_dir : Path
        Where the package is made; it is removed once registered.
    kept_in : Path, optional
        Where `prepare` kept the training set, if on this machine.

    Raises
    ------
    DataContractError
        If too few trials completed (``train.tuning.min_completed_share``).
    """
    use_case = prepared.use_case(use_case_name)
    chosen = _choose(use_case, prepared, optuna_storage)
    candidate, params, mean = chosen.candidate, chosen.params, chosen.mean
    training = load_pinned(use_case, prepared, lake, kept_in)
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
    facts = _facts(use_case, prepared, candidate, params, mean, values)
    facts["learned_from"] = training.learned_from
    facts["holdout_rows"] = len(training.holdout_X)
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
        trials_completed=chosen.completed,
        trials=len(prepared.trials),
    )


@dataclass(frozen=True)
class _Chosen:
    candidate: str
    params: Params
    mean: float
    completed: int


def _choose(use_case: UseCase, prepared: Prepared, url: str) -> _Chosen:
    """Return the best trial's candidate, parameters and mean. Ties go to the first candidate."""
    metric, run_id = metric_of(use_case), prepared.run_id
    chosen: tuple[str, Params, float] | None = None
    completed = 0
    with opened(url) as storage:
        for space in use_case.train.candidates:
            study = open_study(storage, use_case, run_id, space)
            completed += count_completed(study)
            found = best(study)
            if found is not None and (chosen is None or metric.gain(found[0], chosen[2]) > 0):
                chosen = (space.estimator, found[1], found[0])
    needed = use_case.train.tuning.min_completed_share * len(prepared.trials)
    if chosen is None or completed < needed:
        raise DataContractError(
            f"{use_case.name}: at least {needed:g} of {len(prepared.trials)} trials must "
            "complete (train.tuning.min_completed_share), "
            f"{completed} did in training run {run_id}. Look at the logs of the trials that "
            f"failed, and at their runs in MLflow: where {metric.name} was not defined in any fold "
            "a trial does not complete."
        )
    return _Chosen(*chosen, completed)


def _facts(
    use_case: UseCase,
    prepared: Prepared,
    candidate: str,
    params: Params,
    mean: float,
    values: dict[str, dict[str, float]],
) -> dict[str, Any]:
    lineage = (
        "run_id", "as_of", "partitions", "holdout_partition", "inputs", "mixed_definitions"
    )  # fmt: skip
    return {
        **{name: getattr(prepared, name) for name in lineage},
        "candidate": candidate,
        "params": params,
        "metric": use_case.train.metric,
        "folds_mean": mean,
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


def _log(registry: Registry, facts: Mapping[str, Any]) -> None:
    metrics = {f"holdout_{name}": value for name, value in facts["metrics"].items()}
    for baseline, values in facts["baselines"].items():
        metrics |= {f"{baseline}_{name}": value for name, value in values.items()}
    # Best configuration as tags: parameters cannot be written twice, and this may be a second try.
    best = {f"flywheel.best.{name}": value for name, value in facts["params"].items()}
    best["flywheel.best.candidate"] = facts["candidate"]
    registry.log(facts["run_id"], metrics=metrics, tags=best)
