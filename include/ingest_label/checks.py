"""What every landed file is held to, whatever its kind: its size, and its columns."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from include.errors import DataContractError, bounded
from include.ingest_label.source import Source
from include.use_cases.schema import Columns

# Limits stand far above what a real file needs. They keep one malformed file from occupying a
# worker for minutes.
MAX_FILE_BYTES = 2 * 2**30  # a file is parsed in memory; a month of flights has 2 MB
MAX_COLUMNS = 10_000  # each costs memory for every row, whether it is declared or not
MAX_ROW_BYTES = 4 * 2**20  # the block in which pyarrow reads: a row must fit into one
MAX_ROWS = 50_000_000  # one column of them has 400 MB
_SHOWN = 20  # names in a message


def within(got: int, limit: int, what: str, path: str, remedy: str) -> None:
    """Refuse what is larger than a limit."""
    if got > limit:
        raise DataContractError(
            f"{path}: must have at most {limit:,} {what}, got {got:,}. {remedy}"
        )


def check_columns(
    there: Sequence[str], source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> None:
    """Refuse a file that lacks a declared column, or has one twice, or one that nobody declared.

    Parameters
    ----------
    there : sequence of str
        Columns of the file.
    source : Source
        The file.
    columns : dict of str to ColumnType
        What must be there once.
    elsewhere : collection of str
        Columns that the use case reads from the same file for another table.
    """
    within(len(there), MAX_COLUMNS, "columns", source.path, "Land it without those nobody reads.")
    absent = [name for name in columns if name not in there]
    strangers = sorted(set(there) - {*columns, *elsewhere})
    twice = sorted({name for name in columns if there.count(name) > 1})
    if absent or twice:
        wanted = listed(list(columns))
        what = f"lacks {listed(absent)}" if absent else f"has {listed(twice)} more than once"
        raise DataContractError(
            f"{source.path}: must have each of the columns {wanted} once, but {what}."
            f"{_renamed(absent, strangers)} It has {listed(there)}. "
            "Land the file with these columns, or correct 'columns' in use_case.yaml."
        )
    if strangers and source.format.undeclared == "refuse":
        raise DataContractError(
            f"{source.path}: must have no columns but those of use_case.yaml, but has "
            f"{listed(strangers)}. Declare them, land the file without them, or write "
            f"`undeclared: ignore` under {source.key}."
        )


def listed(names: Sequence[str]) -> str:
    """Write names for a message, a long list cut."""
    shown = bounded(str(list(names[:_SHOWN])), 1000)
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _renamed(absent: Sequence[str], strangers: Sequence[str]) -> str:
    """Name the undeclared columns that look like new names of absent ones."""
    by_letters = {_letters(name): name for name in strangers}
    pairs = []
    for name in absent[:_SHOWN]:
        close = difflib.get_close_matches(_letters(name), by_letters, n=1)
        if close:
            pairs.append(f"{by_letters[close[0]]!r} instead of {name!r}")
    return f" Is {', '.join(pairs)}?" if pairs else ""


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
