"""What a label is, whoever gives it, and the protocol behind every strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from include.lake.schemas import CHOSEN, CONFIDENCE, STORED
from include.use_cases.schema import Labels, UseCase

LABEL = "label"
PEOPLE = "people"
"""The strategy that asks people."""
# As `_file`: a use case may well have a column `version`.
STRATEGY, SOURCE = "_strategy", "_source"
KNOWN_AT, VERSION = "_known_at", "_version"

SAID = [pa.field(SOURCE, pa.string()), pa.field(CONFIDENCE, pa.float64())]
"""What a strategy says of each label: who gave it (a file, rules, annotators), and how sure, from 0
to 1."""


class LabelSource(Protocol):
    """One strategy's labels of one partition, as it would give them now."""

    @property
    def strategy(self) -> str:
        """Its name in `labels.precedence`, such as `rules`."""

    def labels(self) -> pa.Table:
        """Give the columns of `claims_schema`: one row per key; a row without a label is left out.

        Raises
        ------
        DataContractError
            The labels cannot be made of what there is.
        """


def labels_schema(use_case: UseCase, labels: Labels) -> pa.Schema:
    """Describe the labels table: the key, what landed to order it by, and `label`."""
    orders = [*use_case.times, use_case.ingest.corrections.column]
    kept = dict.fromkeys(
        [*use_case.ingest.key, *(name for name in orders if name in labels.columns)]
    )
    fields = [pa.field(name, STORED[labels.columns[name]]) for name in kept]
    return pa.schema([*fields, pa.field(LABEL, label_type(labels))])


def claims_schema(use_case: UseCase, labels: Labels) -> pa.Schema:
    """Describe what a strategy gives: the columns of the labels table, source and confidence.

    Where people are asked, also `_chosen`, which only the strategy `people` gives.
    """
    return pa.schema([*labels_schema(use_case, labels), *SAID, *chosen_fields(labels)])


def chosen_fields(labels: Labels) -> list[pa.Field]:
    """Give the column `_chosen` where people are asked."""
    return [] if labels.people is None else [pa.field(CHOSEN, pa.string())]


def completed(claims: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give claims the columns of `claims_schema`: rows that nobody chose have no `_chosen`."""
    if CHOSEN in schema.names and CHOSEN not in claims.column_names:
        claims = claims.append_column(schema.field(CHOSEN), pa.nulls(claims.num_rows, pa.string()))
    return claims


def label_type(labels: Labels) -> pa.DataType:
    """Return the type of a label: a class is a whole number."""
    return pa.int64() if is_class(labels) else pa.float64()


def is_class(labels: Labels) -> bool:
    """Whether a label is a class, and not a number."""
    if not labels.landed:
        return True
    read_off_bool = labels.columns[labels.from_] == "bool"
    return labels.rule is not None or labels.classes is not None or read_off_bool


def ranked(strategies: Sequence[str], precedence: Sequence[str]) -> list[str]:
    """Sort strategies, the one that counts most first.

    Examples
    --------
    >>> ranked(["rules", "outcome"], ["people", "outcome", "rules"])
    ['outcome', 'rules']
    """
    return sorted(strategies, key=precedence.index)
