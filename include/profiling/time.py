"""Which column says when a row was, and whether months or days are partitions."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from include.errors import DataContractError
from include.ingest_label.checks import listed
from include.profiling.table import Table
from include.use_cases.sections.values import TIMES, Grain

NONE = "none"
_OF_THE_ROW = re.compile(
    r"birth|geburt|born|signup|sign_up|since|seit|joined|hired|opened|start|begin|until|expir|end$|valid",
    re.IGNORECASE,
)
"""Names of days that describe a customer or a contract, and not when the row was recorded."""
_DAYS_NEEDED = 11
"""A split by days holds out ten of them (`include.use_cases.schema.HELD_OUT_DAYS`)."""
_MANY_PARTITIONS = 60
_FEW_ROWS = 50
"""A partition with fewer rows tells too little. Our choice: as many as a first model needs."""


@dataclass(frozen=True)
class Time:
    """When rows are.

    Attributes
    ----------
    column : str or None
        None: the file is a snapshot.
    grain : {'day', 'month'}
        What a partition is.
    partitions : int
        How many the sample lies in; 1 for a snapshot.
    why : str
        The reason.
    """

    column: str | None
    grain: Grain
    partitions: int
    why: str


def time_of(table: Table, answer: str | None, label: str) -> Time:
    """Find the column that says when a row was, or take the one that a person names.

    Raises
    ------
    DataContractError
        The column of the answer holds no times, or not in each row.
    """
    if answer == NONE:
        return Time(None, "day", 1, "a snapshot, as you said")
    if answer is not None:
        return _checked(table, answer, label)
    times = [name for name in table.frame.columns if table.kind(name) in TIMES and name != label]
    usable = [name for name in times if not table.frame[name].isna().any()]
    events = [name for name in usable if not _OF_THE_ROW.search(name)]
    if not times:
        return Time(None, "day", 1, "a snapshot: no column holds days or times")
    if not events:
        why = "do not look like the time of a row" if usable else "are missing in some rows"
        hint = f"; TIME={usable[0]} uses it as that" if usable else ""
        return Time(None, "day", 1, f"a snapshot: the days of {listed(times)} {why}{hint}")
    name = events[0]
    found = _grain(table, name)
    if found is None:
        return Time(None, "day", 1, f"a snapshot: {name!r} lies in one month and few days")
    each = round(table.rows / found.partitions)
    if each < _FEW_ROWS:
        parts = f"{found.partitions} {found.grain}s of {name!r}"
        why = f"a snapshot: the {parts} have {each} rows each; TIME={name} makes partitions of them"
        return Time(None, "day", 1, why)
    return found


def keys_of(times: pd.Series, grain: Grain) -> pd.Series:
    """Give each row the key of its partition: the UTC month or day."""
    keys: pd.Series[str] = times.dt.strftime("%Y-%m" if grain == "month" else "%Y-%m-%d")
    return keys


def _checked(table: Table, answer: str, label: str) -> Time:
    if answer not in table.findings:
        raise DataContractError(
            f"TIME={answer}: there is no such column; there are {listed(list(table.findings))}. "
            f"Correct TIME, or write TIME={NONE} for a snapshot."
        )
    found = table.findings[answer]
    if found.kind not in TIMES or found.obstacle or answer == label:
        why = found.obstacle or ("is the label" if answer == label else f"holds {found.kind}")
        raise DataContractError(
            f"TIME={answer}: must be a column of days or times, but {answer!r} {why}. Correct the "
            f"file, or write TIME={NONE} for a snapshot."
        )
    gaps = int(table.frame[answer].isna().sum())
    if gaps:
        raise DataContractError(
            f"TIME={answer}: each row must have its time, but {gaps:,} have none. Fill it in, or "
            f"write TIME={NONE} for a snapshot."
        )
    time = _grain(table, answer)
    if time is None:
        raise DataContractError(
            f"TIME={answer}: all rows lie in one month and in fewer than {_DAYS_NEEDED} days; a "
            f"split by time needs two months, or {_DAYS_NEEDED} days. Write TIME={NONE} for a "
            "snapshot."
        )
    return time


def _grain(table: Table, name: str) -> Time | None:
    times = table.frame[name]
    months, days = keys_of(times, "month").nunique(), keys_of(times, "day").nunique()
    if months < 2 and days < _DAYS_NEEDED:
        return None
    grain: Grain = "month" if months > 1 else "day"
    count = months if months > 1 else days
    why = f"{count} {grain}s of {name!r}, {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"
    if count > _MANY_PARTITIONS:
        why += f"; each of the {count} is a run of its own"
    return Time(name, grain, int(count), why)
