"""What `labels.rules` says, and which strategies there are, checked against the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.use_cases.naming import repeated
from include.use_cases.predicates import columns_of, parse, problem_of

if TYPE_CHECKING:
    from include.use_cases.schema import Labels, UseCase
    from include.use_cases.sections.rules import LabellingFunction


def rule_problems(use_case: UseCase, labels: Labels) -> Iterator[str]:
    """Tell what contradicts, one sentence each, beginning with the key that it is about."""
    yield from repeated("labels.precedence", labels.precedence)
    for one in labels.strategies:
        if one not in labels.precedence:
            yield f"labels.precedence must name {one!r}, which gives labels here. Add it."
    if not labels.landed:
        yield from _without_files(labels)
    if labels.rules is None:
        return
    if use_case.task != "classification":
        yield f"labels.rules is for classification, not for {use_case.task}. Remove it."
    for name, function in labels.rules.functions.items():
        yield from _function(use_case, labels, function, f"labels.rules.functions.{name}")


def _function(
    use_case: UseCase, labels: Labels, function: LabellingFunction, where: str
) -> Iterator[str]:
    columns = use_case.ingest.columns
    if function.label is not None and labels.class_of(function.label) is None:
        names, last = list(labels.numbers or ()), len(use_case.class_names or "01") - 1
        numbers = f"a number from 0 to {last}" if last > 1 else "0 or 1"
        classes = f"one of {names} in labels.classes, or {numbers}" if names else numbers
        yield f"{where}.label must be {classes}, got {function.label!r}. Correct it."
    for compared in columns_of(parse(function.when)) if function.when else ():
        kind = columns.get(compared.column)
        if kind is None:
            yield (
                f"{where}.when names {compared.column!r}, which is not among ingest.columns. "
                "Correct the name."
            )
        elif problem := problem_of(compared, kind):
            yield f"{where}.when {problem}."


def _without_files(labels: Labels) -> Iterator[str]:
    if labels.strategy not in labels.strategies:
        yield (
            f"labels.strategy {labels.strategy!r} needs labels.{labels.strategy}, which is "
            "missing. Write it."
        )
    # People answer with the names of classes; rules vote for the places of several.
    needed = labels.people is not None or isinstance(labels.classes, list)
    named = {} if needed else {"classes": labels.classes}
    for key, value in {"from": labels.from_, "rule": labels.rule, **named}.items():
        if value:
            yield (
                f"labels.{key} is for labels that land, not for strategy {labels.strategy!r}. "
                "Remove it, or name the strategy 'outcome' or 'column'."
            )
