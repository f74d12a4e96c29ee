"""The table `label_answers`: every answer that came, once, and whether it counts.

Appended to, never changed. A verdict depends on the other answers, on `labels.people.trusted` and
on `labels.classes`, so `read_answers` gives it anew, as it is now. What the table holds is what was
known when the answer came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.labelling.appending import append_new
from include.labelling.asking import Answer
from include.labelling.boxes import record_boxes
from include.labelling.contract import LABEL
from include.labelling.ends import read_ends, record_end
from include.labelling.rounds import (
    CLOSES_AT,
    ITEM,
    ROUND,
    corrected_since,
    key_columns,
    named,
    read_rounds,
)
from include.labelling.verdicts import (
    ANNOTATOR,
    ANSWER,
    ANSWERED_AT,
    EXTERNAL,
    NOBODY,
    RECEIVED_AT,
    VERDICT,
    VIA,
    AnswersRecorded,
    mark_repeated,
    missing,
    people_of,
    verdict_now,
    when,
)
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, LakeTable, Writer
from include.use_cases.schema import UseCase

ANSWERS = "label_answers"
_COLUMNS = {
    ITEM: "string",
    ROUND: "int64",
    ANNOTATOR: "string",
    ANSWER: "string",
    LABEL: "int64",
    VERDICT: "string",
    ANSWERED_AT: "timestamp",
    RECEIVED_AT: "timestamp",
    VIA: "string",
    EXTERNAL: "string",
}
_SAME = (VIA, EXTERNAL, ITEM, ROUND, ANNOTATOR, ANSWER, ANSWERED_AT)
"""What two records of one and the same answer agree in."""
Items = Mapping[str, Mapping[str, Any]]
"""The rows of a round, by item."""


def answers_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of the table: the key, null where the item is unknown, and the answer."""
    return arrow_schema({**key_columns(use_case), **_COLUMNS})


def answers_table(use_case: UseCase, lake: Lake) -> LakeTable:
    """Name the table."""
    return lake.table(use_case.name, ANSWERS)


def read_answers(use_case: UseCase, partition: str, lake: Lake) -> pa.Table:
    """Read all answers of a partition, with verdicts and labels as they are now.

    Returns
    -------
    Table
        Columns of `answers_schema`, in the order in which they were given.
    """
    rows = _judged(use_case, partition, lake)
    mark_repeated(rows)
    return pa.Table.from_pylist(sorted(rows, key=when), schema=answers_schema(use_case))


def record_answers(
    use_case: UseCase,
    partition: str,
    number: int,
    answers: Sequence[Answer],
    lake: Lake,
    writer: Writer,
    *,
    via: str,
    closed_at: datetime | None = None,
) -> AnswersRecorded:
    """Check answers, and record each one once.

    To hand in an answer again changes nothing. Nothing is dropped: what does not count has a
    verdict that says why.

    Parameters
    ----------
    use_case : UseCase
        Its classes and trusted annotators count as they are now.
    partition, number : str and int
        The round.
    answers : sequence of Answer
        In any order; some or all of those that came so far.
    lake : Lake
        Holds the round.
    writer : Writer
        Who records.
    via : str
        Where people answered: `airflow` or `label_studio`.
    closed_at : datetime, optional
        When the round ends, with a time zone: that is recorded, and what is missing is recorded
        as `nobody`. By default it goes on, unless it has ended before, and at most until it was
        said to close.

    Raises
    ------
    ServiceUnavailable
        Too many record at the same time.
    """
    people = people_of(use_case)

    def look() -> tuple[list[dict[str, Any]], tuple[AnswersRecorded, Items]]:
        rounds = read_rounds(use_case, partition, lake)
        asked = rounds.filter(pc.equal(rounds[ROUND], number)).to_pylist()
        items = {row[ITEM]: row for row in asked}
        corrected = corrected_since(use_case, partition, rounds, lake)
        known = _judged(use_case, partition, lake)
        ended_at = closed_at or read_ends(use_case, partition, lake).get(number)
        closes = [one for one in (ended_at, *(row[CLOSES_AT] for row in asked[:1])) if one]
        until, now = min(closes, default=None), datetime.now(UTC)
        rows = [
            _row(use_case, items.get(one.item), one, number, via, until, now, corrected)
            for one in answers
        ]
        before = {_same(row) for row in known}
        news = [
            row for same, row in {_same(row): row for row in rows}.items() if same not in before
        ]
        if closed_at is not None:
            lacking = missing(items, [*known, *news], number, people)
            nobody = [Answer(one, None, None, closed_at, f"round {number}") for one in lacking]
            news += [_row(use_case, items[one.item], one, number, via, None, now) for one in nobody]
        mark_repeated([*known, *news])
        of_round = [row for row in [*known, *news] if row[ROUND] == number]
        recorded = AnswersRecorded(
            partition,
            number,
            len(items),
            dict(Counter(row[VERDICT] for row in of_round)),
            len(news),
            ended_at is not None or min(closes, default=now) <= now,
        )
        return news, (recorded, items)

    table, schema = answers_table(use_case, lake), answers_schema(use_case)
    recorded, items = append_new(use_case, table, partition, schema, look, writer)
    record_boxes(use_case, partition, number, answers, items, lake, writer)
    if closed_at is not None and items:  # last: until all is recorded, a retry goes on
        record_end(use_case, partition, number, closed_at, lake)
    return recorded


def _judged(use_case: UseCase, partition: str, lake: Lake) -> list[dict[str, Any]]:
    table, schema = answers_table(use_case, lake), answers_schema(use_case)
    if partition not in table.partitions():
        return []
    rows = table.read([partition], schema, migrations=use_case.migrations)
    rounds = read_rounds(use_case, partition, lake)
    corrected = corrected_since(use_case, partition, rounds, lake)
    answers = named(use_case, rows).to_pylist()
    return [{**row, **verdict_now(use_case, row, corrected)} for row in answers]


def _same(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _SAME)


def _row(
    use_case: UseCase,
    item: Mapping[str, Any] | None,
    answer: Answer,
    number: int,
    via: str,
    closes_at: datetime | None,
    now: datetime,
    corrected: Collection[tuple[str, int]] = (),
) -> dict[str, Any]:
    key = {name: item[name] if item else None for name in use_case.ingest.key}
    row = {
        **key,
        ITEM: answer.item,
        ROUND: number,
        ANNOTATOR: (answer.annotator or "").strip() or None,
        ANSWER: answer.answer,
        LABEL: None,
        VERDICT: None,
        ANSWERED_AT: answer.answered_at,
        RECEIVED_AT: now,
        VIA: via,
        EXTERNAL: answer.external,
    }
    if item is None:
        return {**row, VERDICT: "unknown item"}
    if row[ANNOTATOR] is None:
        return {**row, VERDICT: NOBODY}
    if closes_at is not None and (answer.answered_at or now) > closes_at:
        return {**row, VERDICT: "after closing"}
    return {**row, **verdict_now(use_case, row, corrected)}
