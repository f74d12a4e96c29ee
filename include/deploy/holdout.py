"""The rows that models are compared on: one holdout, and of it the features of each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Lake
from include.model_features import features_for
from include.modelling.labelled_rows import LABEL
from include.registry.package import ServableModel


@dataclass(frozen=True, eq=False)
class Holdout:
    """The last partition of a challenger's training, as the lake was then.

    Attributes
    ----------
    partition : str
        Its key.
    keys : DataFrame of shape (n_rows, n_key)
        Which rows, sorted. Every model is judged on these.
    y : Series or None
        Labels on the index of `keys`; None for clustering.
    features_version : int
        Delta version of the `features` table: models with another definition build their features
        from what this version was made from.
    """

    partition: str
    keys: pd.DataFrame
    y: pd.Series[Any] | None
    features_version: int

    def features_of(self, model: ServableModel, lake: Lake) -> pd.DataFrame:
        """Give a model its own features of these rows, on the index of `keys`.

        Raises
        ------
        DataContractError
            What the model needs is gone.
        """
        frame = features_for(model, self.partition, lake, self.features_version).frame
        key = list(self.keys.columns)
        if list(model.use_case.ingest.key) != key:
            raise DataContractError(
                f"{model.use_case.name}: model version {model.version} names rows by "
                f"{model.use_case.ingest.key}, the holdout by {key}."
            )
        rows = self.keys.merge(frame, on=key, how="inner", validate="one_to_one")  # in this order
        if len(rows) != len(self.keys):
            raise DataContractError(
                f"{model.use_case.name}: model version {model.version} must have features of all "
                f"{len(self.keys)} rows of {self.partition}, got {len(rows)}. Run feature for it."
            )
        return rows[model.use_case.features.columns]


def holdout_of(challenger: ServableModel, lake: Lake) -> Holdout:
    """Read which rows a challenger is judged on: those of its holdout that have a label."""
    use_case, facts = challenger.use_case, challenger.facts
    key, partition = list(use_case.ingest.key), facts["partitions"][-1]
    versions = {read["table"]: read["version"] for read in facts["inputs"]}
    features = lake.table(use_case.name, "features")
    version = versions[features.name]
    rows = to_pandas(features.read([partition], key, version))
    if use_case.labels is not None:
        labels = lake.table(use_case.name, "labels")
        outcomes = labels.read([partition], [*key, LABEL], versions[labels.name])
        rows = rows.merge(to_pandas(outcomes), on=key, how="inner", validate="one_to_one")
    rows = rows.sort_values(key, kind="stable", ignore_index=True)
    y = None if use_case.labels is None else rows[LABEL].astype("float64")
    return Holdout(partition, rows[key], y, version)
