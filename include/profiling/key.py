"""Which columns identify a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from include.errors import DataContractError
from include.ingest_label.checks import listed
from include.profiling.table import Table
from include.use_cases.sections.values import TIMES

ROW_NUMBER = "row_number"
_ID = re.compile(
    r"(^|[_\W])(id|key|nr|no|uuid|guid|code|index|number|rownames|nummer|kennung)$"
    r"|[a-z](ID|Id|Key|Nr|nr|nummer|number)$|^(ID|Id)",
)
_CALENDAR = ("year", "month", "day", "jahr", "monat", "tag", "hour", "week")
_MOST_COLUMNS = 8  # of which pairs and triples are tried: 84


@dataclass(frozen=True)
class Key:
    """The columns that identify a row.

    Attributes
    ----------
    columns : list of str
        One or several.
    numbered : bool
        The file has no such columns: what lands gets one that counts the rows.
    why : str
        The reason.
    """

    columns: list[str]
    numbered: bool
    why: str


def key_of(table: Table, answer: str | None, label: str) -> Key:
    """Find the columns that name a row, or take those that a person names.

    Parameters
    ----------
    table : Table
        The sample.
    answer : str, optional
        Columns separated by commas, or `row_number`.
    label : str
        It is no part of the key.

    Raises
    ------
    DataContractError
        The columns of the answer do not name each row once.
    """
    if answer is not None:
        return _answered(table, answer, label)
    names = [name for name in table.frame.columns if name != label and _complete(table, name)]
    for one in sorted(names, key=lambda name: _rank(table, name)):
        if _rank(table, one) < _NO_KEY and _unique(table, [one]):
            return Key([one], False, f"unique in every row{_seen(table)}")
    parts = [name for name in names if _is_part(table, name)][:_MOST_COLUMNS]
    for size in (2, 3):
        for some in combinations(parts, size):
            named = any(_ID.search(name) or _is_calendar(table, name) for name in some)
            if named and _unique(table, some):
                return Key(list(some), False, f"together unique in every row{_seen(table)}")
    why = (
        "no columns name a row, so what lands counts its rows; the next file must have them in the "
        "same places, or KEY= name a column"
    )
    return Key([_row_number(table)], True, why)


def names_in(answer: str, table: Table) -> list[str]:
    """Split an answer at its commas, unless it is the name of one column that has a comma."""
    return [answer] if answer in table.findings else [each.strip() for each in answer.split(",")]


def _answered(table: Table, answer: str, label: str) -> Key:
    names = names_in(answer, table)
    if names == [ROW_NUMBER] and ROW_NUMBER not in table.findings:
        return Key(names, True, "as you said: what lands gets a column that counts the rows")
    for name in names:
        if name not in table.findings:
            raise DataContractError(
                f"KEY={answer}: there is no column {name!r}; there are "
                f"{listed(list(table.findings))}. Correct KEY."
            )
        if (why := table.findings[name].obstacle) or name == label:
            raise DataContractError(f"KEY={answer}: {name!r} {why or 'is the label'}.")
        if table.frame[name].isna().any():
            gaps = int(table.frame[name].isna().sum())
            raise DataContractError(
                f"KEY={answer}: {name!r} is missing in {gaps:,} rows. Fill it in, name other "
                f"columns, or write KEY={ROW_NUMBER} to count the rows."
            )
    if not _unique(table, names):
        twice = table.frame[table.frame.duplicated(names)].iloc[0]
        raise DataContractError(
            f"KEY={answer}: must identify each row, but "
            f"{ {name: str(twice[name]) for name in names} } stands there more than once. Add a "
            f"column that tells them apart, or write KEY={ROW_NUMBER} to count the rows."
        )
    return Key(names, False, f"as you said; unique in every row{_seen(table)}")


_NO_KEY = 9


def _rank(table: Table, name: str) -> int:
    """Tell how likely a column that is unique is the key: the lowest first, `_NO_KEY` never."""
    kind, first = table.kind(name), next(iter(table.findings)) == name
    if _ID.search(name) and kind in ("string", "int64"):
        return 0
    if kind == "string":
        return 1 if first else 3
    if kind == "int64":
        values = table.frame[name]
        # Numbers of consecutive rows; unique amounts in a small table are chance.
        counted = not table.sampled and values.max() - values.min() == len(values) - 1
        return 2 if counted and len(values) > 1 else _NO_KEY
    return 4 if kind in TIMES else _NO_KEY


def _is_part(table: Table, name: str) -> bool:
    kind = table.kind(name)
    numbered = kind == "int64" and bool(_ID.search(name))
    fits = kind == "string" or numbered or _is_calendar(table, name)
    return fits and table.distinct(name) > 1


def _is_calendar(table: Table, name: str) -> bool:
    kind = table.kind(name)
    return kind in TIMES or (kind == "int64" and name.lower() in _CALENDAR)


def _complete(table: Table, name: str) -> bool:
    return not table.findings[name].obstacle and not table.frame[name].isna().any()


def _unique(table: Table, names: Sequence[str]) -> bool:
    return not table.frame.duplicated(list(names)).any()


def _seen(table: Table) -> str:
    return f" of the sample of {len(table.frame):,}" if table.sampled else ""


def _row_number(table: Table) -> str:
    name = ROW_NUMBER
    while name in table.findings:
        name += "_"
    return name
