"""What is predicted: the label, the task, the classes and the metric."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from include.errors import DataContractError
from include.ingest_label.checks import listed
from include.profiling.classes import (
    LEAST_OF_A_CLASS,
    are_classes,
    classes_of,
    may_be_classes,
)
from include.profiling.table import Table
from include.use_cases.schema import ColumnType, Task
from include.use_cases.sections.values import TIMES

_NAMES = (
    "label", "target", "y", "class", "outcome", "churn", "churned", "left", "exited", "attrition",
    "survived", "default", "diagnosis", "response", "fraud", "gekündigt", "abgang", "ziel",
    "species", "category", "klasse",
)  # fmt: skip
_SEX = re.compile(r"sex|gender|male|geschlecht", re.IGNORECASE)  # has two values, and is no outcome
_POSITIVE = {
    "yes", "true", "1", "y", "t", "ja", "j", "oui", "si", "wahr", "on", "positive", "pos", "bad",
    "churned", "left", "fraud", "malignant", "default", "success", "1.0",
}  # fmt: skip
_RARE = 0.05
"""Where fewer rows are of class 1, average precision tells models apart and ROC AUC hardly does
(Saito and Rehmsmeier 2015)."""
_LEAST_ROWS = 50
"""A fifth is held out, and three folds share the rest. Our choice: with fewer rows no fold could
tell two models apart."""
_NUMBERS = ("int64", "float64")


@dataclass(frozen=True)
class Outcome:
    """What is predicted.

    Attributes
    ----------
    column : str
        The label.
    kind : str
        Its type in `labels.columns`.
    task : {'classification', 'regression'}
        Two values or classes by name, or numbers.
    classes : dict of str to int, or list of str
        The class of each of two values, or the names of more classes; empty for numbers, and for a
        bool.
    metric : str
        By which models are compared.
    labels : Series
        Of the sample: numbers of classes, or numbers; NaN where missing.
    why : str
        The reasons.
    """

    column: str
    kind: ColumnType
    task: Task
    metric: str
    labels: pd.Series[Any]
    why: str
    classes: dict[str, int] | list[str] = field(default_factory=dict)


def label_of(table: Table) -> tuple[str, str]:
    """Guess which column is the label, and say why.

    Raises
    ------
    DataContractError
        None looks like one.
    """
    for name in _NAMES:
        for column in table.frame.columns:
            if column.lower().strip() == name and _may_be(table, column, named=True):
                return column, "by its name"
    names = [name for name in table.frame.columns if _may_be(table, name)]
    two = [name for name in names if table.distinct(name) == 2 and not _SEX.search(name)]
    if len(two) == 1:
        return two[0], "the only column of two values"
    last = list(table.findings)[-1]
    if last in names:
        return last, "the last column"
    if two:
        return two[-1], "the last column of two values"
    raise DataContractError(
        f"{table.path}: no column looks like the label. Name it: LABEL=, one of "
        f"{listed(list(table.findings))}."
    )


def outcome_of(table: Table, label: str) -> Outcome:
    """Say how the label is predicted.

    Raises
    ------
    DataContractError
        It cannot be: it is missing, constant, or another one in each row.
    """
    where = f"LABEL={label}"
    if label not in table.findings:
        raise DataContractError(
            f"{where}: there is no such column; there are {listed(list(table.findings))}. "
            "Correct LABEL."
        )
    if label not in table.frame:
        raise DataContractError(f"{where}: {label!r} {table.findings[label].obstacle}.")
    values, kind = table.frame[label].dropna(), table.kind(label)
    distinct = table.distinct(label)
    if distinct == 0:
        raise DataContractError(f"{where}: no row has a value. Name another column.")
    if distinct == 1:
        raise DataContractError(
            f"{where}: is {str(values.iloc[0])!r} in each row that has one, so there is nothing to "
            "learn. Name another column, or a file with both outcomes."
        )
    if len(values) < _LEAST_ROWS:
        raise DataContractError(
            f"{where}: {len(values)} rows have a label; a first model needs {_LEAST_ROWS}. Name a "
            "file with more."
        )
    if distinct == 2 and kind not in TIMES:
        return _classification(table, label, values)
    if kind in TIMES:
        raise DataContractError(f"{where}: holds times. Name a column of classes or numbers.")
    if kind in _NUMBERS and not are_classes(values):
        return _regression(table, label, values)
    if distinct > 0.5 * len(values):
        raise DataContractError(
            f"{where}: has another text in nearly each row, which nothing can predict. Name "
            "another column."
        )
    found = classes_of(table, label, values)
    why = _with_gaps(table, label, found.why)
    return Outcome(label, kind, "classification", found.metric, found.labels, why, found.names)


def _regression(table: Table, label: str, values: pd.Series[Any]) -> Outcome:
    kind, distinct = table.kind(label), table.distinct(label)
    if kind == "int64" and distinct == len(values) and values.is_monotonic_increasing:
        raise DataContractError(f"LABEL={label}: counts the rows. Name the column to predict.")
    why = f"{distinct:,} different numbers, {values.min():g} to {values.max():g}"
    numbers = table.frame[label].astype("float64")
    return Outcome(label, kind, "regression", "mae", numbers, _with_gaps(table, label, why))


def _classification(table: Table, label: str, values: pd.Series[Any]) -> Outcome:
    counts = values.value_counts()
    finding, words = table.findings[label], _words(table, label, counts)
    if counts.min() < LEAST_OF_A_CLASS:
        rare = words[counts.idxmin()][0]
        raise DataContractError(
            f"LABEL={label}: {counts.min()} rows are {rare!r}; a first model needs "
            f"{LEAST_OF_A_CLASS} of each class. Name a file with more of them."
        )
    likely = [value for value in counts.index if str(value).lower() in _POSITIVE]
    positive = likely[0] if len(likely) == 1 else counts.idxmin()
    told = "by its name" if len(likely) == 1 else "the rarer one"
    labels = table.frame[label].map(lambda value: float(value == positive), na_action="ignore")
    labels = labels.astype("float64")
    share = float(labels.mean())
    metric = "average_precision" if share < _RARE else "roc_auc"
    named = " or ".join(repr(word) for word in words[positive])
    why = _with_gaps(table, label, f"two values; class 1 is {named}, {told}, {share:.1%} of rows")
    classes = {word: int(value == positive) for value, some in words.items() for word in some}
    if finding.kind == "bool" and "true_values" not in finding.rules:
        return Outcome(label, "bool", "classification", metric, labels, why)
    kind: ColumnType = "string" if finding.kind == "bool" else finding.kind
    return Outcome(label, kind, "classification", metric, labels, why, classes)


def _words(table: Table, label: str, counts: pd.Series[Any]) -> dict[Any, list[str]]:
    """Return how each of the two values stands in the file."""
    rules = table.findings[label].rules
    if "true_values" in rules:
        return {True: list(rules["true_values"]), False: list(rules["false_values"])}
    if table.kind(label) == "float64":
        return {value: [f"{value:.15g}"] for value in counts.index}
    return {value: [str(value)] for value in counts.index}


def _with_gaps(table: Table, label: str, why: str) -> str:
    share = table.missing(label)
    return f"{why}; {share:.1%} of rows have no label, and are not learned from" if share else why


def _may_be(table: Table, name: str, *, named: bool = False) -> bool:
    kind, distinct = table.kind(name), table.distinct(name)
    number = kind in _NUMBERS and distinct > 2
    return distinct == 2 or number or may_be_classes(table, name, named=named)
