"""Whether distributions moved: Evidently's tests on reference and current, and our verdict on them.

A column drifted when the change is both real (its p-value, corrected for the number of columns) and
large enough to matter (Jensen-Shannon distance). With thousands of rows everything is significant,
and with hundreds every distance is large: neither alone is a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from include.drift_monitor.significance import chi_square_p_value, holm, ks_p_value

PREDICTION = "prediction"
MISSING_SUFFIX = " (missing)"
NEVER = 1.0  # the distance is at most sqrt(ln 2) = 0.83


@dataclass(frozen=True)
class Sides:
    """The two samples that are compared, column by column, and which columns are of which kind."""

    reference: pd.DataFrame
    current: pd.DataFrame
    numeric: list[str]
    categorical: list[str]


@dataclass(frozen=True)
class Shift:
    """How far one column moved.

    `p_value` is corrected for the family of columns it was tested with; `distance` is the
    Jensen-Shannon distance (base e, 0 to 0.83).
    """

    name: str
    p_value: float
    distance: float
    drifted: bool


def sample(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return at most `rows` rows, always the same ones of the same frame."""
    return frame if len(frame) <= rows else frame.sample(rows, random_state=0)


def make_sides(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numeric: Sequence[str],
    categorical: Sequence[str],
) -> Sides:
    """Put both sides into a form in which missing numbers are seen.

    KS and Evidently leave missing values out, so a sensor that dies would not be drift. Whether a
    number is there becomes a categorical column of its own where any is missing; a column that is
    wholly missing on one side is only that.
    """
    columns = [*numeric, *categorical]
    reference, current = reference[columns].copy(), current[columns].copy()
    for name in numeric:
        gone = reference[name].isna(), current[name].isna()
        if gone[0].any() or gone[1].any():
            reference[name + MISSING_SUFFIX] = np.where(gone[0], "missing", "present")
            current[name + MISSING_SUFFIX] = np.where(gone[1], "missing", "present")
    indicators = [str(name) for name in reference if str(name).endswith(MISSING_SUFFIX)]
    testable = [
        name for name in numeric if reference[name].notna().any() and current[name].notna().any()
    ]
    for name in categorical:
        reference[name] = reference[name].astype(str)
        current[name] = current[name].astype(str)
    return Sides(reference, current, testable, [*categorical, *indicators])


def compare(
    sides: Sides, *, max_false_alarm_rate: float, min_effect: float
) -> tuple[Any, list[Shift]]:
    """Measure how far each column moved, and whether that is drift.

    The prediction is a family of its own, the features are one family (Holm), each with at most
    `max_false_alarm_rate` of any false alarm. Distances are Evidently's, and so is the report.

    Returns
    -------
    snapshot : evidently Snapshot
        Its 'drift detected' is our verdict: a column that is not significant gets a threshold that
        no distance reaches.
    shifts : list of Shift
        The prediction first.
    """
    p_values = _p_values(sides)
    names = sorted(p_values, key=lambda name: name != PREDICTION)
    metrics = [
        ValueDrift(
            column=name,
            method="jensenshannon",
            threshold=min_effect if p_values[name] <= max_false_alarm_rate else NEVER,
        )
        for name in names
    ]
    definition = DataDefinition(
        numerical_columns=sides.numeric, categorical_columns=sides.categorical
    )
    snapshot = Report(metrics).run(
        Dataset.from_pandas(sides.current[names], data_definition=definition),
        Dataset.from_pandas(sides.reference[names], data_definition=definition),
    )
    distances = {
        metric["config"]["column"]: float(metric["value"]) for metric in snapshot.dict()["metrics"]
    }
    return snapshot, [
        judge(name, p_values[name], distances[name], max_false_alarm_rate, min_effect)
        for name in names
    ]


def _p_values(sides: Sides) -> dict[str, float]:
    """Return p-values, those of features corrected for their number."""
    raw = {
        name: ks_p_value(sides.reference[name].dropna(), sides.current[name].dropna())
        for name in sides.numeric
    } | {
        name: chi_square_p_value(sides.reference[name], sides.current[name])
        for name in sides.categorical
    }
    return raw | holm({name: p for name, p in raw.items() if name != PREDICTION})


def judge(
    name: str, p_value: float, distance: float, max_false_alarm_rate: float, min_effect: float
) -> Shift:
    """Call a shift drift when it is both significant and large.

    Examples
    --------
    >>> judge("hour", 0.001, 0.04, max_false_alarm_rate=0.05, min_effect=0.1).drifted
    False
    """
    drifted = p_value <= max_false_alarm_rate and distance >= min_effect
    return Shift(name, p_value, distance, drifted)
