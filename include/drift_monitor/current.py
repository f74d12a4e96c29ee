"""Read what is known of a partition: its predictions, their model's features, and any outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from include.drift_monitor.outcomes import (
    MODEL_VERSION,
    Outcomes,
    fair_labels,
    labels_schema,
    measured,
    outcomes_of,
    predicted_schema,
)
from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Input, Lake
from include.model_features import features_for
from include.modelling.scoring import check_classes
from include.registry.client import Registry
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class Current:
    """One partition as it stands.

    Parameters
    ----------
    rows : int
        Rows of the partition.
    model : ServableModel
        Which made the predictions.
    scored : DataFrame
        Its features with the column `prediction`, as the model's reference has it.
    outcomes : Outcomes or None
        With the predictions made for them; None when no outcomes have come.
    inputs : sequence of Input
        What was read, for the commit.
    """

    rows: int
    model: ServableModel
    scored: pd.DataFrame
    outcomes: Outcomes | None
    inputs: Sequence[Input]


def read_current(use_case: UseCase, partition: str, lake: Lake, registry: Registry) -> Current:
    """Read a partition's predictions, the features of their model, and labels if they are there.

    Of several models that scored the partition, the one that did so last is monitored. Its features
    are its own, as the reference sample in its package is: an edit of the working tree does not
    look like drift. Versions are looked up before the data: should something be replaced in
    between, the partition is monitored once more, never once too little.

    Raises
    ------
    DataContractError
        If the partition has no features or no predictions, or two models made them, or the model
        cannot be trusted.
    ServiceUnavailable
        If the registry or the lake does not answer.
    """
    rows, predicted = lake.table(use_case.name, "predictions").read_current(
        partition, MODEL_VERSION, predicted_schema(use_case)
    )
    predictions = to_pandas(rows)
    model = registry.load(use_case.name, _model_version(use_case, partition, predictions))
    check_classes(use_case, model.use_case)
    features = features_for(model, partition, lake, named_by=use_case)
    inputs = [*features.inputs, predicted]
    outcomes, labels = None, lake.table(use_case.name, "labels")
    if partition in labels.partitions():
        landed, read = labels.read_input(partition, labels_schema(use_case))
        inputs.append(read)
        fair = fair_labels(use_case, landed)
        if len(fair):  # of rows that a policy chose for people nothing follows
            own = _outcomes(use_case, predictions, fair)
            outcomes = outcomes_of(use_case, partition, own, model.version, lake)
    return Current(
        rows=len(features.frame),
        model=model,
        scored=_joined(use_case, features.frame, predictions),
        outcomes=outcomes,
        inputs=inputs,
    )


def _model_version(use_case: UseCase, partition: str, predictions: pd.DataFrame) -> str:
    versions = sorted(predictions[MODEL_VERSION].unique())
    if len(versions) != 1:
        raise DataContractError(
            f"{use_case.name}.predictions, partition {partition}: one model must have made all"
            f" predictions, got versions {versions}. Run batch_predict for this partition again."
        )
    return str(versions[0])


def _joined(use_case: UseCase, features: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Features that were scored, with their predictions."""
    return features.merge(
        measured(use_case, predictions), on=use_case.ingest.key, validate="one_to_one"
    )


def _outcomes(use_case: UseCase, predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    key = use_case.ingest.key
    return measured(use_case, predictions).merge(
        labels[[*key, "label"]], on=key, validate="one_to_one"
    )
