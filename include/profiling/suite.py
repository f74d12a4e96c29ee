"""`expectations.yaml` from a profile: what later files must look like, each rule with its reason.

A profile shows what was seen, not what is possible. So a batch is refused only when too many rows
differ, and a single row is quarantined only when its key is missing. The slack is our choice: a
file that was swapped, truncated or written in another unit should fail; another season should not.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from include.profiling.plan import Plan
from include.profiling.time import keys_of
from include.profiling.yaml_files import flow, one_line

_FEW_CATEGORIES = 20
_FEW_ROWS = 30  # of a partition: a share of fewer rows is too noisy
_IN_SET, _IN_RANGE = 0.95, 0.99
_NULL_SLACK = 0.05
_SMALLEST, _LARGEST = 1e-290, 1e290


def expectations_yaml(plan: Plan) -> str:
    """Write the suite."""
    seen = f"{len(plan.table.frame):,} rows of {plan.table.path.name}"
    lines = [
        f"# What each new batch must look like, from a profile of {seen}.",
        "# Edit these rules: the profile shows what was seen, you know what is possible.",
    ]
    for reason, expectation in _expectations(plan):
        lines += ["", f"# {reason}"]
        first, *others = [f"{key}: {flow(value)}" for key, value in expectation.items()]
        lines += [f"- {first}", *(f"  {line}" for line in others)]
    return "\n".join(one_line(line) for line in lines) + "\n"


def _expectations(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    yield _row_count(plan)
    names = plan.key.columns
    for name in names:
        yield "A row without a key cannot be matched with its label.", _not_null(name, "quarantine")
    if len(names) > 1:
        expected = {"expectation": "expect_compound_columns_to_be_unique", "column_list": names}
    else:
        expected = {"expectation": "expect_column_values_to_be_unique", "column": names[0]}
    yield f"The key identifies one row: {plan.key.why}.", {**expected, "on_failure": "refuse"}
    frame = plan.table.frame
    for name in [*plan.numeric, *plan.categorical]:
        if (found := _gaps(name, plan)) is not None:
            yield found
        kind = plan.table.kind(name)
        if kind in ("int64", "float64"):
            yield _range(name, frame[name])
        elif kind == "string" and plan.table.distinct(name) <= _FEW_CATEGORIES:
            yield _set(name, frame[name])


def _row_count(plan: Plan) -> tuple[str, dict[str, Any]]:
    counts, times = _sizes(plan), plan.table.rows / max(1, len(plan.table.frame))
    low, high = int(counts.min() * times), math.ceil(counts.max() * times)
    seen = f"{low:,} to {high:,} rows in a {plan.time.grain}" if plan.cut else f"{high:,} rows"
    reason = f"{seen}; with less than half a file was cut short, with over twice it landed twice."
    return reason, {
        "expectation": "expect_table_row_count_to_be_between",
        "min_value": max(1, low // 2),
        "max_value": high * 2,
        "on_failure": "refuse",
    }


def _sizes(plan: Plan) -> pd.Series[int]:
    if plan.time.column is None:
        return pd.Series([len(plan.table.frame)])
    return keys_of(plan.table.frame[plan.time.column], plan.time.grain).value_counts()


def _gaps(name: str, plan: Plan) -> tuple[str, dict[str, Any]] | None:
    missing = plan.table.frame[name].isna()
    worst = float(missing.mean())
    if plan.time.column is not None and worst:
        keys = keys_of(plan.table.frame[plan.time.column], plan.time.grain)
        shares = missing.groupby(keys).agg(["mean", "size"])
        large = shares.loc[shares["size"] >= _FEW_ROWS, "mean"]
        worst = max(worst, float(large.max())) if len(large) else 1.0
    mostly = round(1 - 2 * worst - _NULL_SLACK, 3)
    if mostly <= 0:
        return None  # it may be missing in every row
    reason = f"{name} was missing in {worst:.1%} of rows; twice that plus 5% of rows may lack it."
    return reason, {**_not_null(name, "refuse"), "mostly": mostly}


def _not_null(name: str, on_failure: str) -> dict[str, Any]:
    return {
        "expectation": "expect_column_values_to_not_be_null",
        "column": name,
        "on_failure": on_failure,
    }


def _range(name: str, values: pd.Series[Any]) -> tuple[str, dict[str, Any]]:
    low, high = float(values.min()), float(values.max())
    slack = (high - low) / 2
    least = low - slack if low < 0 or slack == 0 else max(0.0, low - slack)
    reason = f"{name} was {low:g} to {high:g}; 99% of rows must be at most half that span outside."
    return reason, {
        "expectation": "expect_column_values_to_be_between",
        "column": name,
        "min_value": _rounded(least, math.floor),
        "max_value": _rounded(high + slack, math.ceil),
        "mostly": _IN_RANGE,
        "on_failure": "refuse",
    }


def _rounded(number: float, outwards: Callable[[float], int]) -> float | int:
    """Round to three digits, away from what was seen."""
    if number == 0:
        return 0
    if not _SMALLEST < abs(number) < _LARGEST:  # its powers of ten are beyond float64
        return math.copysign(min(abs(number), sys.float_info.max), number)
    digits: int = 2 - math.floor(math.log10(abs(number)))
    if digits <= 0:
        return int(outwards(number / 10**-digits) * 10**-digits)
    scale = float(10**digits)
    return round(outwards(number * scale) / scale, digits)


def _set(name: str, values: pd.Series[Any]) -> tuple[str, dict[str, Any]]:
    found = sorted(values.dropna().unique().tolist())
    reason = f"{name} had these {len(found)} values; at most 5% of rows may have others."
    return reason, {
        "expectation": "expect_column_values_to_be_in_set",
        "column": name,
        "value_set": found,
        "mostly": _IN_SET,
        "on_failure": "refuse",
    }
