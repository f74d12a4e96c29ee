"""Which columns a model sees, whether as numbers or categories, and why not the others."""

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
"""Texts that differ in half of the rows identify rows instead of grouping them. Our choice."""
_ROWS_EACH = 5
"""With so many rows of each text on average, one label for each is not chance. Our choice."""
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
        why = "a time is not a number; derive what matters, such as an age, in features.py"
        return Role(name, "left out", why)
    distinct = table.distinct(name)
    if kind == "string" and distinct > _FEW and distinct > _TEXT_SHARE * values.count():
        return Role(name, "left out", f"texts that hardly repeat ({distinct:,} distinct ones)")
    if _tells_all(values, outcome):
        why = f"predicts {outcome.column!r} without error: probably known only afterwards"
        return Role(name, "left out", f"{why}; add it if it is not")
    told = "; ".join([f"{distinct:,} distinct values", *_gaps(table, name), *finding.notes])
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
        if _is_text(x):
            return False
        # By ranks: the logarithm of the label tells it as well as the label.
        ranks = (x.astype("float64").rank(), y.rank())
        return bool(abs(np.corrcoef(*ranks)[0, 1]) > _ALIKE)
    if x.nunique() <= _FEW or (_is_text(x) and len(x) >= _ROWS_EACH * x.nunique()):
        return bool((y.groupby(x).nunique() == 1).all())
    if _is_text(x):
        return False
    ranges = x.astype("float64").groupby(y).agg(["min", "max"]).sort_values("min")
    return bool((ranges["max"].iloc[:-1].to_numpy() < ranges["min"].iloc[1:].to_numpy()).all())


def _is_text(values: pd.Series[Any]) -> bool:
    return values.dtype == object or pd.api.types.is_string_dtype(values.dtype)
