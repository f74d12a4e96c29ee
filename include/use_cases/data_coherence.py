"""What the sections on data say, checked against each other: `ingest`, `labels`, `migrations`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.use_cases.naming import PREDICTED_CLASS, alike, probability_of, repeated, unknown
from include.use_cases.people_coherence import people_problems
from include.use_cases.rule_coherence import rule_problems
from include.use_cases.sections.labels import RULE
from include.use_cases.sections.training import GROUP, RANDOM
from include.use_cases.sections.values import TIMES

if TYPE_CHECKING:
    from include.use_cases.schema import ColumnType, Labels, Reference, UseCase


def data_problems(use_case: UseCase) -> Iterator[str]:
    """Tell what contradicts, one sentence each, beginning with the key that it is about."""
    for check in (_ingest, _formats, _references, _labels, _migrations):
        yield from check(use_case)


def _ingest(use_case: UseCase) -> Iterator[str]:
    ingest, columns = use_case.ingest, use_case.ingest.columns
    landings = {"ingest": ingest.landing}
    if use_case.labels is not None:
        landings["labels"] = use_case.labels.landing
    for where, landing in landings.items():
        if "{partition}" not in landing:
            yield f"{where}.landing must have '{{partition}}' in it, got {landing!r}."
    yield from repeated("ingest.key", ingest.key)
    yield from alike("ingest.columns", ingest.columns)
    yield from unknown("ingest.key", ingest.key, columns)
    if (by := ingest.corrections.column) is not None:
        yield from unknown("ingest.corrections.by (besides 'landed')", [by], columns)
        if columns.get(by, "int64") not in {"int64", "float64", *TIMES}:
            yield (
                "ingest.corrections.by must be 'landed', a number, or a timestamp or date column, "
                f"got {by!r} of type {columns[by]}. Name another column, or remove the key."
            )
    split = use_case.train.split
    for where, name in (
        ("ingest.partition.column", ingest.partition.column),
        (f"train.split.by (besides '{RANDOM}' and '{GROUP}<column>')", split.time),
    ):
        if name is None:
            continue
        yield from unknown(where, [name], columns)
        if columns.get(name, "timestamp") not in TIMES:
            yield (
                f"{where} must be a timestamp or date column, got {name!r} of type {columns[name]}."
            )


def _formats(use_case: UseCase) -> Iterator[str]:
    ingest, labels = use_case.ingest, use_case.labels
    described = {"ingest": (ingest.format, ingest.columns)}
    for name, reference in ingest.references.items():
        described[f"ingest.references.{name}"] = (reference.format, reference.columns)
    if labels is not None and labels.landing == ingest.landing:
        described["ingest"] = (ingest.format, {**ingest.columns, **labels.columns})
    elif labels is not None:
        described["labels"] = (labels.format, labels.columns)
    for where, (written, columns) in described.items():
        yield from unknown(f"{where}.format.columns", written.columns, columns)
        for name, rules in written.columns.items():
            kind = columns.get(name)
            for rule, kinds in _RULES_OF.items():
                if kind is not None and kind not in kinds and getattr(rules, rule) is not None:
                    yield (
                        f"{where}.format.columns.{name}.{rule} is for {' and '.join(kinds)}, but "
                        f"{name!r} is of type {kind}. Remove it."
                    )


_RULES_OF: dict[str, tuple[ColumnType, ...]] = {
    "decimal": ("float64",),
    "thousands": ("int64", "float64"),
    "true_values": ("bool",),
    "false_values": ("bool",),
    "time_zone": ("timestamp",),
    "time_format": ("timestamp", "date"),
}


def _references(use_case: UseCase) -> Iterator[str]:
    ingest, features = use_case.ingest, use_case.features
    taken = dict.fromkeys(features.inputs, "features.inputs")
    for name, reference in ingest.references.items():
        where = f"ingest.references.{name}"
        yield from unknown(f"{where}.key", reference.key, reference.columns)
        if reference.as_of is not None:
            yield from _as_of(use_case, reference, f"{where}.as_of")
    yield from unknown("features.references", features.references, ingest.references)
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
    yield from unknown(where, [name], columns)
    if columns.get(name, "timestamp") not in TIMES or name in reference.key:
        yield (
            f"{where} must be a timestamp or date column outside the key, got {name!r}. Name "
            "another column, or remove it."
        )
    if use_case.time_input is None:
        times = sorted(use_case.times) or "a timestamp column of train.split.by"
        yield (
            f"{where} needs the time of each row, in a request too: one of {times} must be among "
            "features.inputs. Add it there."
        )


def _labels(use_case: UseCase) -> Iterator[str]:
    labels, task = use_case.labels, use_case.task
    if labels is None:
        if task != "clustering":
            yield f"task {task} needs the section 'labels', which is missing. Add it."
        return
    if task == "clustering":
        yield "labels are for classification and regression, not for clustering. Remove them."
    yield from rule_problems(use_case, labels)
    yield from people_problems(use_case, labels)
    if labels.landed:
        yield from _landed(use_case, labels)


def _landed(use_case: UseCase, labels: Labels) -> Iterator[str]:
    task, columns = use_case.task, use_case.ingest.columns
    yield from unknown("ingest.key (in labels.columns)", use_case.ingest.key, labels.columns)
    for name in use_case.ingest.key:
        if labels.columns.get(name, columns.get(name)) != columns.get(name):
            yield f"labels.columns.{name} must be {columns.get(name)}, as in ingest.columns."
    if labels.strategy == "column" and labels.landing != use_case.ingest.landing:
        yield (
            "labels.landing is that of the rows with strategy 'column', "
            f"{use_case.ingest.landing!r}, got {labels.landing!r}. Remove it, or write "
            "'strategy: outcome' for files of their own."
        )
    yield from unknown("labels.from", [labels.from_], labels.columns)
    if labels.from_ in columns:
        yield (
            f"labels.from {labels.from_!r} is among ingest.columns: it would leak into the model. "
            "Remove it there; with strategy 'column' it is read of the same files."
        )
    yield from _classes(labels, task)
    made = {PREDICTED_CLASS, *(probability_of(c).casefold() for c in use_case.class_names)}
    for name in use_case.ingest.key if use_case.class_names else ():
        if name.casefold() in made:
            yield (
                f"ingest.key {name!r} is also a column of predictions, by labels.classes. Rename "
                "the column where it is landed."
            )


def _classes(labels: Labels, task: str) -> Iterator[str]:
    kind = labels.columns.get(labels.from_, "bool")
    number = kind in ("int64", "float64")
    made = [name for name in ("rule", "classes") if getattr(labels, name) is not None]
    if task == "regression":
        if kind not in ("int64", "float64", "bool"):
            yield f"labels.from {labels.from_!r} must be a number for regression, got {kind}."
        if made:
            yield f"labels.{made[0]} is for classification. Remove it."
    elif task == "classification":
        if len(made) != 1 and (made or kind != "bool"):
            yield (
                "labels needs one of 'rule' and 'classes' for classification, like "
                "rule: '>= 15' or classes: {Yes: 1, No: 0}, got "
                f"{' and '.join(made) or 'neither'}."
            )
        if isinstance(labels.classes, dict) and set(labels.classes.values()) != {0, 1}:
            yield "labels.classes must have a value of class 1 and one of class 0."
        if labels.rule is not None and (RULE.fullmatch(labels.rule) or [""] * 3)[2]:
            if kind not in ("int64", "float64", "bool"):
                yield (
                    f"labels.rule {labels.rule!r} compares with a number, but {labels.from_!r} is "
                    f"of type {kind}. Put the text in quotes, like '== \"Yes\"'."
                )
        elif labels.rule is not None and (number or kind != "string"):
            yield (
                f"labels.rule {labels.rule!r} compares with a text, but {labels.from_!r} is of "
                f"type {kind}."
            )


def _migrations(use_case: UseCase) -> Iterator[str]:
    for number, one in enumerate(use_case.migrations):
        where = f"migrations[{number}] of column {one.column!r}"
        if one.before == one.after:
            yield f"{where} must change the type, got {one.before!r} twice. Remove it."
        elif TIMES & {one.before, one.after} and "string" not in (one.before, one.after):
            yield (
                f"{where}: a time can only become a string, or be read from one, got "
                f"{one.before!r} to {one.after!r}. Give the new column another name."
            )
