"""What the section `train` says, checked against the others: metric, candidates, weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.algorithms import ALGORITHMS
from include.use_cases.naming import repeated, unknown
from include.use_cases.own_code import OWN_NAME, is_own
from include.use_cases.spaces import ESTIMATORS, METRICS, METRICS_OF_SEVERAL

if TYPE_CHECKING:
    from include.use_cases.schema import UseCase

_BY_NUMBER_OF_CLASSES = {
    "f1": "is of class 1 alone. Choose f1_macro, in which each class counts alike, or "
    "f1_weighted, in which it counts by its rows",
    "average_precision": "ranks rows by one class. Choose roc_auc, the mean over each class "
    "against the rest, or log_loss",
    "f1_macro": "is for several classes. Choose f1, which is of class 1",
    "f1_weighted": "is for several classes. Choose f1, which is of class 1",
}


def training_problems(use_case: UseCase) -> Iterator[str]:
    """Tell what contradicts, one sentence each, beginning with the key that it is about."""
    for check in (_metric, _candidates, _class_weight, _sample_weight, _label_confidence):
        yield from check(use_case)


def _metric(use_case: UseCase) -> Iterator[str]:
    task, metric, names = use_case.task, use_case.train.metric, use_case.class_names
    if is_own(metric):
        yield from _own_metric(use_case)
        return
    if use_case.train.greater_is_better is not None:
        yield "train.greater_is_better is for an own metric (own:<module>.<function>). Remove it."
    known = METRICS_OF_SEVERAL if names else METRICS[task]
    if metric in known:
        return
    if task == "classification" and metric in _BY_NUMBER_OF_CLASSES:
        yield f"train.metric {metric!r} {_BY_NUMBER_OF_CLASSES[metric]}."
        return
    of = f"{task} with {len(names)} classes" if names else task
    yield f"train.metric for {of} is one of {sorted(known)}, got {metric!r}."


def _own_metric(use_case: UseCase) -> Iterator[str]:
    if not OWN_NAME.fullmatch(use_case.train.metric):
        yield f"train.metric must be own:<module>.<function>, got {use_case.train.metric!r}."
    if use_case.train.greater_is_better is None:
        yield "train.metric of one's own needs train.greater_is_better: true or false. Add it."
    if use_case.task == "clustering":
        yield "train.metric of clustering cannot be an own one: there are no labels."


def _candidates(use_case: UseCase) -> Iterator[str]:
    task = use_case.task
    names = [candidate.estimator for candidate in use_case.train.candidates]
    yield from repeated("train.candidates", names)
    for name in names:
        if name not in ESTIMATORS[task] and not is_own(name):
            known = sorted(ESTIMATORS[task])
            yield f"train.candidates for {task} are among {known}, got {name!r}."


def _class_weight(use_case: UseCase) -> Iterator[str]:
    weights = use_case.train.class_weight
    if weights is None:
        return
    if use_case.task != "classification":
        yield f"train.class_weight is for classification, not for {use_case.task}. Remove it."
        return
    if isinstance(weights, dict):
        yield from unknown("train.class_weight", weights, use_case.class_names or ["0", "1"])
    yield from _unweighted(use_case, "train.class_weight")


def _sample_weight(use_case: UseCase) -> Iterator[str]:
    name, columns = use_case.train.sample_weight, use_case.ingest.columns
    if name is None:
        return
    yield from unknown("train.sample_weight", [name], columns)
    if columns.get(name, "float64") not in ("int64", "float64"):
        yield (
            f"train.sample_weight must be a number, got {name!r} of type {columns[name]}. Name "
            "another column, or remove it."
        )
    if name in use_case.ingest.key:
        yield (
            f"train.sample_weight {name!r} is in ingest.key: a name is no weight. Name another "
            "column, or remove it."
        )
    yield from _unweighted(use_case, "train.sample_weight")


def _label_confidence(use_case: UseCase) -> Iterator[str]:
    if use_case.train.label_confidence == "ignore":
        return
    if use_case.labels is None or not {"rules", "people"} & set(use_case.labels.strategies):
        yield (
            "train.label_confidence is for labels of rules or people: others have confidence 1. "
            "Remove it."
        )
    yield from _unweighted(use_case, "train.label_confidence")


def _unweighted(use_case: UseCase, where: str) -> Iterator[str]:
    """Refuse weights that a candidate would ignore."""
    fitting = [name for name in ESTIMATORS[use_case.task] if ALGORITHMS[name].takes_weights]
    for candidate in use_case.train.candidates:
        if not candidate.takes_weights or use_case.task == "clustering":
            usable = fitting and use_case.task != "clustering"
            advice = f"Choose among {fitting}, or remove it" if usable else "Remove it"
            yield f"{where} cannot be used: {candidate.estimator!r} takes no weights. {advice}."
