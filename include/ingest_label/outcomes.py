"""From outcomes to labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError, bounded
from include.ingest_label.checks import listed
from include.ingest_label.written_cells import NotRead
from include.labelling.contract import is_class, label_type, labels_schema
from include.use_cases.schema import Labels, UseCase
from include.use_cases.sections.labels import RULE

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": pc.greater_equal,
    ">": pc.greater,
    "<=": pc.less_equal,
    "<": pc.less,
    "==": pc.equal,
    "!=": pc.not_equal,
}
MANY = 200
"""So many labels of one class are not chance: of batches of 200 rows with a class of 1.5 %, one in
twenty has none of it."""


def label_of(outcome: pa.ChunkedArray, labels: Labels) -> pa.ChunkedArray:
    """Read labels off outcomes.

    Parameters
    ----------
    outcome : ChunkedArray
        Numbers, bools or texts; of one that is missing the label is missing.
    labels : Labels
        Its rule or classes; without either the number is taken as it is.

    Returns
    -------
    ChunkedArray
        int64, 1 where the rule holds and 0 elsewhere, or the number of the class; float64 without
        either.

    Raises
    ------
    NotRead
        For the first value that has no class.
    """
    if (classes := labels.numbers) is not None:
        return _class_of(outcome, classes)
    boolean = pa.types.is_boolean(outcome.type)
    numbers = outcome.cast(pa.int64()) if boolean else outcome
    if labels.rule is None:
        return numbers.cast(label_type(labels))
    found = RULE.fullmatch(labels.rule)
    assert found is not None  # noqa: S101  for mypy: the schema refuses another
    sign, number, *texts = found.groups()
    bound = float(number) if number is not None else next(t for t in texts if t is not None)
    return _COMPARE[sign](numbers, pa.scalar(bound)).cast(pa.int64())


def _class_of(outcome: pa.ChunkedArray, classes: Mapping[str, int]) -> pa.ChunkedArray:
    values, names = outcome.cast(pa.string()), pa.array(list(classes), pa.string())
    if pa.types.is_floating(outcome.type):  # 1.0 may be written 1 in the YAML
        values, names = (pc.replace_substring_regex(each, r"\.0$", "") for each in (values, names))
    place = pc.index_in(values, names)
    known = pc.or_(pc.is_valid(place), pc.is_null(values))
    if not pc.all(known, min_count=0).as_py():
        raise NotRead(pc.index(known, False).as_py())
    return pa.chunked_array([pa.array(list(classes.values()), pa.int64())]).take(place)


def make_labels(outcomes: pa.Table, use_case: UseCase, labels: Labels, subject: str) -> pa.Table:
    """Make rows of the labels table of one file; the label of a missing outcome is missing.

    Raises
    ------
    DataContractError
        A key is incomplete or stands there twice, or a value has no class.
    """
    check_keys(outcomes, use_case.ingest.key, subject)
    schema = labels_schema(use_case, labels)
    columns = [outcomes[name] for name in schema.names[:-1]]
    outcome = outcomes[labels.from_]
    try:
        label = label_of(outcome, labels)
    except NotRead as error:
        value = outcome[error.row].as_py()
        raise DataContractError(
            f"{subject}: {labels.from_!r} must be one of {listed(list(labels.classes or ()))}, got "
            f"{bounded(repr(value), 200)} in data row {error.row + 1}. Add "
            f"{'it' if isinstance(labels.classes, list) else 'its class'} to "
            "labels.classes in use_case.yaml, or name it in 'null_values' of "
            f"format.columns.{labels.from_} where it means that there is no outcome."
        ) from None
    return pa.table([*columns, label], schema=schema)


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


def check_classes(rows: pa.Table, labels: Labels, subject: str) -> None:
    """Refuse many labels of one class: a rule or mapping that does not fit the outcomes.

    Raises
    ------
    DataContractError
        There are `MANY` or more, and all are equal.
    """
    if not is_class(labels) or rows.num_rows < MANY:
        return
    found = pc.unique(rows["label"])
    if len(found) == 1:
        needed = "several" if isinstance(labels.classes, list) else "both"
        how = f"rule {labels.rule!r}" if labels.rule else f"classes {labels.classes}"
        raise DataContractError(
            f"{subject}: labels must be of {needed} classes, but all {rows.num_rows:,} are "
            f"{found[0].as_py()} by the {how} of {labels.from_!r}. Compare them with the values in "
            "the file, and correct 'labels' in use_case.yaml."
        )


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
