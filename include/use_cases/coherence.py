"""What one section of a use case says, checked against the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.use_cases.data_coherence import data_problems
from include.use_cases.naming import alike, repeated, unknown
from include.use_cases.reserved import reserved_names
from include.use_cases.training_coherence import training_problems

if TYPE_CHECKING:
    from include.use_cases.schema import UseCase


def problems_of(use_case: UseCase) -> list[str]:
    """All contradictions between the sections, one sentence each; empty when there are none.

    A sentence begins with the key that it is about, written with dots: that gives it its line.
    """
    checks = (
        reserved_names,
        data_problems,
        _clean,
        _features,
        training_problems,
        _deploy_and_retrain,
    )
    return [problem for check in checks for problem in check(use_case)]


def _clean(use_case: UseCase) -> Iterator[str]:
    columns, clean = use_case.ingest.columns, use_case.clean
    yield from unknown("clean.missing", clean.missing, columns)
    yield from unknown("clean.noise", clean.noise, columns)
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


def _features(use_case: UseCase) -> Iterator[str]:
    features = use_case.features
    yield from repeated("features.inputs", features.inputs)
    yield from unknown("features.inputs", features.inputs, use_case.ingest.columns)
    yield from repeated("features.numeric and features.categorical", features.columns)
    together = dict.fromkeys([*features.columns, *use_case.ingest.key, *use_case.times])
    if not any(alike("", use_case.ingest.columns)):  # told of these already
        yield from alike("features, with the key and the time", together)
    if not features.columns:
        yield "features needs at least one numeric or categorical column."
    kept = {*use_case.ingest.key, *use_case.times}
    for name in features.columns:
        same_type = name in features.categorical and use_case.ingest.columns.get(name) == "string"
        if name in kept and not same_type:
            yield (
                f"features names {name!r}, which the features table keeps as it is to name "
                "the row. "
                "Derive the feature under another name in features.py."
            )


def _deploy_and_retrain(use_case: UseCase) -> Iterator[str]:
    split, unit = use_case.train.split, use_case.resample_by
    named = {*use_case.ingest.key, *use_case.features.categorical}
    units = {"rows", *named} | ({"day"} if split.time else set())
    if split.group is not None:
        yield from unknown("train.split.by 'group:'", [split.group], named)
        if unit != split.group:
            yield (
                f"deploy.resample_by must be {split.group!r}, by which train.split groups the "
                f"rows, got {unit!r}. Remove it."
            )
    elif unit not in units:
        yield (
            "deploy.resample_by must be 'day', 'rows', or a column of ingest.key or "
            f"features.categorical (one of {sorted(units)}), got {unit!r}. Choose one of these."
        )
    if use_case.deploy.slices is not None:
        yield from unknown(
            "deploy.slices.columns (in features.categorical)",
            use_case.deploy.slices.columns,
            use_case.features.categorical,
        )
    for name in ("performance", "new_labels", "corrections"):
        if use_case.task == "clustering" and name in use_case.retrain.when:
            yield f"retrain.when {name!r} needs labels; a clustering use case has none. Remove it."
