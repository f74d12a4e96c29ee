"""Score a partition with a model, and keep what it predicted.

Predictions are the record that later outcomes are held against. A partition keeps those of every
model version that scored it, each as a slice of its own: no version replaces what another one
predicted.
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
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, Writer
from include.model_features import features_for
from include.modelling.scoring import (
    check_classes,
    predictions,
    score_columns,
    scores_in,
)
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.use_cases.naming import PREDICTED_CLASS
from include.use_cases.schema import Columns, UseCase

log = logging.getLogger(__name__)


MODEL_VERSION = "model_version"
"""Column that the table's partitions are sliced by."""

VOLATILE = ("predicted_at",)
"""Columns in which two scorings of the same rows by the same model differ."""


@dataclass(frozen=True)
class Predicted:
    """What was predicted for one partition.

    `mean_score` is the mean probability of class 1, or the mean value; None for clusters and for
    three classes or more.
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
    null unless there are two classes), `model_version` and `predicted_at`. Of three classes or more
    also `predicted_class`, the name, and `probability_<name>` of each.
    """
    named: Columns = {}
    if use_case.class_names:
        named = {PREDICTED_CLASS: "string", **dict.fromkeys(score_columns(use_case), "float64")}
    return arrow_schema(
        {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
        | {
            "prediction": "float64",
            "score": "float64",
            **named,
            MODEL_VERSION: "string",
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
    """Score one partition and publish the model's slice of `predictions`.

    The features are the model's own, see `include.model_features`: an edit in the working tree
    changes nothing in what it predicts.

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
        If the partition has no features, or what the model needs is gone, or the model was trained
        on the partition or judged by it.
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    model = registry.load(use_case.name, champion)
    check_classes(use_case, model.use_case)
    _refuse_what_it_knows(model, partition)
    features = features_for(model, partition, lake, named_by=use_case)
    scored = _score(model, features.frame, use_case, champion)
    data = to_arrow(scored, predictions_schema(use_case))
    published = lake.table(use_case.name, "predictions").publish(
        data,
        partition=partition,
        schema=data.schema,
        migrations=use_case.migrations,
        writer=writer,
        inputs=features.inputs,
        consumed={DEFINITION: definition_of(use_case, "predictions")},
        facts={"model_version": champion},
        volatile=VOLATILE,
        within={MODEL_VERSION: champion},
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


def _refuse_what_it_knows(model: ServableModel, partition: str) -> None:
    if partition in model.facts["partitions"]:
        facts = model.facts
        refit = "evaluated_version" in facts  # it has learned the holdout too
        judged_by = facts.get("holdout_partitions") or [facts["holdout_partition"]]
        held_out = not refit and partition in judged_by
        raise DataContractError(
            f"{model.use_case.name}: model version {model.version} was "
            f"{'judged by' if held_out else 'trained on'} {partition}, so scoring it would "
            "overstate the model's performance. Nothing was written. Score a partition that the "
            f"model does not know; its training used {model.facts['partitions'][0]} to "
            f"{model.facts['partitions'][-1]}."
        )


def _score(
    model: ServableModel, frame: pd.DataFrame, use_case: UseCase, champion: str
) -> pd.DataFrame:
    own = model.score_features(frame)
    scores = scores_in(use_case, own, model.use_case)
    predicted = predictions(scores, use_case, frame.index)
    if "score" not in predicted:
        predicted = predicted.assign(score=float("nan"))
    named = frame[use_case.ingest.key].join(predicted.astype({"prediction": "float64"}))
    return named.assign(
        model_version=champion,
        predicted_at=pd.Timestamp(datetime.now(UTC)).as_unit("us"),
    )


def _mean_score(data: pa.Table, use_case: UseCase) -> float | None:
    if use_case.task == "clustering" or use_case.class_names:
        return None  # the numbers of clusters and classes are names
    return float(pc.mean(data[score_columns(use_case)[0]]).as_py())
