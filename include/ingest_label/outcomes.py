"""From outcomes to labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.ingest_label.files import ARROW_TYPES
from include.use_cases.schema import Labels, UseCase

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": pc.greater_equal,
    ">": pc.greater,
    "<=": pc.less_equal,
    "<": pc.less,
    "==": pc.equal,
}


def labels_schema(use_case: UseCase, labels: Labels) -> pa.Schema:
    """Describe the labels table: the key, what landed to order it by, and `label`."""
    orders = (
        use_case.ingest.partition.column,
        use_case.train.split.by,
        use_case.ingest.corrections.column,
    )
    kept = dict.fromkeys(
        [*use_case.ingest.key, *(name for name in orders if name in labels.columns)]
    )
    fields = [pa.field(name, ARROW_TYPES[labels.columns[name]]) for name in kept]
    kind = pa.int64() if labels.rule is not None else pa.float64()
    return pa.schema([*fields, pa.field("label", kind)])


def label_of(outcome: pa.ChunkedArray, rule: str | None) -> pa.ChunkedArray:
    """Read labels off outcomes.

    Parameters
    ----------
    outcome : ChunkedArray
        Numbers or bools; of one that is missing the label is missing.
    rule : str or None
        Such as `'>= 15'`; None takes the number as it is.

    Returns
    -------
    ChunkedArray
        int64, 1 where the rule holds and 0 elsewhere; float64 without a rule.
    """
    numbers = outcome.cast(pa.int64() if pa.types.is_boolean(outcome.type) else outcome.type)
    if rule is None:
        return numbers.cast(pa.float64())
    sign, bound = rule.split(" ")
    return _COMPARE[sign](numbers, pa.scalar(float(bound))).cast(pa.int64())


def make_labels(outcomes: pa.Table, use_case: UseCase, labels: Labels, subject: str) -> pa.Table:
    """Make rows of the labels table of one file; the label of a missing outcome is missing.

    Raises
    ------
    DataContractError
        A key is incomplete or stands there twice.
    """
    check_keys(outcomes, use_case.ingest.key, subject)
    schema = labels_schema(use_case, labels)
    columns = [outcomes[name] for name in schema.names[:-1]]
    return pa.table([*columns, label_of(outcomes[labels.from_], labels.rule)], schema=schema)


def with_outcome(rows: pa.Table, labels: Labels, subject: str) -> pa.Table:
    """Keep the rows whose outcome is known; the others have no label.

    Raises
    ------
    DataContractError
        There is none.
    """
    known = rows.filter(pc.is_valid(rows["label"]))
    if known.num_rows == 0:
        raise DataContractError(
            f"{subject}: no row has an outcome in {labels.from_!r}. Land the outcomes when "
            "they are known."
        )
    return known


def check_keys(table: pa.Table, key: list[str], subject: str) -> None:
    """Refuse a key that is incomplete or stands in the table twice.

    Raises
    ------
    DataContractError
        How many, and the first.
    """
    for name in key:
        if table[name].null_count:
            row = pc.index(pc.is_valid(table[name]), False).as_py()
            raise DataContractError(
                f"{subject}: key column {name!r} must be there in each row, but is missing in "
                f"{table[name].null_count}, first in data row {row + 1}. Land the rows with "
                "their key."
            )
    counts = table.group_by(key).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if twice.num_rows:
        first = {name: twice[name][0].as_py() for name in key}
        raise DataContractError(
            f"{subject}: the key {key} must name one row, but {twice.num_rows} keys are "
            "repeated, such as "
            f"{first}. Land each row once, or add the column that tells them apart to the key."
        )
