"""A small use case with three classes whose probabilities are known, for each row.

Names of classes have a blank, a quote and a letter beyond ASCII. Rows have a weight, `heft`, that
counts only where a test says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.use_cases.schema import UseCase
from tests.support.packages import TINY, tiny_rows

NAMES = ["low", "mid range", 'höchst "special"']
COLUMNS = {**TINY["ingest"]["columns"], "heft": "float64"}


def three_classes(**changes: Any) -> UseCase:
    """Return the use case; `changes` replace keys of `train`, `classes` the names.

    `columns` are more columns of its rows.
    """
    names, columns = changes.pop("classes", NAMES), {**COLUMNS, **changes.pop("columns", {})}
    train = {
        **TINY["train"],
        "metric": "log_loss",
        "candidates": [
            {"estimator": "logistic_regression"},
            {"estimator": "hist_gradient_boosting", "max_iter": 10},
        ],
        **changes,
    }
    return UseCase.model_validate(
        {
            **TINY,
            "description": "Which of three kinds is it?",
            "ingest": {**TINY["ingest"], "columns": columns},
            "labels": {
                "landing": "tiny_outcomes/{partition}/*.csv",
                "columns": {"id": "int64", "at": "timestamp", "kind": "string"},
                "from": "kind",
                "classes": names,
            },
            "train": train,
        }
    )


def probabilities(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the true probability of each class, shape (rows, 3): softmax of 0, 2 x and -2 x + 1.

    Red rows lean to the last class by 1.
    """
    x = rows["x"].to_numpy()
    red = (rows["colour"] == "red").to_numpy()
    logits = np.stack([np.zeros(len(x)), 2 * x, 1 - 2 * x + red], axis=1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def three_class_rows(
    rows: int = 600, month: str = "2024-01", seed: int = 0, shift: float = 0.0
) -> pd.DataFrame:
    """Return rows as they land, with `outcome`, the number of the class, and `kind`, its name."""
    frame = tiny_rows(rows, month, seed, shift)
    chances = probabilities(frame).cumsum(axis=1)
    drawn = np.random.default_rng(seed + 1000).random((rows, 1))
    outcome = (drawn > chances[:, :2]).sum(axis=1)
    heft = np.where(frame["z"] > 0, 2.0, 0.5)
    return frame.assign(outcome=outcome, kind=np.array(NAMES)[outcome], heft=heft)
