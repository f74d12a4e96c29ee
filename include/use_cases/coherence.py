"""What one section of a use case says, checked against the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from include.use_cases.reserved import reserved_names
from include.use_cases.spaces import ESTIMATORS, METRICS

if TYPE_CHECKING:
    from include.use_cases.schema import Reference, UseCase


def problems_of(use_case: UseCase) -> list[str]:
    """All contradictions between the sections, one sentence each; empty when there are none.

    A sentence begins with the key that it is about, written with dots: that gives it its line.
    """
    checks = (
        reserved_names,
        _ingest,
        _clean,
        _references,
        _labels,
        _features,
        _train,
        _deploy_and_retrain,
        _migrations,
    )
    return [problem for check in checks for problem in check(use_case)]


def _unknown(where: str, names: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    known = sorted(allowed)
    for name in names:
        if name not in known:
            yield f"{where} names {name!r}, which is not one of {known}. Correct it or declare it."


def _repeated(where: str, names: Iterable[str]) -> Iterator[str]:
    names = list(names)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where} names {name!r} more than once. Remove the repetition."


def _ingest(use_case: UseCase) -> Iterator[str]:
    ingest, columns = use_case.ingest, use_case.ingest.columns
    landings = {"ingest": ingest.landing}
    if use_case.labels is not None:
        landings["labels"] = use_case.labels.landing
    for where, landing in landings.items():
        if "{partition}" not in landing:
            yield f"{where}.landing must have '{{partition}}' in it, got {landing!r}."
    yield from _repeated("ingest.key", ingest.key)
    yield from _unknown("ingest.key", ingest.key, columns)
    if (by := ingest.corrections.column) is not None:
        yield from _unknown("ingest.corrections.by (besides 'landed')", [by], columns)
        if columns.get(by, "int64") not in ("int64", "float64", "timestamp"):
            yield (
                "ingest.corrections.by must be 'landed', a number or a timestamp column, got "
                f"{by!r} of type {columns[by]}. Name another column, or remove the key."
            )
    for where, name in (
        ("ingest.partition.column", ingest.partition.column),
        ("train.split.by", use_case.train.split.by),
    ):
        yield from _unknown(where, [name], columns)
        if columns.get(name, "timestamp") != "timestamp":
            yield f"{where} must be a timestamp column, got {name!r} of type {columns[name]}."


def _clean(use_case: UseCase) -> Iterator[str]:
    columns, clean = use_case.ingest.columns, use_case.clean
    yield from _unknown("clean.missing", clean.missing, columns)
    yield from _unknown("clean.noise", clean.noise, columns)
    numbers = {"int64", "float64"}
    for name, value in clean.missing.items():
        kind = columns.get(name)
        if kind is None or value == "drop":
            continue
        fits = kind in numbers if isinstance(value, float) else kind == "string"
        if not fits or (kind == "int64" and value != int(value)):
            yield f"clean.missing.{name} must be 'drop' or a {kind} to fill in, got {value!r}."
    for name, (low, high) in clean.noise.items():
        if columns.get(name, "int64") not in numbers:
            yield f"clean.noise.{name} is for numbers, but {name!r} is of type {columns[name]}."
        if low > high:
            yield f"clean.noise.{name} must be [lowest, highest], got {[low, high]}."


def _references(use_case: UseCase) -> Iterator[str]:
    ingest, features = use_case.ingest, use_case.features
    taken = dict.fromkeys(features.inputs, "features.inputs")
    for name, reference in ingest.references.items():
        where = f"ingest.references.{name}"
        yield from _unknown(f"{where}.key", reference.key, reference.columns)
        if reference.as_of is not None:
            yield from _as_of(use_case, reference, f"{where}.as_of")
    yield from _unknown("features.references", features.references, ingest.references)
    for name in features.references:
        if name not in ingest.references:
            continue
        reference, where = ingest.references[name], f"ingest.references.{name}"
        for column in reference.key:
            if column not in features.inputs:
                yield f"{where}.key {column!r} must be among features.inputs. Add it there."
            elif (ours := ingest.columns.get(column)) != (theirs := reference.columns.get(column)):
                yield f"{where}.key {column!r} must have one type, got {ours} and {theirs}."
        for column in reference.values:
            if column in taken:
                yield f"{where}.columns has {column!r}, as has {taken[column]}. Leave one out."
            taken[column] = where


def _as_of(use_case: UseCase, reference: Reference, where: str) -> Iterator[str]:
    name, columns = reference.as_of or "", reference.columns
    yield from _unknown(where, [name], columns)
    if columns.get(name, "timestamp") != "timestamp" or name in reference.key:
        yield (
            f"{where} must be a timestamp column outside the key, got {name!r}. Name another "
            "column, or remove it."
        )
    if use_case.time_input is None:
        times = sorted({use_case.train.split.by, use_case.ingest.partition.column})
        yield (
            f"{where} needs the time of each row, in a request too: one of {times} must be among "
            "features.inputs. Add it there."
        )


def _labels(use_case: UseCase) -> Iterator[str]:
    labels, task, columns = use_case.labels, use_case.task, use_case.ingest.columns
    if labels is None:
        if task != "clustering":
            yield f"task {task} needs the section 'labels', which is missing. Add it."
        return
    if task == "clustering":
        yield "labels are for classification and regression, not for clustering. Remove them."
    yield from _unknown("ingest.key (in labels.columns)", use_case.ingest.key, labels.columns)
    for name in use_case.ingest.key:
        if labels.columns.get(name, columns.get(name)) != columns.get(name):
            yield f"labels.columns.{name} must be {columns.get(name)}, as in ingest.columns."
    yield from _unknown("labels.from", [labels.from_], labels.columns)
    if labels.columns.get(labels.from_, "float64") not in ("int64", "float64", "bool"):
        yield f"labels.from {labels.from_!r} must be a number or a bool."
    if (task == "classification") != (labels.rule is not None):
        yield "labels.rule is for classification, and classification needs it, like '>= 15'."
    if labels.from_ in columns:
        yield f"labels.from {labels.from_!r} lands with the rows: it would leak into the model."


def _features(use_case: UseCase) -> Iterator[str]:
    features = use_case.features
    yield from _repeated("features.inputs", features.inputs)
    yield from _unknown("features.inputs", features.inputs, use_case.ingest.columns)
    yield from _repeated("features.numeric and features.categorical", features.columns)
    if not features.columns:
        yield "features needs at least one numeric or categorical column."
    kept = {*use_case.ingest.key, use_case.ingest.partition.column, use_case.train.split.by}
    for name in features.columns:
        same_type = name in features.categorical and use_case.ingest.columns.get(name) == "string"
        if name in kept and not same_type:
            yield (
                f"features names {name!r}, which the features table keeps as it is to name "
                "the row. "
                "Derive the feature under another name in features.py."
            )


def _train(use_case: UseCase) -> Iterator[str]:
    task, train = use_case.task, use_case.train
    if train.metric not in METRICS[task]:
        yield f"train.metric for {task} is one of {sorted(METRICS[task])}, got {train.metric!r}."
    names = [candidate.estimator for candidate in train.candidates]
    yield from _repeated("train.candidates", names)
    for name in names:
        if name not in ESTIMATORS[task]:
            known = sorted(ESTIMATORS[task])
            yield f"train.candidates for {task} are among {known}, got {name!r}."


def _deploy_and_retrain(use_case: UseCase) -> Iterator[str]:
    unit = use_case.deploy.resample_by
    units = {"day", "rows", *use_case.ingest.key, *use_case.features.categorical}
    if unit not in units:
        yield (
            "deploy.resample_by must be 'day', 'rows', or a column of ingest.key or "
            f"features.categorical (one of {sorted(units)}), got {unit!r}. Choose one of these."
        )
    if use_case.deploy.slices is not None:
        yield from _unknown(
            "deploy.slices.columns (in features.categorical)",
            use_case.deploy.slices.columns,
            use_case.features.categorical,
        )
    for name in ("performance", "corrections"):
        if use_case.task == "clustering" and name in use_case.retrain.when:
            yield f"retrain.when {name!r} needs labels; a clustering use case has none. Remove it."


def _migrations(use_case: UseCase) -> Iterator[str]:
    for number, one in enumerate(use_case.migrations):
        where = f"migrations[{number}] of column {one.column!r}"
        if one.before == one.after:
            yield f"{where} must change the type, got {one.before!r} twice. Remove it."
        elif "timestamp" in (one.before, one.after) and "string" not in (one.before, one.after):
            yield (
                f"{where}: a timestamp can only become a string, or be read from one, got "
                f"{one.before!r} to {one.after!r}. Give the new column another name."
            )
