"""Score a partition of features with the champion of the day, and keep what was predicted.

The predictions are the record that later outcomes are held against: they say which model made them,
and are not made again when another model becomes champion.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_arrow, to_pandas
from include.lake.table import Lake, Writer
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


VOLATILE = ("predicted_at",)
"""Columns in which two scorings of the same rows by the same model differ."""


@dataclass(frozen=True)
class Predicted:
    """What was predicted for one partition.

    `mean_score` is the mean probability of class 1, or the mean value; None for clusters.
    `changed` is False where the same model had predicted the same.
    """

    partition: str
    rows: int
    model_version: str
    version: int
    partition_version: int
    mean_score: float | None
    changed: bool


def predictions_schema(use_case: UseCase) -> pa.Schema:
    """Return the columns of the `predictions` table.

    The key, `prediction` (class, value or number of the cluster), `score` (probability of class 1;
    null unless classification), `model_version` and `predicted_at`.
    """
    return arrow_schema(
        {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
        | {
            "prediction": "float64",
            "score": "float64",
            "model_version": "string",
            "predicted_at": "timestamp",
        }
    )


def predict_partition(
    use_case: UseCase,
    partition: str,
    champion: str,
    lake: Lake,
    registry: Registry,
    writer: Writer,
) -> Predicted:
    """Score one partition of `features` and publish `predictions`.

    Parameters
    ----------
    use_case : UseCase
        Gives the key and the task.
    partition : str
        A partition of the `features` table.
    champion : str
        Version of the model.
    lake, registry : Lake, Registry
        Where features and the model are.
    writer : Writer
        Goes into the commit.

    Raises
    ------
    DataContractError
        If the partition has no features, or the champion needs columns they lack.
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    features = lake.table(use_case.name, "features")
    model = registry.load(use_case.name, champion)
    rows, read = features.read_input(partition, _columns(model, use_case))
    lacking = features.lacks(partition, model.use_case.features.columns)
    _check_features(model, lacking, partition, use_case, champion)
    scored = _score(model, to_pandas(rows), use_case, champion)
    data = to_arrow(scored, predictions_schema(use_case))
    published = lake.table(use_case.name, "predictions").publish(
        data,
        partition=partition,
        schema=data.schema,
        migrations=use_case.migrations,
        writer=writer,
        inputs=[read],
        consumed={DEFINITION: definition_of(use_case, "predictions")},
        facts={"model_version": champion},
        volatile=VOLATILE,
    )
    log.info("%s %s: %d rows scored with %s", use_case.name, partition, published.rows, champion)
    return Predicted(
        partition=partition,
        rows=published.rows,
        model_version=champion,
        version=published.version,
        partition_version=published.partition_version,
        mean_score=_mean_score(data, use_case),
        changed=published.changed,
    )


def _columns(model: ServableModel, use_case: UseCase) -> pa.Schema:
    """Give the key and what the model needs, in its types: today's definition may have others."""
    key = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
    features = model.use_case.features
    return arrow_schema(
        key
        | dict.fromkeys(features.numeric, "float64")
        | dict.fromkeys(features.categorical, "string")
    )


def _check_features(
    model: ServableModel, lacking: list[str], partition: str, use_case: UseCase, champion: str
) -> None:
    if lacking:
        raise DataContractError(
            f"{use_case.name}: champion {champion} needs the features "
            f"{model.use_case.features.columns}, but {partition} was published without {lacking}. "
            "The use case was changed since the champion was trained: train again, or put them "
            f"back into include/use_cases/{use_case.name}/use_case.yaml and rebuild the features."
        )


def _score(
    model: ServableModel, frame: pd.DataFrame, use_case: UseCase, champion: str
) -> pd.DataFrame:
    predicted = model.predict_features(frame)
    return frame[use_case.ingest.key].assign(
        prediction=predicted["prediction"].astype("float64"),
        score=predicted.get("score", float("nan")),
        model_version=champion,
        predicted_at=pd.Timestamp(datetime.now(UTC)).as_unit("us"),
    )


def _mean_score(data: pa.Table, use_case: UseCase) -> float | None:
    if use_case.task == "clustering":
        return None  # the numbers of clusters are names
    column = "score" if use_case.task == "classification" else "prediction"
    return float(pc.mean(data[column]).as_py())
