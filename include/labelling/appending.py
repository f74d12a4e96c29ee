"""Append to a table what it does not hold yet, while others append to it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa

from include.errors import ServiceUnavailable
from include.lake.table import LakeTable, Writer
from include.use_cases.schema import UseCase

_TRIES = 20

Seen = TypeVar("Seen")


def append_new(
    use_case: UseCase,
    table: LakeTable,
    partition: str,
    schema: pa.Schema,
    look: Callable[[], tuple[Sequence[dict[str, Any]], Seen]],
    writer: Writer,
) -> Seen:
    """Append the rows that are new, and look again where others have appended meanwhile.

    Parameters
    ----------
    use_case : UseCase
        Whose migrations the table follows.
    table : LakeTable
        Append-only.
    partition : str
        What is appended to.
    schema : Schema
        Of the rows.
    look : callable
        Reads the table, and gives the rows that it lacks, and what else the caller needs to know
        of that look. Called again when others were faster.
    writer : Writer
        Who appends.

    Returns
    -------
    Seen
        Of the look whose rows were appended, or that found nothing to append.

    Raises
    ------
    ServiceUnavailable
        Others were faster too often.
    """
    for _ in range(_TRIES):
        # Before the table is read: what another attempt appends meanwhile takes this number.
        sequence = (table.last_sequence(partition) or 0) + 1
        news, seen = look()
        if not news:
            return seen
        done = table.append(
            pa.Table.from_pylist(list(news), schema=schema),
            partition=partition,
            schema=schema,
            app_id=partition,
            sequence=sequence,
            # Each try its own: of two attempts of one run that append at once only one may.
            run_id=f"{writer.run_id}/{writer.attempt}/{uuid4()}",
            kept=True,
            migrations=use_case.migrations,
        )
        if done is not None:
            return seen
    raise ServiceUnavailable(
        f"table {table.name}: others appended to {partition} at the same time, {_TRIES} times in a "
        "row. Try again when fewer run at once."
    )
