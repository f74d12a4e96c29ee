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
import pyarrow as pa

from include.lake.frames import arrow_schema, to_pandas
from include.lake.schemas import CHOSEN
from include.lake.table import Lake
from include.modelling.blocks import Blocks, blocks_of, columns_of
from include.modelling.labelled_rows import fairly_drawn
from include.modelling.scoring import score_columns
from include.modelling.uncertainty import MIN_BLOCKS
from include.modelling.weights import weight_in
from include.use_cases.naming import PREDICTED_CLASS
from include.use_cases.schema import UseCase

MODEL_VERSION = "model_version"
"""Column of `predictions` that its partitions are sliced by."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes and what was predicted.

    Attributes
    ----------
    y, score : ndarray of shape (n_rows,)
        Outcomes and the predictions made for them (probability of class 1, or the value). Of three
        classes or more `score` has shape (n_rows, n_classes).
    blocks : ndarray of int, shape (n_rows,)
        Which rows are not independent: see `deploy.resample_by`.
    partitions : list of str
        Where they are from; the last is the one that is monitored.
    weight : ndarray of shape (n_rows,) or None
        How much each row counts (`train.sample_weight`); None where all count alike.
    """

    y: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    blocks: Blocks
    partitions: list[str]
    weight: npt.NDArray[np.float64] | None = None


def predicted_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of `predictions` that are monitored, in the types of today.

    Of two tables one may have been published since a key was retyped.
    """
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    made = {"prediction": "float64", "score": "float64", MODEL_VERSION: "string"}
    if use_case.class_names:
        made |= {PREDICTED_CLASS: "string", **dict.fromkeys(score_columns(use_case), "float64")}
    return arrow_schema(key | made)


def labels_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of `labels` that are monitored, in the types of today."""
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    return arrow_schema(key | {"label": "float64", CHOSEN: "string"})


def fair_labels(use_case: UseCase, labels: pa.Table) -> pd.DataFrame:
    """Return key and label of the rows that performance is measured on, see `fairly_drawn`."""
    fair = labels.filter(fairly_drawn(labels))
    return to_pandas(fair.select([*use_case.ingest.key, "label"]))


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
        What `measured` gives, and `label`, by key.
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
        score=_scores(use_case, rows),
        blocks=blocks_of(use_case.resample_by, rows, use_case.train.split.time),
        partitions=chosen,
        weight=_weight(use_case, rows),
    )


def measured(use_case: UseCase, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return key and `prediction` as the model's reference has it, see `scoring.monitored`.

    Of three classes or more the probabilities stand beside it.
    """
    scores = score_columns(use_case)
    key, column = use_case.ingest.key, PREDICTED_CLASS if use_case.class_names else scores[0]
    beside = scores if use_case.class_names else []
    return predictions[[*key, column, *beside]].rename(columns={column: "prediction"})


def _scores(use_case: UseCase, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    if not use_case.class_names:
        return rows["prediction"].to_numpy(dtype=np.float64)
    # What was predicted before a class was named gave it no chance.
    return rows[score_columns(use_case)].fillna(0.0).to_numpy(dtype=np.float64)


def _weight(use_case: UseCase, rows: pd.DataFrame) -> npt.NDArray[np.float64] | None:
    name = use_case.train.sample_weight
    return None if name is None else weight_in(pa.table({name: rows[name]}), use_case)


def _units(use_case: UseCase, frames: list[pd.DataFrame]) -> int:
    rows = pd.concat(frames, ignore_index=True)
    blocks = blocks_of(use_case.resample_by, rows, use_case.train.split.time)
    return len(np.unique(blocks))


def _with_units(use_case: UseCase, partition: str, rows: pd.DataFrame, lake: Lake) -> pd.DataFrame:
    """Join the columns that say which rows are independent, as the features table keeps them."""
    unit, key = use_case.resample_by, list(use_case.ingest.key)
    wanted = set(columns_of(unit, use_case.train.split.time)) - set(key)
    if use_case.train.sample_weight is not None:
        wanted.add(use_case.train.sample_weight)
    if not wanted:
        return rows
    columns = use_case.ingest.columns
    types = {name: columns.get(name, "string") for name in [*key, *sorted(wanted)]}
    types |= {name: "float64" for name in use_case.features.numeric if name in wanted}
    features = lake.table(use_case.name, "features").read([partition], arrow_schema(types))
    return rows.merge(to_pandas(features), on=key, how="left", validate="one_to_one")


def _of(use_case: UseCase, partition: str, version: str, lake: Lake) -> pd.DataFrame:
    """Read what one model predicted for a partition, and what came true; empty without either."""
    made = predicted_schema(use_case)
    rows, _ = lake.table(use_case.name, "predictions").read_current(partition, MODEL_VERSION, made)
    predictions = to_pandas(rows)
    predictions = predictions[predictions[MODEL_VERSION] == version]
    labels = lake.table(use_case.name, "labels")
    landed, _ = labels.read_input(partition, labels_schema(use_case))
    return measured(use_case, predictions).merge(
        fair_labels(use_case, landed), on=list(use_case.ingest.key), validate="one_to_one"
    )
