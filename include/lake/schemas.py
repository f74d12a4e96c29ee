"""Exact schemas: Delta would turn 1.5 into 1 without a word, so nothing is left to it."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from include.errors import DataContractError

PARTITION = "partition"
FILE = "_file"
"""The column that says which landed file a row is from: the first 16 digits of its sha256."""
CHOSEN = "_chosen"
"""The column of labels that says by which policy a row was chosen that people labelled; null where
they did not give its label."""
CONFIDENCE = "_confidence"
"""The column of labels that says how sure a label is, from 0 to 1, where trainings weigh by it."""
TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
TYPE_NAMES: dict[pa.DataType, str] = {kind: name for name, kind in TYPES.items()}
STORED = {**TYPES, "date": TYPES["timestamp"]}
"""Type of each kind of column; a `date` is kept as its midnight, UTC."""


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Arrow schema of a use case's columns, in their order.

    Parameters
    ----------
    columns : mapping of str to {'string', 'int64', 'float64', 'bool', 'timestamp', 'date'}
        A timestamp is kept in microseconds, UTC.

    Examples
    --------
    >>> arrow_schema({"carrier": "string", "flight": "int64"})
    carrier: string
    flight: int64
    """
    return pa.schema([(name, STORED[kind]) for name, kind in columns.items()])


def check_types(schema: pa.Schema, name: str) -> None:
    """Refuse columns that Delta would store as something else, and the lake's own name."""
    problems = [
        f"column {field.name!r} is {field.type}"
        for field in schema
        if field.type not in TYPES.values()
    ]
    if problems:
        raise DataContractError(
            f"table {name}: columns must be one of {[str(kind) for kind in TYPES.values()]}, got: "
            f"{'; '.join(problems)}. Convert them first (include.lake.frames.to_arrow does, "
            "exactly)."
        )
    if PARTITION in schema.names:
        raise DataContractError(
            f"table {name}: column {PARTITION!r} is the lake's own and must not be in the data. "
            "Leave it out: publish() adds it."
        )
    twice = sorted({field for field in schema.names if schema.names.count(field) > 1})
    if twice:
        raise DataContractError(
            f"table {name}: column names must be unique, got {twice} more than once. Rename them."
        )


def check_same(got: pa.Schema, expected: pa.Schema, what: str, next_step: str) -> None:
    """Refuse any difference between two schemas, and list all of them."""
    got, expected = got.remove_metadata(), expected.remove_metadata()
    if got.equals(expected):
        return
    raise DataContractError(f"{what}: {'; '.join(_differences(got, expected))}. {next_step}")


def _differences(got: pa.Schema, expected: pa.Schema) -> list[str]:
    missing = [
        f"column {field.name!r} is missing" for field in expected if field.name not in got.names
    ]
    extra = [
        f"column {field.name!r} is not expected"
        for field in got
        if field.name not in expected.names
    ]
    changed = [
        f"column {field.name!r} must be {_kind(field)}, got {_kind(got.field(field.name))}"
        for field in expected
        if field.name in got.names and not got.field(field.name).equals(field)
    ]
    return missing + extra + changed or [
        f"columns must be in the order {expected.names}, got {got.names}"
    ]


def _kind(field: pa.Field) -> str:
    return f"{field.type}" if field.nullable else f"{field.type} not null"
