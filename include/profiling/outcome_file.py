"""Outcomes that land in a file of their own, because they are known later than the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from include.errors import DataContractError
from include.ingest_label.checks import listed
from include.profiling.key import Key, key_of
from include.profiling.outcome import label_of
from include.profiling.table import Table
from include.profiling.time import Time, keys_of

_COMPLETE = 0.5
"""With less than half of the usual share of outcomes a partition is not complete. Our choice."""
_SHORTEST = {"day": 1, "month": 28}
"""Days between the ends of two partitions, at least."""


@dataclass(frozen=True, eq=False)
class OutcomeFile:
    """A file of outcomes, and how its rows belong to those of the data.

    Attributes
    ----------
    table : Table
        All of its rows.
    key : Key
        Columns of both files that name a row.
    label : str
        The outcome.
    why_label : str
        Why this column.
    """

    table: Table
    key: Key
    label: str
    why_label: str

    def joined(self, rows: Table) -> Table:
        """Add the outcome to the rows; it is missing where it is not known.

        Raises
        ------
        DataContractError
            No outcome belongs to a row.
        """
        outcomes = self.table.frame[[*self.key.columns, self.label]]
        frame = rows.frame.merge(outcomes, on=self.key.columns, how="left", validate="1:1")
        if outcomes[self.label].notna().any() and not frame[self.label].notna().any():
            raise DataContractError(
                f"{self.table.path}: no outcome belongs to a row of {rows.path.name} by "
                f"{listed(self.key.columns)}. Name the columns that both files share in KEY."
            )
        findings = {**rows.findings, self.label: self.table.findings[self.label]}
        return replace(rows, findings=findings, frame=frame, _counts={})

    def incomplete(self, joined: Table, time: Time) -> int:
        """Count the newest partitions whose outcomes are still to come."""
        if time.column is None:
            return 0
        known = joined.frame[self.label].notna()
        shares = known.groupby(keys_of(joined.frame[time.column], time.grain)).mean()
        complete = shares >= _COMPLETE * shares[shares > 0].median()
        return int((~complete[::-1]).cumprod().sum())

    def mature_after_days(self, joined: Table, time: Time) -> int:
        """Return how long after the end of a partition its outcomes are there."""
        return _SHORTEST[time.grain] * self.incomplete(joined, time)


def outcome_file_of(
    rows: Table, outcomes: Table, label: str | None, key: str | None
) -> OutcomeFile:
    """Find the outcome, and the columns by which the two files belong together.

    Parameters
    ----------
    rows : Table
        A sample of the rows.
    outcomes : Table
        All outcomes.
    label, key : str, optional
        What a person has said.

    Raises
    ------
    DataContractError
        The files share no key, or an outcome stands there twice.
    """
    shared = [name for name in rows.findings if name in rows.frame and name in outcomes.frame]
    if not shared:
        raise DataContractError(
            f"{outcomes.path}: shares no column with {rows.path.name}, so no outcome belongs to a "
            f"row. There are {listed(list(outcomes.findings))}. Add the columns that name a row."
        )
    others = [name for name in outcomes.findings if name not in shared]
    if label is None and not others:
        raise DataContractError(
            f"{outcomes.path}: has no column that {rows.path.name} lacks, so none is the outcome. "
            "Leave OUTCOMES away where the label is a column of the rows, or name another file."
        )
    if label is None:
        label, why = label_of(_only(outcomes, others))
    elif label in rows.findings:
        raise DataContractError(
            f"LABEL={label}: stands in {rows.path.name} too. Leave OUTCOMES away, or name a column "
            f"of {outcomes.path.name}."
        )
    else:
        why = "as you said"
    found = key_of(_only(rows, shared), key, label)
    if found.numbered:
        raise DataContractError(
            f"{outcomes.path}: outcomes belong to rows by columns that name a row, but "
            f"{listed(shared)}, which both files have, do not. Add such a column to both."
        )
    for name in found.columns:
        if rows.kind(name) != outcomes.kind(name):
            raise DataContractError(
                f"{outcomes.path}: {name!r} holds {outcomes.kind(name)}, but in {rows.path.name} "
                f"{rows.kind(name)}. Write it in the same way in both files."
            )
    gaps = int(outcomes.frame[found.columns].isna().any(axis=1).sum())
    if gaps:
        raise DataContractError(
            f"{outcomes.path}: each outcome needs its key, but {listed(found.columns)} is missing "
            f"in {gaps:,} rows. Fill it in, or leave these rows out."
        )
    twice = outcomes.frame.duplicated(found.columns)
    if twice.any():
        first = outcomes.frame.loc[twice, found.columns].iloc[0].to_dict()
        raise DataContractError(
            f"{outcomes.path}: each row has one outcome, but {int(twice.sum()):,} stand there "
            f"again, such as that of {first}. Keep the last of each."
        )
    return OutcomeFile(outcomes, found, label, why)


def partitions_of(outcomes: pd.DataFrame, rows: pd.DataFrame, key: list[str]) -> pd.Series[str]:
    """Tell the partition of each outcome, which is that of its row; missing where there is no row.

    Parameters
    ----------
    outcomes : DataFrame
        Key columns of all outcomes.
    rows : DataFrame
        Key columns of all rows, and `partition`.
    key : list of str
        The columns that identify a row.

    Raises
    ------
    DataContractError
        Two rows have the same key; the sample, in which each was unique, held one of them.
    """
    if (twice := rows.duplicated(key)).any():
        raise DataContractError(
            f"KEY={','.join(key)}: must identify each row, but {int(twice.sum()):,} rows have "
            f"a key that stands there before, such as {rows.loc[twice, key].iloc[0].to_dict()}. "
            "Remove them, or add a column that tells them apart."
        )
    found: pd.Series[str] = outcomes.merge(rows, on=key, how="left", validate="1:1")["partition"]
    return found


def _only(table: Table, names: list[str]) -> Table:
    findings = {name: table.findings[name] for name in names}
    frame = table.frame[[name for name in names if name in table.frame]]
    return replace(table, findings=findings, frame=frame, _counts={})
