"""From a scored partition and the model that scored it to findings: no store, no service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.drift_monitor import drift
from include.drift_monitor.current import Current
from include.drift_monitor.performance import Performance, measure
from include.drift_monitor.rows import Findings
from include.modelling.metrics import metric_of
from include.modelling.uncertainty import Estimate, estimate
from include.registry.package import ServableModel
from include.use_cases.schema import Monitor, UseCase


def examine(use_case: UseCase, current: Current) -> tuple[Findings, Any | None]:
    """Judge a scored partition against the model that scored it.

    Parameters
    ----------
    use_case : UseCase
        Its `monitor` section has the thresholds.
    current : Current
        The partition, its predictions and the model that made them.

    Returns
    -------
    findings : Findings
    snapshot : evidently Snapshot or None
        None when there were too few rows to compare distributions.
    """
    limits, model = use_case.monitor, current.model
    reference = drift.sample(model.reference, limits.sample_rows)
    sampled = drift.sample(current.scored, limits.sample_rows)
    snapshot: Any | None = None
    shifts: list[drift.Shift] = []
    if min(len(sampled), len(reference)) >= limits.min_rows:
        numeric, categorical = _columns(model.use_case)
        rate, effect = limits.max_false_alarm_rate, limits.min_effect
        sides = drift.make_sides(reference, sampled, numeric, categorical)
        snapshot, shifts = drift.compare(sides, max_false_alarm_rate=rate, min_effect=effect)
    performance, performance_verdict, problem = _performance(use_case, current, model)
    findings = Findings(
        verdict=_verdict(shifts, performance_verdict),
        reasons=[
            _of_drift(limits, shifts, len(sampled), len(reference)),
            *_of_performance(use_case, current, performance, problem),
        ],
        rows=current.rows,
        model_version=model.version,
        shifts=shifts,
        min_effect=limits.min_effect,
        rows_reference=len(reference),
        rows_current=len(sampled),
        metric=use_case.train.metric,
        performance=performance,
        performance_verdict=performance_verdict,
        worst_allowed=_worst_allowed(use_case, model, performance),
        rows_holdout=_holdout_rows(model),
        rows_labelled=None if current.outcomes is None else len(current.outcomes.y),
    )
    return findings, snapshot


def _columns(trained: UseCase) -> tuple[list[str], list[str]]:
    """Return the columns the model was trained with, its predictions among them, by kind."""
    numeric, categorical = list(trained.features.numeric), list(trained.features.categorical)
    named = trained.task == "clustering" or bool(trained.class_names)
    (categorical if named else numeric).append(drift.PREDICTION)
    return numeric, categorical


def _holdout_rows(model: ServableModel) -> int:
    """Rows the holdout metric was measured on; the reference is at most all of them."""
    return int(model.facts.get("holdout_rows") or len(model.reference))


def _performance(
    use_case: UseCase, current: Current, model: ServableModel
) -> tuple[Performance | None, str | None, str | None]:
    """Return what was measured, the verdict, and where there is none to speak of why."""
    limits, name, outcomes = use_case.monitor, use_case.train.metric, current.outcomes
    if use_case.labels is None:
        return None, None, None
    if outcomes is None:
        return None, "no_labels", "no outcomes have come yet"
    if len(outcomes.y) < limits.min_rows:
        words = f"too few outcomes: {len(outcomes.y)}, {limits.min_rows} needed"
        return None, "too_few_rows", words
    metric = metric_of(use_case)
    now = estimate(metric, outcomes.y, outcomes.score, outcomes.blocks, outcomes.weight)
    holdout = _holdout(model, name)
    performance = measure(
        metric,
        now,
        holdout,
        max_drop=_allowed_drop(use_case, model),
        max_false_alarm_rate=limits.max_false_alarm_rate,
    )
    if performance is not None:
        return performance, performance.verdict, None
    if now.problem:
        words = f"{name} on {len(outcomes.y)} outcomes cannot be judged: {now.problem}"
    else:
        words = f"{name} on the holdout cannot be compared with: {holdout.problem}"
    return None, "undefined", words


def _holdout(model: ServableModel, metric: str) -> Estimate:
    """Return the metric on the model's holdout, as its training estimated it."""
    known = model.facts.get("holdout_estimate")
    if known is None or model.use_case.train.metric != metric:
        problem = f"the model does not say how sure its {metric} is. Train again"
        return Estimate(float(model.facts["metrics"][metric]), None, 0, problem)
    return Estimate(**known)


def _allowed_drop(use_case: UseCase, model: ServableModel) -> float:
    """Return `monitor.max_metric_drop` in the metric's unit; the skill is that on the holdout."""
    name, facts = use_case.train.metric, model.facts
    skill = float(facts["metrics"][name]) - float(facts["baselines"]["dummy"][name])
    return use_case.monitor.max_metric_drop.within(skill)


def _worst_allowed(
    use_case: UseCase, model: ServableModel, performance: Performance | None
) -> float | None:
    if performance is None:
        return None
    better_up = metric_of(use_case).greater_is_better
    allowed = _allowed_drop(use_case, model)
    return performance.reference - allowed if better_up else performance.reference + allowed


def _verdict(shifts: Sequence[drift.Shift], performance_verdict: str | None) -> str:
    predictions = _predictions(shifts)
    if performance_verdict == "decay":
        return "decay"
    if predictions is None:
        return "too_few_rows"
    return "drift" if predictions.drifted else "stable"


def _predictions(shifts: Sequence[drift.Shift]) -> drift.Shift | None:
    return next((shift for shift in shifts if shift.name == drift.PREDICTION), None)


def _of_drift(
    limits: Monitor, shifts: Sequence[drift.Shift], rows: int, reference_rows: int
) -> str:
    predictions = _predictions(shifts)
    if predictions is None:
        return (
            f"too few rows to compare: {rows} scored here and {reference_rows} in the reference,"
            f" {limits.min_rows} needed of each"
        )
    features = [shift for shift in shifts if shift is not predictions]
    drifted = [shift.name for shift in features if shift.drifted]
    names = f" ({', '.join(drifted)})" if drifted else ""
    return (
        f"predictions {'drifted' if predictions.drifted else 'did not drift'}:"
        f" Jensen-Shannon distance {predictions.distance:.3f} ({limits.min_effect:g} counts),"
        f" p = {predictions.p_value:.2g} ({limits.max_false_alarm_rate:g} counts);"
        f" {len(drifted)} of {len(features)} features drifted{names}"
    )


def _of_performance(
    use_case: UseCase, current: Current, performance: Performance | None, problem: str | None
) -> list[str]:
    if performance is None or current.outcomes is None:
        return [problem] if problem else []
    outcomes, rate = current.outcomes, use_case.monitor.max_false_alarm_rate
    where = ""
    if len(outcomes.partitions) > 1:
        where = f" of {outcomes.partitions[0]} to {outcomes.partitions[-1]}"
    return [
        f"{use_case.train.metric} {performance.value:.4g} on {len(outcomes.y)} outcomes{where},"
        f" {performance.reference:.4g} on the holdout: worse by {performance.drop:.4g}, at"
        f" {100 * (1 - rate):g} % by at least {performance.drop_low:.4g};"
        f" {_allowed_drop(use_case, current.model):.4g} is allowed"
    ]
