"""How a table's columns follow those that are published: added, left out, retyped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from include.errors import DataContractError
from include.lake.retype import Misfits, retyped
from include.lake.schemas import PARTITION, TYPE_NAMES, TYPES

# Delta keeps it beside the column in its own schema, so it is committed with the rows.
_DROPPED = {b"flywheel.dropped": b"true"}


class Migration(Protocol):
    """A declared change of one column's type: `migrations` of `use_case.yaml`."""

    @property
    def column(self) -> str:
        """Name of the column, in whatever table has it."""

    @property
    def before(self) -> str:
        """Type that it had, by the lake's name."""

    @property
    def after(self) -> str:
        """Type that it has from now on."""

    @property
    def misfits(self) -> Misfits:
        """What becomes of values that the new type cannot hold."""


@dataclass(frozen=True)
class Evolution:
    """What a publish makes of a table's columns.

    Attributes
    ----------
    schema : Schema
        Of the table afterwards: its columns in the order in which they came, dropped ones too, and
        the partition.
    changed : bool
        Whether that differs from what the table has.
    retypes : mapping of str to sequence of Migration
        Columns whose rows must be converted, in all partitions, and the steps of each.
    """

    schema: pa.Schema
    changed: bool = False
    retypes: dict[str, list[Migration]] = field(default_factory=dict)


def evolve(
    name: str,
    there: pa.Schema,
    published: pa.Schema,
    migrations: Sequence[Migration] = (),
    *,
    replaces: bool = True,
) -> Evolution:
    """Plan how a table's schema follows what is published.

    Parameters
    ----------
    name : str
        The table.
    there, published : Schema
        The table's, and that of the new rows; both with the partition column.
    migrations : sequence of Migration
        In the order in which they were declared.
    replaces : bool
        False for an append: columns that it leaves out are not dropped.

    Raises
    ------
    DataContractError
        When a column has another type and no migration leads there.
    """
    steps = {
        one.name: _steps(name, one.name, there.field(one.name).type, one.type, migrations)
        for one in published
        if one.name in there.names
    }
    fields = {one.name: one for one in published}
    left = {one.name: _dropped(one) if replaces else one for one in there}
    known = [fields.get(one.name, left[one.name]) for one in there if one.name != PARTITION]
    added = [one for one in published if one.name not in there.names]
    schema = pa.schema([*known, *added, published.field(PARTITION)])
    return Evolution(
        schema,
        changed=_by_name(schema) != _by_name(there),
        retypes={column: chain for column, chain in steps.items() if chain},
    )


def published_schema(schema: pa.Schema) -> pa.Schema:
    """Leave out the columns that are not published any more."""
    return pa.schema([one for one in schema if not _is_dropped(one)])


def fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows the columns of a table, in its order; what they lack is null."""
    columns = [
        rows[one.name] if one.name in rows.column_names else pa.nulls(rows.num_rows, one.type)
        for one in schema
    ]
    return pa.table(columns, schema=schema)


def migrated(rows: pa.Table, evolution: Evolution, where: str) -> pa.Table:
    """Convert rows that were published earlier to the present types and columns.

    Raises
    ------
    DataContractError
        When a value does not fit its new type and the migration refuses it.
    """
    for column, steps in evolution.retypes.items():
        values = stepped(rows[column], steps, f"{where}: column {column!r}")
        rows = rows.set_column(rows.column_names.index(column), column, values)
    return fitted(rows, evolution.schema)


def stepped(values: pa.ChunkedArray, steps: Sequence[Migration], where: str) -> pa.ChunkedArray:
    """Convert a column by one migration after the other."""
    for step in steps:
        values = retyped(values, TYPES[step.after], where, step.misfits)
    return values


def steps_between(
    column: str, before: pa.DataType, after: pa.DataType, declared: Sequence[Migration]
) -> list[Migration] | None:
    """Migrations that lead from one type to another, in the order of their declaration."""
    steps: list[Migration] = []
    kind = before
    for one in declared:
        if kind != after and one.column == column and TYPES[one.before] == kind:
            steps.append(one)
            kind = TYPES[one.after]
    return steps if kind == after else None


def _by_name(schema: pa.Schema) -> dict[str, tuple[pa.Field, dict[bytes, bytes]]]:
    """Describe columns; Delta keeps no other order than that in which they came."""
    return {one.name: (one, dict(one.metadata or {})) for one in schema}


def _dropped(column: pa.Field) -> pa.Field:
    return pa.field(column.name, column.type, nullable=True, metadata=_DROPPED)


def _is_dropped(column: pa.Field) -> bool:
    return dict(column.metadata or {}).items() >= _DROPPED.items()


def _steps(
    name: str, column: str, before: pa.DataType, after: pa.DataType, declared: Sequence[Migration]
) -> list[Migration]:
    """Migrations that lead from one type to another; refuses where none do."""
    steps = steps_between(column, before, after, declared)
    if steps is not None:
        return steps
    was, now = TYPE_NAMES.get(before, before), TYPE_NAMES.get(after, after)
    raise DataContractError(
        f"table {name}: column {column!r} must stay {was}, got {now}: a type changes only by a "
        "declared migration. Nothing was written. Add to use_case.yaml "
        f"`migrations: [{{column: {column}, before: {was}, after: {now}}}]`, or undo the change."
    )
