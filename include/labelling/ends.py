"""The table `label_ends`: when the answers of a round were collected, which ends it.

Appended to, never changed. It is recorded, not inferred from the answers: their verdicts change
with `labels.people.trusted`, `labels.people.annotators` and `labels.classes`, and a round that has
ended must not open again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from include.labelling.rounds import ROUND
from include.lake.schemas import arrow_schema
from include.lake.table import Lake
from include.use_cases.schema import UseCase

ENDS = "label_ends"
_ENDED_AT = "_ended_at"
_SCHEMA = arrow_schema({ROUND: "int64", _ENDED_AT: "timestamp"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_ends(use_case: UseCase, partition: str, lake: Lake) -> Mapping[int, datetime]:
    """Give the end of each round of a partition that has ended, by its number.

    A round that was collected again, because its questions were cleared, ended the last time.
    """
    table = lake.table(use_case.name, ENDS)
    if partition not in table.partitions():
        return {}
    rows = table.read([partition], _SCHEMA).sort_by(_ENDED_AT).to_pylist()
    return {row[ROUND]: row[_ENDED_AT] for row in rows}


def record_end(
    use_case: UseCase, partition: str, number: int, ended_at: datetime, lake: Lake
) -> None:
    """Record that a round has ended; nothing where it ended then, or later, by the record."""
    lake.table(use_case.name, ENDS).append(
        pa.Table.from_pylist([{ROUND: number, _ENDED_AT: ended_at}], schema=_SCHEMA),
        partition=partition,
        schema=_SCHEMA,
        app_id=f"{partition}/{number}",
        sequence=(ended_at - _EPOCH) // timedelta(microseconds=1),
        kept=True,
    )
