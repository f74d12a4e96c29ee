"""Three classes or more: whether a label has them, their names, and the metric that judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.errors import DataContractError
from include.ingest_label.checks import listed
from include.profiling.table import Table
from include.use_cases.sections.labels import MAX_CLASSES

LEAST_OF_A_CLASS = 10
"""Our choice: a fifth is held out, and three folds share the rest; with fewer rows of a class no
fold could tell two models apart."""

_MOST_NUMBERS = 10
"""At most so many whole numbers without a gap are taken for classes, such as digits or grades; more
are a quantity. Our choice."""
_FEW_NAMED = 20
"""A text column with more values is seldom a label, unless its name says so. Our choice."""
_UNEVEN, _ENOUGH = 0.25, 100
"""Below a quarter of an equal share, a class hardly moves a mean over rows; of a fifth of 100 rows
20 are held out, which `include.modelling.uncertainty.MIN_CLASS_ROWS` asks of each class before it
says how sure a mean over classes is."""


@dataclass(frozen=True)
class Classes:
    """The classes of a label.

    Attributes
    ----------
    names : list of str
        As the file writes them; the number of a class is its place.
    labels : Series
        The number of each row's class; NaN where missing.
    metric : str
        By which models are compared.
    why : str
        The reasons.
    """

    names: list[str]
    labels: pd.Series[Any]
    metric: str
    why: str


def may_be_classes(table: Table, name: str, *, named: bool) -> bool:
    """Whether a text column may hold the classes to predict; `named` like a label it may be wide.

    Others are found by their numbers.
    """
    most = MAX_CLASSES if named else _FEW_NAMED
    repeated = table.distinct(name) * LEAST_OF_A_CLASS <= table.frame[name].count()
    return table.kind(name) == "string" and 3 <= table.distinct(name) <= most and repeated


def are_classes(values: pd.Series[Any]) -> bool:
    """Whether numbers look like classes: 0 or 1 and on, ten at most, none left out, none rare."""
    counts = values.value_counts()
    if len(counts) > _MOST_NUMBERS or counts.min() < LEAST_OF_A_CLASS:
        return False
    numbers = sorted(counts.index)
    return numbers[0] in (0, 1) and numbers == [numbers[0] + n for n in range(len(numbers))]


def classes_of(table: Table, label: str, values: pd.Series[Any]) -> Classes:
    """Name the classes of a label with three values or more.

    Raises
    ------
    DataContractError
        There are too many, some have too few rows, or two differ only in upper and lower case.
    """
    where, counts = f"LABEL={label}", values.value_counts()
    if len(counts) > MAX_CLASSES:
        raise DataContractError(
            f"{where}: has {len(counts):,} classes, {MAX_CLASSES} at most can be told apart. Put "
            "rare ones together in the file, or name another column."
        )
    if len(rare := counts[counts < LEAST_OF_A_CLASS]):
        shown = listed([f"{value} ({rows})" for value, rows in rare.sort_index().items()])
        raise DataContractError(
            f"{where}: a first model needs {LEAST_OF_A_CLASS} rows of each class, but of "
            f"{len(counts)} classes {len(rare)} have fewer: {shown}. Put rare classes together in "
            "the file, or leave their label empty, so that these rows are not learned from."
        )
    ordered = sorted(counts.index)
    names = [f"{value:.15g}" if isinstance(value, float) else str(value) for value in ordered]
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.casefold(), name)) != name:
            raise DataContractError(
                f"{where}: {other!r} and {name!r} differ only in upper and lower case, and each "
                "class names a column of the lake. Write them in one way, or rename one."
            )
    places = {value: float(number) for number, value in enumerate(ordered)}
    labels = table.frame[label].map(places.get, na_action="ignore").astype("float64")
    rarest, share = counts.idxmin(), counts.min() / len(values)
    uneven = share < _UNEVEN / len(counts) and counts.min() >= _ENOUGH
    metric = "f1_macro" if uneven else "log_loss"
    because = (
        "in which each class counts alike, because one is rare"
        if uneven
        else "which judges the probabilities of all classes"
    )
    why = (
        f"{len(names)} classes, {str(rarest)!r} the rarest with {share:.1%} of rows; judged by "
        f"{metric}, {because}"
    )
    if pd.api.types.is_numeric_dtype(values.dtype):
        why += "; if it is a quantity, remove labels.classes, write task: regression, metric: mae"
    return Classes(names, labels, metric, why)
