"""What is known of a partition before a round is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.labelling.asking import item_id
from include.labelling.contract import STRATEGY
from include.labelling.ends import read_ends
from include.labelling.history import LabelHistory
from include.labelling.label_model import ABSTAIN
from include.labelling.people import PeopleLabels
from include.labelling.rounds import CLOSES_AT, ROUND, RUN
from include.labelling.verdicts import people_of
from include.lake.schemas import arrow_schema
from include.lake.table import Lake
from include.modelling.units import unit_numbers
from include.use_cases.schema import UseCase

_VOTE = "_vote_"


@dataclass(frozen=True, eq=False)
class State:
    """Rows, labels, rounds and answers of one partition.

    Attributes
    ----------
    table : Table
        The clean rows in the order of their item ids, and the column that train.split groups them
        by.
    places : mapping of str to int
        Where in it the row of each item id is, in the same order.
    said : PeopleLabels
        Former rounds, and what people answered.
    labelled : set of str
        Items that have a label which no rule gave.
    ends : mapping of int to datetime
        When the rounds ended that have ended.
    """

    use_case: UseCase
    partition: str
    table: pa.Table
    places: Mapping[str, int]
    said: PeopleLabels
    labelled: set[str]
    ends: Mapping[int, datetime]

    @classmethod
    def of(cls, use_case: UseCase, partition: str, lake: Lake) -> State:
        """Read it.

        Raises
        ------
        DataContractError
            There is no such clean partition.
        """
        clean = lake.table(use_case.name, "clean")
        table = clean.read([partition], arrow_schema(use_case.ingest.columns))
        table = _with_group(use_case, partition, table, lake)
        ids = [item_id(row) for row in table.select(use_case.ingest.key).to_pylist()]
        table = table.take(pa.array(np.argsort(ids)))
        known = LabelHistory(use_case, lake).known(partition)
        known = known.filter(pc.not_equal(known[STRATEGY], "rules"))
        labelled = {item_id(row) for row in known.select(use_case.ingest.key).to_pylist()}
        places = {item: place for place, item in enumerate(sorted(ids))}
        said = PeopleLabels.of(use_case, partition, lake)
        ends = read_ends(use_case, partition, lake)
        return cls(use_case, partition, table, places, said, labelled, ends)

    def rows(self, items: Sequence[str]) -> pa.Table:
        """Give the rows of some items, in their order.

        All rows stay in Arrow: as Python objects a million of them would fill gigabytes.
        """
        return self.table.take(pa.array([self.places[item] for item in items], pa.int64()))

    def round_of(self, run_id: str) -> int | None:
        """Find the round that a run has chosen before."""
        rounds = self.said.rounds
        own = rounds.filter(pc.equal(rounds[RUN], run_id))
        return int(own[ROUND][0].as_py()) if own.num_rows else None

    def obstacle(self) -> str:
        """Say in sentences why no round may begin; empty where one may."""
        people, rounds = people_of(self.use_case), self.said.rounds
        numbers = sorted(set(rounds[ROUND].to_pylist()))
        if not numbers:
            return ""
        last = numbers[-1]
        closes_at = pc.max(rounds.filter(pc.equal(rounds[ROUND], last))[CLOSES_AT]).as_py()
        if last not in self.ends and datetime.now(UTC) < closes_at:
            return (
                f"Round {last} of {self.partition} is open until {closes_at:%Y-%m-%d %H:%M} UTC. "
                "Answer its questions, or wait."
            )
        if len(numbers) >= people.rounds:
            return (
                f"{self.partition} has had its {people.rounds} rounds. Raise labels.people.rounds."
            )
        return ""


def _with_group(use_case: UseCase, partition: str, rows: pa.Table, lake: Lake) -> pa.Table:
    """Add the column that train.split groups rows by, where features.py makes it."""
    group, features = use_case.train.split.group, lake.table(use_case.name, "features")
    if group is None or group in rows.column_names or partition not in features.partitions():
        return rows
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    made = features.read([partition], arrow_schema({**key, group: "string"}))
    return rows.join(made, list(key), join_type="left outer")


def reserved_rows(use_case: UseCase, rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Tell which rows only chance may choose.

    The share `train.split.holdout` that comes first in the order of chance, so that what `random`
    takes stays a fair sample. In a split without time also the rows that are held out, because the
    model would not learn from them.
    """
    split = use_case.train.split
    reserved = unit_numbers(rows, use_case.ingest.key, "audit") < split.holdout
    if split.time is None:
        unit = [split.group] if split.group else list(use_case.ingest.key)
        if all(name in rows.column_names for name in unit):
            reserved |= unit_numbers(rows, unit, "holdout") < split.holdout
    found: npt.NDArray[np.bool_] = reserved
    return found


def votes_of(state: State, lake: Lake) -> dict[str, list[int]]:
    """Read the votes of rules by item, `ABSTAIN` where a rule has none; empty without rules."""
    table, labels = lake.table(state.use_case.name, "votes"), state.use_case.labels
    if labels is None or labels.rules is None or state.partition not in table.partitions():
        return {}
    key = list(state.use_case.ingest.key)
    named = [f"{_VOTE}{name}" for name in labels.rules.functions]
    columns = pa.schema(
        [
            *arrow_schema({name: state.use_case.ingest.columns[name] for name in key}),
            *((name, pa.int64()) for name in named),
        ]
    )
    return {
        item_id({name: row[name] for name in key}): [
            ABSTAIN if row[name] is None else row[name] for name in named
        ]
        for row in table.read([state.partition], columns).to_pylist()
    }
