"""What `labels.people` says, checked against the columns, the task and the classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.use_cases.naming import repeated, unknown
from include.use_cases.sections.people import MOST_IN_AIRFLOW

if TYPE_CHECKING:
    from include.use_cases.schema import Labels, UseCase
    from include.use_cases.sections.people import People

SKIP = "Skip"
"""The answer of an annotator who cannot tell."""


def people_problems(use_case: UseCase, labels: Labels) -> Iterator[str]:
    """Tell what contradicts, one sentence each, beginning with the key that it is about."""
    people = labels.people
    if people is None:
        return
    if use_case.task != "classification":
        yield (
            f"labels.people is for classification, where people choose a class, not for "
            f"{use_case.task}. Remove it."
        )
    yield from _classes(labels)
    yield from _choice(labels, people)
    yield from _where_asked(people)
    yield from _shown(use_case, people)


def _classes(labels: Labels) -> Iterator[str]:
    if labels.strategy == "people" and labels.classes is None:
        yield (
            "labels.classes must name what people choose from, with strategy 'people', like "
            "{Yes: 1, No: 0} or [low, middle, high], got nothing. Write it."
        )
    if isinstance(labels.classes, dict) and not labels.landed:
        values = sorted(labels.classes.values())
        if values != [0, 1]:
            yield (
                "labels.classes must have one name of class 1 and one of class 0, where people "
                f"choose between them, got {labels.classes}. Correct it."
            )
    for name in labels.answers:
        if name.strip().casefold() == SKIP.casefold():
            yield (
                f"labels.classes must not name {name!r}: with it people say that they cannot "
                "tell. Rename the class."
            )


def _choice(labels: Labels, people: People) -> Iterator[str]:
    if people.choose.get("disagreement") and labels.rules is None:
        yield (
            "labels.people.choose 'disagreement' is that of rules, and there are no labels.rules. "
            "Write some, or remove it."
        )
    if people.gold is not None and people.gold_items >= people.items:
        yield (
            f"labels.people.gold_items must be fewer than the {people.items} items of a round, "
            f"got {people.gold_items}. Lower it, or raise labels.people.items."
        )
    for key, needed, there in (
        ("min_accuracy", "gold", people.gold is not None or people.min_accuracy is None),
        ("below", "min_accuracy", people.min_accuracy is not None or people.below == "report"),
    ):
        if not there:
            yield (
                f"labels.people.{key} says nothing without labels.people.{needed}, which is not "
                f"given. Write {needed}, or remove {key}."
            )
    yield from repeated("labels.people.trusted", people.trusted or [])
    yield from repeated("labels.people.adjudicators", people.adjudicators or [])


def _where_asked(people: People) -> Iterator[str]:
    if people.ask == "airflow":
        if people.items > MOST_IN_AIRFLOW:
            yield (
                f"labels.people.items must be at most {MOST_IN_AIRFLOW} with ask 'airflow', got "
                f"{people.items}. Lower it, or write 'ask: label_studio'."
            )
        for key in ("connection", "boxes"):
            if getattr(people, key) is not None:
                yield (
                    f"labels.people.{key} is for ask 'label_studio', not for 'airflow'. Remove it, "
                    "or write 'ask: label_studio'."
                )
    elif people.connection is None:
        yield (
            "labels.people.connection must name the Airflow connection of Label Studio, got "
            "nothing. Write it, like 'connection: label_studio'."
        )


def _shown(use_case: UseCase, people: People) -> Iterator[str]:
    columns = use_case.ingest.columns
    yield from repeated("labels.people.show", people.show or [])
    yield from unknown("labels.people.show (in ingest.columns)", people.show or [], columns)
    yield from repeated("labels.people.boxes", people.boxes or [])
    if people.boxes is not None and people.picture is None:
        yield (
            "labels.people.boxes are drawn on a picture, and there is no labels.people.picture. "
            "Write one, or remove the boxes."
        )
    if people.picture is None or (column := people.picture.column) is None:
        return
    where = "labels.people.picture.column (in ingest.columns)"
    yield from unknown(where, [column], columns)
    if columns.get(column, "string") != "string":
        yield (
            f"labels.people.picture.column must be a string, the path of a file, got {column!r} "
            f"of type {columns[column]}. Name another column."
        )
