"""The commits of a use case's tables, as steps from one partition to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from include.due.definitions import DEFINITION
from include.due.stages import ALL, LANDING
from include.errors import DataContractError
from include.ingest_label.landed import LANDED
from include.ingest_label.landing import WHOLE
from include.lake.pins import table_of
from include.lake.records import Input
from include.lake.table import Lake


@dataclass(frozen=True)
class Step:
    """One publish of one partition.

    Attributes
    ----------
    table, partition : str
        What was published, `flight_delays.clean` and `2013-04`.
    version : int
        The Delta version that holds it.
    table_id : str
        Delta's id of the table.
    at : str
        When, ISO, UTC.
    rows : int
        How many.
    run_id : str
        The Airflow run, task and map index: `<dag>/<run>/<task>/<index>`.
    code_version : str
        Of the code that made it.
    definition : str or None
        Digest of the phase's definition, in hexadecimal.
    inputs : list of Input
        The tables that were read, at which versions.
    landing : str or None
        Fingerprint of the landed files that it was made of, in hexadecimal.
    files : list of dict
        These files, `path`, `sha256` and `first_seen`, where the lake lists them.
    facts : dict
        What the phase noted, such as the model version of predictions.
    """

    table: str
    partition: str
    version: int
    table_id: str
    at: str
    rows: int
    run_id: str
    code_version: str
    definition: str | None
    inputs: list[Input]
    landing: str | None
    files: list[dict[str, Any]]
    facts: dict[str, Any]

    @property
    def stage(self) -> str:
        """The table's name without the use case's."""
        return self.table.partition(".")[2]


@dataclass(frozen=True)
class Gap:
    """Something that can be followed no further, and why.

    `table` is where the trail ends; `because` says it in words.
    """

    table: str
    because: str


@dataclass
class Trail:
    """Steps that were found, and gaps."""

    steps: list[Step] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Commits:
    """The histories of a use case's tables; each log is read once.

    Parameters
    ----------
    lake : Lake
        Holds the tables.
    use_case : str
        Its name.
    """

    def __init__(self, lake: Lake, use_case: str) -> None:
        self.lake, self.use_case = lake, use_case
        self.history = cache(self._history)
        self.table_id = cache(self._table_id)
        self.landed = cache(self._landed)

    def steps(self, stage: str) -> list[Step]:
        """Return the newest publish of each partition of a stage, sorted by partition."""
        newest: dict[str, Step] = {}
        for record in self.history(f"{self.use_case}.{stage}"):
            if record["partition"] not in newest and record.get("rows"):
                newest[record["partition"]] = self.step(f"{self.use_case}.{stage}", record)
        return [newest[key] for key in sorted(newest)]

    def at(self, table: str, partition: str, version: int | None = None) -> Step | None:
        """Return the publish that made a partition as it stands in a version; None if none did."""
        for record in self.history(table):
            known = version is None or record["version"] <= version
            if known and record["partition"] == partition:
                return self.step(table, record) if record.get("rows") else None
        return None

    def upstream(self, pinned: Input, partition: str) -> Trail:
        """Follow a partition from a pinned table back to what landed."""
        trail, pending, seen = Trail(), [pinned], set()
        while pending:
            read = pending.pop(0)
            if (read.table, read.version) in seen:
                continue
            seen.add((read.table, read.version))
            if gap := self._gap(read):
                trail.gaps.append(gap)
                continue
            found = self.found(read, partition)
            trail.steps += found
            pending += [each for step in found for each in step.inputs]
        return trail

    def found(self, read: Input, partition: str) -> list[Step]:
        """Return the steps behind one input: of the same partition, or of all of a whole table."""
        step = self.at(read.table, partition, read.version)
        if step is not None:
            return [step]
        keys = {record["partition"] for record in self.history(read.table)}
        steps = [self.at(read.table, key, read.version) for key in sorted(keys)]
        return [step for step in steps if step is not None]

    def _gap(self, read: Input) -> Gap | None:
        try:
            table_of(self.lake, read.table).check_pin(read)
        except DataContractError as error:
            return Gap(read.table, str(error))
        return None

    def _history(self, table: str) -> list[dict[str, Any]]:
        return table_of(self.lake, table).history()

    def _table_id(self, table: str) -> str:
        return str(table_of(self.lake, table).pin().table_id)

    def step(self, table: str, record: Mapping[str, Any]) -> Step:
        """Make a step of an entry of a table's history."""
        consumed = record.get("consumed", {})
        stage = table.partition(".")[2]
        return Step(
            table=table,
            partition=record["partition"],
            version=record["version"],
            table_id=self.table_id(table),
            at=record["timestamp"],
            rows=record["rows"],
            run_id=record.get("run_id") or "",
            code_version=record.get("code_version", ""),
            definition=_hexadecimal(consumed.get(DEFINITION)),
            inputs=[Input(**each) for each in record.get("inputs", [])],
            landing=_hexadecimal(consumed.get(LANDING)),
            files=self._files(stage, record) if LANDING in consumed else [],
            facts=dict(record.get("facts", {})),
        )

    def _files(self, stage: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the files of a partition that had landed when it was published."""
        return [
            {**row, "first_seen": row["first_seen"].isoformat()}
            for row in self.landed(stage).get(_key(record["partition"]), [])
            if row["first_seen"].isoformat() <= record["timestamp"]
        ]

    def _landed(self, stage: str) -> dict[str, list[dict[str, Any]]]:
        table = self.lake.table(self.use_case, LANDED)
        if stage not in table.partitions():
            return {}
        wanted = ["key", "path", "sha256", "first_seen"]
        by_key: dict[str, list[dict[str, Any]]] = {}
        for row in table.read([stage], wanted).to_pylist():
            by_key.setdefault(row.pop("key"), []).append(row)
        return by_key


def _key(partition: str) -> str:
    """Return the key under which a partition lands; what lands whole has one of its own."""
    return WHOLE if partition == ALL else partition


def _hexadecimal(number: int | None) -> str | None:
    return None if number is None else f"{number:016x}"
