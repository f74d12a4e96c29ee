"""Read what is known of a partition now: features, what was predicted then, and outcomes if any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Input, Lake
from include.use_cases.schema import UseCase

SOURCES = ("features", "predictions", "labels")


@dataclass(frozen=True)
class Current:
    """One partition as it stands.

    Parameters
    ----------
    rows : int
        Rows with features.
    model_version : str
        Which model made the predictions.
    scored : DataFrame
        Features with the column `prediction`: probability of class 1, value, or cluster.
    y, score : ndarray of shape (n_labelled_rows,) or None
        Outcomes and the predictions made for them; None when no outcomes have come.
    inputs : sequence of Input
        What was read, for the commit.
    """

    rows: int
    model_version: str
    scored: pd.DataFrame
    y: npt.NDArray[np.float64] | None
    score: npt.NDArray[np.float64] | None
    inputs: Sequence[Input]


def read_current(use_case: UseCase, partition: str, lake: Lake) -> Current:
    """Read a partition's features and predictions, and its labels if they are there.

    Versions are looked up before the data: should something be replaced in between, the partition
    is monitored once more, never once too little.

    Raises
    ------
    DataContractError
        If the partition has no features or no predictions, or two models made them.
    """
    inputs: list[Input] = []
    frames: dict[str, pd.DataFrame] = {}
    for stage in SOURCES:
        table = lake.table(use_case.name, stage)
        if stage != "labels" or partition in table.partitions():
            rows, read = table.read_input(partition)
            frames[stage] = to_pandas(rows)
            inputs.append(read)
    predictions, labels = frames["predictions"], frames.get("labels")
    made = _joined(use_case, frames["features"], predictions)
    outcomes = _outcomes(use_case, predictions, labels)
    return Current(
        rows=len(frames["features"]),
        model_version=_model_version(use_case, partition, predictions),
        scored=made,
        y=None if outcomes is None else outcomes["label"].to_numpy(dtype=np.float64),
        score=None if outcomes is None else outcomes["prediction"].to_numpy(dtype=np.float64),
        inputs=inputs,
    )


def _model_version(use_case: UseCase, partition: str, predictions: pd.DataFrame) -> str:
    versions = sorted(predictions["model_version"].unique())
    if len(versions) != 1:
        raise DataContractError(
            f"{use_case.name}.predictions, partition {partition}: one model must have made all"
            f" predictions, got versions {versions}. Run batch_predict for this partition again."
        )
    return str(versions[0])


def _as_measured(use_case: UseCase, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return key and `prediction` as the model's reference has it: of a classifier the score."""
    column = "score" if use_case.task == "classification" else "prediction"
    return predictions[[*use_case.ingest.key, column]].rename(columns={column: "prediction"})


def _joined(use_case: UseCase, features: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Features that were scored, with their predictions."""
    return features.merge(
        _as_measured(use_case, predictions), on=use_case.ingest.key, validate="one_to_one"
    )


def _outcomes(
    use_case: UseCase, predictions: pd.DataFrame, labels: pd.DataFrame | None
) -> pd.DataFrame | None:
    if labels is None:
        return None
    key = use_case.ingest.key
    return _as_measured(use_case, predictions).merge(
        labels[[*key, "label"]], on=key, validate="one_to_one"
    )
