"""The outcomes of a partition with the predictions that were made for them, by independent units.

A partition of one day says nothing about other days. Where it has too few independent units, the
partitions before it that the same model scored are taken with it, the newest first, until there are
enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.lake.frames import arrow_schema, to_pandas
from include.lake.table import Lake
from include.modelling.blocks import Blocks, blocks_of, columns_of
from include.modelling.uncertainty import MIN_BLOCKS
from include.use_cases.schema import UseCase

MODEL_VERSION = "model_version"
"""Column of `predictions` that its partitions are sliced by."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes and what was predicted.

    Attributes
    ----------
    y, score : ndarray of shape (n_rows,)
        Outcomes and the predictions made for them (probability of class 1, or the value).
    blocks : ndarray of int, shape (n_rows,)
        Which rows are not independent: see `deploy.resample_by`.
    partitions : list of str
        Where they are from; the last is the one that is monitored.
    """

    y: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    blocks: Blocks
    partitions: list[str]


def outcomes_of(
    use_case: UseCase, partition: str, own: pd.DataFrame, version: str, lake: Lake
) -> Outcomes:
    """Give the outcomes of a partition, and of earlier ones where it has too few units.

    Parameters
    ----------
    use_case : UseCase
        Names the key, the time and the unit of rows.
    partition : str
        Which is monitored.
    own : DataFrame
        Its `label` and `prediction` by key.
    version : str
        The model version that made the predictions.
    lake : Lake
        Holds features, predictions and labels.
    """
    frames, chosen = [_with_units(use_case, partition, own, lake)], [partition]
    predictions, labels = (lake.table(use_case.name, name) for name in ("predictions", "labels"))
    both = set(predictions.partitions()) & set(labels.partitions())
    for key in sorted((key for key in both if key < partition), reverse=True):
        if _units(use_case, frames) >= MIN_BLOCKS:
            break
        earlier = _of(use_case, key, version, lake)
        if len(earlier):
            frames.insert(0, _with_units(use_case, key, earlier, lake))
            chosen.insert(0, key)
    rows = pd.concat(frames, ignore_index=True)
    return Outcomes(
        y=rows["label"].to_numpy(dtype=np.float64),
        score=rows["prediction"].to_numpy(dtype=np.float64),
        blocks=blocks_of(use_case.resample_by, rows, use_case.train.split.time),
        partitions=chosen,
    )


def measured(use_case: UseCase, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return key and `prediction` as the model's reference has it: of a classifier the score."""
    column = "score" if use_case.task == "classification" else "prediction"
    return predictions[[*use_case.ingest.key, column]].rename(columns={column: "prediction"})


def _units(use_case: UseCase, frames: list[pd.DataFrame]) -> int:
    rows = pd.concat(frames, ignore_index=True)
    blocks = blocks_of(use_case.resample_by, rows, use_case.train.split.time)
    return len(np.unique(blocks))


def _with_units(use_case: UseCase, partition: str, rows: pd.DataFrame, lake: Lake) -> pd.DataFrame:
    """Join the columns that say which rows are independent, as the features table keeps them."""
    unit, key = use_case.resample_by, list(use_case.ingest.key)
    wanted = set(columns_of(unit, use_case.train.split.time)) - set(key)
    if not wanted:
        return rows
    columns = use_case.ingest.columns
    types = {name: columns.get(name, "string") for name in [*key, *sorted(wanted)]}
    features = lake.table(use_case.name, "features").read([partition], arrow_schema(types))
    return rows.merge(to_pandas(features), on=key, how="left", validate="one_to_one")


def _of(use_case: UseCase, partition: str, version: str, lake: Lake) -> pd.DataFrame:
    """Read what one model predicted for a partition, and what came true; empty without either."""
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    made = arrow_schema(
        key | {"prediction": "float64", "score": "float64", MODEL_VERSION: "string"}
    )
    rows, _ = lake.table(use_case.name, "predictions").read_current(partition, MODEL_VERSION, made)
    predictions = to_pandas(rows)
    predictions = predictions[predictions[MODEL_VERSION] == version]
    landed, _ = lake.table(use_case.name, "labels").read_input(
        partition, arrow_schema(key | {"label": "float64"})
    )
    return measured(use_case, predictions).merge(
        to_pandas(landed), on=list(key), validate="one_to_one"
    )
