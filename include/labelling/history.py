"""The history of labels: appended to, never changed, and read as it was known at a time.

Each row of the table `label_history` is one label that one strategy gave to one key: its value, its
source and confidence, when the lake learned of it (`_known_at`), and its version, which counts up
for that key and strategy. A correction is a new version. So is a withdrawal: its label is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.labelling.contract import (
    KNOWN_AT,
    LABEL,
    SOURCE,
    STRATEGY,
    VERSION,
    claims_schema,
)
from include.lake.corrections import standing
from include.lake.schemas import CONFIDENCE, FILE
from include.lake.table import Lake, LakeTable, StaleAttempt, Writer
from include.use_cases.schema import Labels, UseCase

HISTORY = "label_history"
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class LabelHistory:
    """The history of one use case.

    Attributes
    ----------
    use_case : UseCase
        Whose labels.
    lake : Lake
        Holds `label_history`, and `labels`, which is what came of it.
    """

    use_case: UseCase
    lake: Lake

    @property
    def table(self) -> LakeTable:
        """The append-only table."""
        return self.lake.table(self.use_case.name, HISTORY)

    @property
    def strategy(self) -> str:
        """The strategy of the use case's files."""
        return self._labels.strategy

    @property
    def schema(self) -> pa.Schema:
        """Columns of a version of a label."""
        added = [
            pa.field(STRATEGY, pa.string()),
            pa.field(KNOWN_AT, _TIME),
            pa.field(VERSION, pa.int64()),
        ]
        return pa.schema([*claims_schema(self.use_case, self._labels), *added])

    def known(self, partition: str, at: datetime | None = None) -> pa.Table:
        """Read the labels of a partition as they were known at a time.

        Parameters
        ----------
        partition : str
            Its key.
        at : datetime, optional
            With a time zone. What became known at this very moment counts; by default, all.

        Returns
        -------
        Table
            Columns of `schema`: of each key and strategy the last version, without those that were
            withdrawn. Sorted by strategy and key.
        """
        rows = self._versions(partition)
        if at is not None:
            rows = rows.filter(pc.less_equal(rows[KNOWN_AT], pa.scalar(at, _TIME)))
        last = self._last(rows)
        return last.filter(pc.is_valid(last[LABEL])).sort_by(
            [(name, "ascending") for name in (STRATEGY, *self.use_case.ingest.key)]
        )

    def record(self, partition: str, strategy: str, claims: pa.Table, writer: Writer) -> int:
        """Append what a strategy says now and did not say before; what is gone is withdrawn.

        Parameters
        ----------
        partition, strategy : str
            Whose labels, and of which partition.
        claims : Table
            Columns of `claims_schema`, one row per key, none without a label.
        writer : Writer
            Its token fences: of two attempts at one partition and strategy the later one counts.

        Returns
        -------
        int
            How many versions were appended.

        Raises
        ------
        StaleAttempt
            A later attempt has appended already.
        """
        earlier = self._versions(partition)
        before = self._last(earlier.filter(pc.equal(earlier[STRATEGY], strategy)))
        news = self._news(claims, before, strategy, self._now(earlier))
        if not self._holds(partition):
            # The labels of a lake from before there was a history are its first versions.
            news = pa.concat_tables([earlier, news])
        if news.num_rows:
            self._append(partition, strategy, news, writer)
        return int(news.num_rows)

    def withdraw(self, partition: str, writer: Writer) -> int:
        """Withdraw every label of a partition: its rows were taken back."""
        nothing = claims_schema(self.use_case, self._labels).empty_table()
        strategies = pc.unique(self.known(partition)[STRATEGY]).to_pylist()
        return sum(self.record(partition, one, nothing, writer) for one in strategies)

    @property
    def _labels(self) -> Labels:
        if self.use_case.labels is None:
            raise DataContractError(
                f"{self.use_case.name}: a {self.use_case.task} use case has no labels. Ask for the "
                "labels of one that has the section 'labels'."
            )
        return self.use_case.labels

    def _holds(self, partition: str) -> bool:
        return partition in self.table.partitions()

    def _versions(self, partition: str) -> pa.Table:
        if not self._holds(partition):
            return self._from_before(partition)
        return self.table.read([partition], self.schema, migrations=self.use_case.migrations)

    def _from_before(self, partition: str) -> pa.Table:
        """Take labels that were published before there was a history, known since their commit."""
        table, labels = self.lake.table(self.use_case.name, "labels"), self._labels
        if not labels.landed or partition not in table.partitions():
            return self.schema.empty_table()
        wanted = pa.schema(
            [one for one in self.schema if one.name not in _ADDED] + [pa.field(FILE, pa.string())]
        )
        rows = table.read([partition], wanted, migrations=self.use_case.migrations)
        since = datetime.fromisoformat(str(table.facts(partition)["timestamp"]))
        made = {
            **{name: rows[name] for name in wanted.names},
            SOURCE: rows[FILE],
            CONFIDENCE: pa.repeat(1.0, rows.num_rows),
        }
        return self._numbered(pa.table(made), labels.strategy, since, 1)

    def _last(self, rows: pa.Table) -> pa.Table:
        return rows.take(standing(rows, [*self.use_case.ingest.key, STRATEGY], by=VERSION))

    def _news(self, claims: pa.Table, before: pa.Table, strategy: str, now: datetime) -> pa.Table:
        key = self.use_case.ingest.key
        said = [name for name in claims.column_names if name not in key]
        former = before.select([*key, *said, VERSION])
        former = former.rename_columns([*key, *(f"#{name}" for name in (*said, VERSION))])
        both = claims.join(former, key, join_type="full outer")
        differs = pa.chunked_array([pa.repeat(False, both.num_rows)])
        for name in said:
            differs = pc.or_(differs, _differs(both[name], both[f"#{name}"]))
        # One that was withdrawn before, and is not given now, is no news.
        absent = pc.and_(pc.is_null(both[LABEL]), pc.is_null(both[f"#{LABEL}"]))
        changed = both.filter(pc.and_(differs, pc.invert(absent)))
        # What a withdrawn label was said to be stays with the withdrawal, except for the label.
        gone = pc.is_null(changed[LABEL])
        told = {
            name: pc.if_else(gone, changed[f"#{name}"], changed[name])
            for name in said
            if name != LABEL
        }
        versions = pc.add(pc.fill_null(changed[f"#{VERSION}"], 0), 1)
        rows = {**{name: changed[name] for name in key}, LABEL: changed[LABEL], **told}
        return self._numbered(pa.table(rows), strategy, now, versions)

    def _numbered(self, rows: pa.Table, strategy: str, at: datetime, versions: object) -> pa.Table:
        count, schema = rows.num_rows, self.schema
        if isinstance(versions, int):
            versions = pa.repeat(versions, count)
        added = {
            STRATEGY: pa.repeat(strategy, count),
            KNOWN_AT: pa.repeat(pa.scalar(at, _TIME), count),
            VERSION: versions,
        }
        columns = {**{name: rows[name] for name in rows.column_names}, **added}
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _now(self, earlier: pa.Table) -> datetime:
        """Return the time of this version: not before another that another clock has written."""
        newest: datetime | None = pc.max(earlier[KNOWN_AT]).as_py()
        now = datetime.now(UTC)
        return now if newest is None else max(now, newest)

    def _append(self, partition: str, strategy: str, news: pa.Table, writer: Writer) -> None:
        app = f"{partition}:{strategy}"
        done = self.table.append(
            news.combine_chunks(),
            partition=partition,
            schema=news.schema,
            app_id=app,
            sequence=writer.token,
            run_id=writer.run_id,
            kept=True,
            migrations=self.use_case.migrations,
        )
        if done is None and (self.table.last_sequence(app) or 0) > writer.token:
            raise StaleAttempt(
                f"table {self.table.name}: a later attempt has recorded the labels of {partition} "
                f"by {strategy}. Nothing was written, and nothing is to be done: its result stands."
            )


_ADDED = frozenset({SOURCE, CONFIDENCE, STRATEGY, KNOWN_AT, VERSION})


def _differs(now: pa.ChunkedArray, before: pa.ChunkedArray) -> pa.ChunkedArray:
    """Compare, where two missing values are equal."""
    same = pc.fill_null(pc.equal(now, before), False)
    missing = pc.and_(pc.is_null(now), pc.is_null(before))
    return pc.invert(pc.or_(same, missing))
