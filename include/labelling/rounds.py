"""The table `label_rounds`: which rows people were asked about, when, and why these.

Appended to, never changed. The number of a round is the sequence of its append, so of two attempts
that choose at the same moment one gets it, and a number is never used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.labelling.asking import Item, Round, item_id
from include.labelling.seen import is_corrected, seen_columns
from include.lake.files import LakeFiles
from include.lake.schemas import arrow_schema
from include.lake.table import Lake, LakeTable
from include.use_cases.schema import UseCase

ROUNDS = "label_rounds"
ITEM, ROUND, POLICY, SEEN = "_item", "_round", "_policy", "_seen"
ASKED_AT, CLOSES_AT, RUN = "_asked_at", "_closes_at", "_run"
ROUND_ID, GUESS = "_round_id", "_guess_class"
_COLUMNS = {
    ITEM: "string",
    ROUND: "int64",
    POLICY: "string",
    "_score": "float64",
    "_model": "string",
    GUESS: "string",  # by its name: the numbers of classes change with their order
    "_guess_probability": "float64",
    SEEN: "string",
    ASKED_AT: "timestamp",
    CLOSES_AT: "timestamp",
    RUN: "string",
    ROUND_ID: "string",
}


def key_columns(use_case: UseCase) -> dict[str, Any]:
    """Give the columns of the key, and their types."""
    return {name: use_case.ingest.columns[name] for name in use_case.ingest.key}


def rounds_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of the table: the key, and what is known of each item of a round."""
    return arrow_schema({**key_columns(use_case), **_COLUMNS})


def rounds_table(use_case: UseCase, lake: Lake) -> LakeTable:
    """Name the table."""
    return lake.table(use_case.name, ROUNDS)


def read_rounds(use_case: UseCase, partition: str, lake: Lake) -> pa.Table:
    """Read all rounds of a partition; empty where nobody was asked yet."""
    schema, table = rounds_schema(use_case), rounds_table(use_case, lake)
    if partition not in table.partitions():
        return schema.empty_table()
    rows = table.read([partition], schema, migrations=use_case.migrations)
    return named(use_case, rows).sort_by([(ROUND, "ascending"), (ITEM, "ascending")])


def named(use_case: UseCase, rows: pa.Table) -> pa.Table:
    """Name the items of a table by their key as it is now: a migration may have changed it.

    Rows without a key keep the name by which somebody answered.
    """
    keys = rows.select(use_case.ingest.key).to_pylist()
    names = [
        stored if None in key.values() else item_id(key)
        for key, stored in zip(keys, rows[ITEM].to_pylist(), strict=True)
    ]
    place = rows.column_names.index(ITEM)
    return rows.set_column(place, rows.schema.field(ITEM), pa.array(names, pa.string()))


def append_round(
    use_case: UseCase,
    chosen: Round,
    lake: Lake,
    *,
    model: str | None,
    run_id: str,
) -> bool:
    """Append a round; False where another attempt has taken its number meanwhile."""
    assert use_case.labels is not None  # noqa: S101  for mypy: people stand in it
    names = {number: name for name, number in use_case.labels.answers.items()}
    # By chance: another lake asks about its own rows in rounds of the same numbers.
    round_id = uuid4().hex
    told = [
        {
            **one.key,
            ITEM: one.item,
            ROUND: chosen.number,
            POLICY: one.policy,
            "_score": one.score,
            "_model": model,
            GUESS: None if one.guess is None else names.get(one.guess),
            "_guess_probability": one.guess_probability,
            SEEN: one.seen,
            ASKED_AT: chosen.asked_at,
            CLOSES_AT: chosen.closes_at,
            RUN: run_id,
            ROUND_ID: round_id,
        }
        for one in chosen.items
    ]
    rows = pa.Table.from_pylist(told, schema=rounds_schema(use_case))
    done = rounds_table(use_case, lake).append(
        rows,
        partition=chosen.partition,
        schema=rows.schema,
        app_id=chosen.partition,
        sequence=chosen.number,
        run_id=run_id,
        kept=True,
        migrations=use_case.migrations,
    )
    return done is not None


def next_number(use_case: UseCase, partition: str, lake: Lake) -> int:
    """Give the number of the next round: also after a retraction none is used twice."""
    return (rounds_table(use_case, lake).last_sequence(partition) or 0) + 1


def round_ids(use_case: UseCase, partition: str, lake: Lake) -> dict[int, str]:
    """Give the id of each round of a partition, by number: 32 hexadecimal digits, by chance."""
    rounds = read_rounds(use_case, partition, lake)
    return dict(zip(rounds[ROUND].to_pylist(), rounds[ROUND_ID].to_pylist(), strict=True))


