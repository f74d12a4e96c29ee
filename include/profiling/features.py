"""From what is predicted: which columns a model sees, as what, and why the others not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.profiling.outcome import Outcome
from include.profiling.table import Table
from include.use_cases.sections.values import TIMES

Kind = Literal["numeric", "categorical", "left out"]
_TEXT_SHARE, _FEW = 0.5, 20
"""A text that differs in half of the rows names rows, and does not group them. Our choice."""
_NEARLY_EMPTY = 0.95
_ALIKE = 0.999_999
"""A column from which the label can be told without error is the label, or is known after it."""


@dataclass(frozen=True)
class Role:
    """What a column is to the model, and why."""

    column: str
    kind: Kind
    why: str


def role_of(table: Table, name: str, outcome: Outcome) -> Role:
    """Decide about one column that is neither key, time nor label."""
    finding = table.findings[name]
    why = finding.obstacle or _useless(table, name)
    if why:
        return Role(name, "left out", why)
    values, kind = table.frame[name], finding.kind
    if kind in TIMES:
        why = "a time is no number; derive what matters of it in features.py"
        return Role(name, "left out", why)
    distinct = table.distinct(name)
    if kind == "string" and distinct > _FEW and distinct > _TEXT_SHARE * values.count():
        return Role(name, "left out", f"texts that hardly repeat ({distinct:,} different ones)")
    if _tells_all(values, outcome):
        why = f"tells {outcome.column!r} without error: it is known afterwards, or the same"
        return Role(name, "left out", f"{why}; add it if not")
    told = "; ".join([f"{distinct:,} different values", *_gaps(table, name), *finding.notes])
    return Role(name, "categorical" if kind == "string" else "numeric", told)


def _useless(table: Table, name: str) -> str:
    values = table.frame[name]
    if table.distinct(name) <= 1:
        shown = f"is always {str(values.dropna().iloc[0])!r}" if values.count() else "has no values"
        return shown if not values.isna().any() else f"{shown}, or missing"
    if table.missing(name) > _NEARLY_EMPTY:
        return f"missing in {table.missing(name):.1%} of rows"
    return ""


def _gaps(table: Table, name: str) -> list[str]:
    share = table.missing(name)
    return [f"missing in {share:.1%}"] if share else []


def _tells_all(values: pd.Series[Any], outcome: Outcome) -> bool:
    both = values.notna() & outcome.labels.notna()
    x, y = values[both], outcome.labels[both]
    if len(y) == 0 or y.nunique() < 2 or x.nunique() < 2 or both.mean() < _TEXT_SHARE:
        return False
    if outcome.task == "regression":
        if x.dtype == object or pd.api.types.is_string_dtype(x.dtype):
            return False
        # By ranks: the logarithm of the label tells it as well as the label.
        ranks = (x.astype("float64").rank(), y.rank())
        return bool(abs(np.corrcoef(*ranks)[0, 1]) > _ALIKE)
    if x.nunique() <= _FEW:
        return bool((y.groupby(x).nunique() == 1).all())
    if pd.api.types.is_string_dtype(x.dtype):
        return False
    one, other = x[y == 1].astype("float64"), x[y == 0].astype("float64")
    return bool(one.min() > other.max() or one.max() < other.min())
