"""The rows that models are compared on: one holdout, and of it the features of each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_pandas
from include.lake.pins import pinned_versions
from include.lake.table import Lake
from include.model_features import features_for
from include.modelling.labelled_rows import LABEL
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase


@dataclass(frozen=True, eq=False)
class Holdout:
    """The last partition of a challenger's training, as the lake was then.

    Attributes
    ----------
    use_case : UseCase
        The challenger's.
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

    use_case: UseCase
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
        at = self.features_version
        frame = features_for(model, self.partition, lake, at, named_by=self.use_case).frame
        key = list(self.keys.columns)
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
    versions = pinned_versions(lake, facts["inputs"])
    features = lake.table(use_case.name, "features")
    version = versions[features.name]
    types = {name: use_case.ingest.columns[name] for name in key}
    rows = to_pandas(features.read([partition], arrow_schema(types), version))
    if use_case.labels is not None:
        labels = lake.table(use_case.name, "labels")
        wanted = arrow_schema({**types, LABEL: "float64"})
        outcomes = labels.read([partition], wanted, versions[labels.name])
        rows = rows.merge(to_pandas(outcomes), on=key, how="inner", validate="one_to_one")
    rows = rows.sort_values(key, kind="stable", ignore_index=True)
    y = None if use_case.labels is None else rows[LABEL].astype("float64")
    return Holdout(use_case, partition, rows[key], y, version)
