"""What a request's columns may hold: declared in the use case, or learned from the training rows.

What training saw of each column travels in the model package, so serving needs no lake to know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.errors import DataContractError
from include.use_cases.schema import Columns, UseCase

Range = tuple[float, float]

_NUMBERS = ("int64", "float64")


@dataclass(frozen=True)
class Seen:
    """What training saw of one request column.

    Attributes
    ----------
    null : bool
        Whether a value was missing.
    blank : bool
        Whether a text was empty or only white space.
    range : (low, high), optional
        Of the finite numbers; None for other types, and when there was none.
    """

    null: bool
    blank: bool
    range: Range | None


@dataclass(frozen=True)
class Rule:
    """What one column of a request may hold.

    Attributes
    ----------
    nullable, blank : bool
        Whether a missing value, or an empty or blank text, is accepted.
    possible : (low, high), optional
        Declared: ``clean.noise``.
    usual : (low, high), optional
        Learned: what training saw.
    refuse : bool
        Whether a value outside `possible` is refused; otherwise it is flagged.
    """

    nullable: bool = True
    blank: bool = True
    possible: Range | None = None
    usual: Range | None = None
    refuse: bool = True


def seen_in(rows: pd.DataFrame | Iterable[pd.DataFrame], use_case: UseCase) -> dict[str, Seen]:
    """Learn what training rows hold, column by column.

    Parameters
    ----------
    rows : DataFrame or iterable of DataFrame
        Clean rows of the training partitions, whole or in parts, at least the columns
        ``features.inputs``, with the dtypes of `include.lake.frames.to_pandas`.
    use_case : UseCase
        Names the columns and their types.

    Raises
    ------
    DataContractError
        If a column is missing, or there is no row to learn from.
    """
    parts = [rows] if isinstance(rows, pd.DataFrame) else (part for part in rows if len(part))
    found = [_seen_in_part(part, use_case) for part in parts] or [
        _seen_in_part(pd.DataFrame(), use_case)
    ]
    return {name: _both([part[name] for part in found]) for name in use_case.features.inputs}


def _seen_in_part(rows: pd.DataFrame, use_case: UseCase) -> dict[str, Seen]:
    names = use_case.features.inputs
    absent = [name for name in names if name not in rows.columns]
    if absent or rows.empty:
        raise DataContractError(
            f"{use_case.name}: request_rows must be training rows with the columns of "
            f"features.inputs, got {len(rows)} rows that lack {absent}. Pass the clean rows of the "
            "training partitions."
        )
    return {name: _seen(rows[name], use_case.ingest.columns[name]) for name in names}


def _both(parts: list[Seen]) -> Seen:
    ranges = [part.range for part in parts if part.range is not None]
    return Seen(
        null=any(part.null for part in parts),
        blank=any(part.blank for part in parts),
        range=(min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None,
    )


def to_json(seen: Mapping[str, Seen]) -> dict[str, Any]:
    """Make JSON values of it; `from_json` reads them back.

    Examples
    --------
    >>> to_json({"temp": Seen(null=True, blank=False, range=(-2.0, 35.5))})
    {'temp': {'null': True, 'blank': False, 'range': (-2.0, 35.5)}}
    """
    return {name: asdict(each) for name, each in seen.items()}


def from_json(content: Mapping[str, Any]) -> dict[str, Seen]:
    """Read what `to_json` made."""
    return {
        name: Seen(each["null"], each["blank"], each["range"] and tuple(each["range"]))
        for name, each in content.items()
    }


def rules_of(
    use_case: UseCase, request_columns: Columns, seen: Mapping[str, Seen]
) -> dict[str, Rule]:
    """Combine what is declared with what was learned; what is declared comes first.

    A key names the row, and a time of a request is later than every training row, so neither has a
    usual range. Both may never be missing.

    Parameters
    ----------
    use_case : UseCase
        Its `clean`, `serve`, key and time columns are read.
    request_columns : dict of str to ColumnType
        What each row must carry.
    seen : mapping of str to Seen
        Empty for a package that was written without training rows: nothing is learned then.

    Returns
    -------
    dict of str to Rule
        For each request column and each key column.
    """
    names_row = {*use_case.ingest.key, *use_case.times}
    columns = dict.fromkeys([*request_columns, *use_case.ingest.key])
    return {name: _rule(name, use_case, seen.get(name), name in names_row) for name in columns}


def _rule(name: str, use_case: UseCase, seen: Seen | None, names_row: bool) -> Rule:
    missing = use_case.clean.missing.get(name)
    if names_row or missing == "drop":
        nullable = False
    else:
        nullable = missing is not None or seen is None or seen.null
    return Rule(
        nullable=nullable,
        blank=not names_row if seen is None else seen.blank,
        possible=use_case.clean.noise.get(name),
        usual=None if seen is None or names_row else seen.range,
        refuse=use_case.serve.out_of_range == "refuse",
    )


def _seen(column: pd.Series[Any], type_: str) -> Seen:
    present = column.dropna()
    blank = type_ == "string" and bool((present.str.strip() == "").any())
    low_high: Range | None = None
    if type_ in _NUMBERS:
        finite = present[np.isfinite(present.to_numpy(dtype="float64"))]
        if len(finite):
            low_high = (finite.min().item(), finite.max().item())
    return Seen(null=len(present) < len(column), blank=blank, range=low_high)
