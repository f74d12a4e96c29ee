"""A year of the synthetic use case whose world turns over in the middle."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include.lake.table import Lake
from include.replay.known import History
from include.use_cases.schema import UseCase
from tests.support.lakes import fill
from tests.support.packages import tiny_rows, tiny_use_case

MONTHS = [f"2024-{month:02}" for month in range(1, 9)]
TURNED = "2024-05"
"""From here on the outcome is the opposite: an old model is worse than chance."""


def rows_of(month: str, turned: bool) -> pd.DataFrame:
    """Return a month's rows."""
    rows = tiny_rows(rows=600, month=month, seed=int(month[-2:]))
    return rows.assign(outcome=1.0 - rows["outcome"]) if turned else rows


def use_case_of(**changes: object) -> UseCase:
    """Return the synthetic use case with one trial of a logistic regression."""
    train = {
        "metric": "roc_auc",
        "split": {"by": "at", "folds": 2},
        "candidates": [{"estimator": "logistic_regression"}],
        "tuning": {"trials": 1},
        "max_rows": 1000,
    }
    retrain = {"when": ["performance"], "k_of_n": [1, 1]}
    return tiny_use_case(**{"train": train, "retrain": retrain, **changes})


def history_of(where: Path, use_case: UseCase, label_delay: int = 1) -> History:
    """Return a history in a lake of its own."""
    lake = Lake(str(where / "lake"))
    for month in MONTHS:
        fill(lake, use_case, month, rows_of(month, turned=month >= TURNED))
    return History(use_case, lake, label_delay)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Give the history with labels a month late."""
    return history_of(tmp_path, use_case_of())