def open_until(use_case: UseCase, asked: Round) -> datetime:
    """Return when a round closes.

    Raises
    ------
    DataContractError
        It is closed.
    """
    assert asked.closes_at is not None  # noqa: S101  for mypy: a round that was written down
    if asked.is_closed:
        raise DataContractError(
            f"{use_case.name}: round {asked.number} of {asked.partition} must be open, and closed "
            f"at {asked.closes_at:%Y-%m-%d %H:%M} UTC: an answer would not count. Start the Dag "
            "with the partition key for the next round."
        )
    return asked.closes_at


def read_round(use_case: UseCase, partition: str, number: int, lake: Lake) -> Round:
    """Read a round as people are asked about it: its rows as they are now.

    Raises
    ------
    DataContractError
        There is no such round.
    """
    rounds = read_rounds(use_case, partition, lake)
    asked = rounds.filter(pc.equal(rounds[ROUND], number))
    if asked.num_rows == 0:
        there = sorted(set(rounds[ROUND].to_pylist()))
        raise DataContractError(
            f"{use_case.name}: round {number} of {partition} must be in the lake, and is not, only "
            f"{there}: it was retracted. Start the Dag with the partition key for the next round."
        )
    assert use_case.labels is not None  # noqa: S101  for mypy: people stand in it
    key, classes = list(use_case.ingest.key), use_case.labels.answers
    items = [
        Item(
            item=row[ITEM],
            key={name: row[name] for name in key},
            row={},
            policy=row[POLICY],
            score=row["_score"],
            guess=classes.get(row[GUESS]),
            guess_probability=row["_guess_probability"],
            seen=row[SEEN],
        )
        for row in asked.to_pylist()
    ]
    asked_at, closes_at = (asked[name][0].as_py() for name in (ASKED_AT, CLOSES_AT))
    items = with_rows(use_case, partition, items, lake)
    return Round(partition, number, items, asked_at, closes_at)


def with_rows(use_case: UseCase, partition: str, items: Sequence[Item], lake: Lake) -> list[Item]:
    """Give items the columns that people see, and their picture where there is one."""
    assert use_case.labels is not None  # noqa: S101  for mypy
    assert use_case.labels.people is not None  # noqa: S101  as above
    shown = use_case.labels.people.show or list(use_case.ingest.columns)
    keys = pa.Table.from_pylist(
        [one.key for one in items], schema=arrow_schema(key_columns(use_case))
    )
    known = _clean_rows(use_case, partition, keys, shown, {one.seen for one in items}, lake)
    files = LakeFiles(lake)
    there = set(files.under(pictures_of(use_case, partition)))
    done = []
    for one in items:
        row = known.get(item_id(one.key), {})
        row = (
            {}
            if is_corrected(use_case, one.seen, row)
            else {name: row[name] for name in shown if row}
        )
        path = picture_path(use_case, partition, one.item)
        done.append(replace(one, row=row, picture=path if path in there else None))
    return done


def corrected_since(
    use_case: UseCase, partition: str, rounds: pa.Table, lake: Lake
) -> set[tuple[str, int]]:
    """Name the items of rounds, and the round, whose row was corrected since people saw it.

    Parameters
    ----------
    use_case : UseCase
        Its key and columns as they are now.
    partition, rounds : str and Table
        As `read_rounds` gives them.
    lake : Lake
        Holds the clean rows.
    """
    if rounds.num_rows == 0:
        return set()
    told, keys = rounds.to_pylist(), rounds.select(use_case.ingest.key)
    seen = {row[SEEN] for row in told}
    known = _clean_rows(use_case, partition, keys, [], seen, lake)
    return {
        (row[ITEM], row[ROUND])
        for row in told
        if is_corrected(use_case, row[SEEN], known.get(row[ITEM], {}))
    }


def _clean_rows(
    use_case: UseCase,
    partition: str,
    keys: pa.Table,
    shown: Sequence[str],
    seen: Collection[str | None],
    lake: Lake,
) -> dict[str, dict[str, Any]]:
    """Read the clean rows with these keys, by item: what is shown, and what digests are made of."""
    key, clean = list(use_case.ingest.key), lake.table(use_case.name, "clean")
    if partition not in clean.partitions():
        return {}
    digested = [name for one in seen if one is not None for name in seen_columns(one)]
    names = {*key, *shown, *digested}
    columns = {one: kind for one, kind in use_case.ingest.columns.items() if one in names}
    rows = clean.read([partition], arrow_schema(columns)).join(keys, key, join_type="left semi")
    return {item_id({name: row[name] for name in key}): row for row in rows.to_pylist()}


def pictures_of(use_case: UseCase, partition: str) -> str:
    """Return the folder of a partition's pictures, below the lake."""
    return f"{use_case.name}/pictures/{partition}"


def picture_path(use_case: UseCase, partition: str, item: str) -> str:
    """Return the path of an item's picture, below the lake."""
    return f"{pictures_of(use_case, partition)}/{item}.png"
