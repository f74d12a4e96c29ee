"""The votes of a use case's labelling functions on some rows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from include.errors import ConfigError, bounded
from include.label.predicates import holds
from include.labelling.label_model import ABSTAIN, Votes
from include.use_cases.loader import labels_python_of
from include.use_cases.predicates import parse
from include.use_cases.python_package import LABELS
from include.use_cases.schema import Labels, UseCase
from include.use_cases.sections.rules import Rules

_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, eq=False)
class Voted:
    """What the functions say.

    Attributes
    ----------
    names : list of str
        The functions, in the order of the YAML.
    votes : ndarray of shape (rows, functions)
        A class, or `ABSTAIN`.
    raised : dict of str to int
        In how many rows a function raised, or returned what is no class: it abstains there.
    first_error : dict of str to str
        What it did in the first of these.
    """

    names: list[str]
    votes: Votes
    raised: dict[str, int] = field(default_factory=dict)
    first_error: dict[str, str] = field(default_factory=dict)


def classes_of(use_case: UseCase) -> int:
    """Return how many classes there are: as many as `labels.classes` lists, or two."""
    return len(use_case.class_names) or 2


def vote(use_case: UseCase, labels: Labels, rules: Rules, rows: pa.Table) -> Voted:
    """Ask each function about each row.

    Parameters
    ----------
    use_case : UseCase
        Its `labels.py` has the functions that the rules name.
    labels, rules : Labels and Rules
        The classes, and the functions that vote for them.
    rows : Table
        Columns of `ingest.columns`.

    Raises
    ------
    ConfigError
        `labels.py` cannot be imported, or lacks a function.
    """
    names = list(rules.functions)
    voted = Voted(names, np.full((rows.num_rows, len(names)), ABSTAIN, np.int64))
    written: dict[int, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {}
    for number, (name, function) in enumerate(rules.functions.items()):
        if function.when is not None and function.label is not None:
            label = _class(function.label, labels)
            voted.votes[holds(parse(function.when), rows), number] = label
        else:
            written[number] = (name, _written(use_case, str(function.python)))
    if written:
        _ask(written, rows, voted, labels)
    return voted


def _written(use_case: UseCase, name: str) -> Callable[[Mapping[str, Any]], Any]:
    module = labels_python_of(use_case).module(LABELS)
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(
            f"{use_case.name}/labels.py: must define the function {name!r} that labels.rules "
            f"names. Write `def {name}(row): ...`, which returns a class, or None to abstain."
        )
    found: Callable[[Mapping[str, Any]], Any] = function
    return found


def _ask(
    written: Mapping[int, tuple[str, Callable[[Mapping[str, Any]], Any]]],
    rows: pa.Table,
    voted: Voted,
    labels: Labels,
) -> None:
    """Ask the functions in Python, row by row, so that an error is about one row."""
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        for at, row in enumerate(rows.slice(start, _ROWS_AT_ONCE).to_pylist(), start):
            for number, (name, function) in written.items():
                try:
                    # Each its own copy: a function that changes the row must not mislead the next.
                    said = function(dict(row))
                    if said is not None:
                        voted.votes[at, number] = _class(said, labels)
                except Exception as error:  # whatever a person's rule raises, it is about this row
                    voted.raised[name] = voted.raised.get(name, 0) + 1
                    told = f"data row {at + 1}: {type(error).__name__}: {error}"
                    voted.first_error.setdefault(name, bounded(told, 300))


def _class(said: Any, labels: Labels) -> int:
    found = labels.class_of(said if isinstance(said, str) else operator.index(said))
    if found is None:
        named = f"one of {list(labels.numbers)}, its number" if labels.numbers else "0, 1"
        raise ValueError(f"must return {named} or None, got {said!r}")
    return found
