"""The rows of a challenger's training, and of them the features of each model."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from include.errors import DataContractError
from include.lake.frames import arrow_schema, to_pandas
from include.lake.schemas import PARTITION
from include.lake.table import Lake
from include.model_features import features_for
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Some rows, as the lake was when the challenger was trained.

    Attributes
    ----------
    use_case : UseCase
        The challenger's.
    keys : DataFrame of shape (n_rows, 1 + n_key)
        Which rows, in order of time: their partition and their key.
    features_version : int
        Delta version of the `features` table: models with another definition build their features
        from what this version was made from.
    """

    use_case: UseCase
    keys: pd.DataFrame
    features_version: int

    @classmethod
    def of(cls, rows: pa.Table, use_case: UseCase, features_version: int) -> NamedRows:
        """Name the rows of a table that `LabelledRows.newest` has read."""
        types = {name: use_case.ingest.columns[name] for name in use_case.ingest.key}
        keys = rows.select(list(types)).cast(arrow_schema(types))
        frame = to_pandas(keys).assign(**{PARTITION: rows[PARTITION].to_pylist()})
        return cls(use_case, frame, features_version)

    def features_of(self, model: ServableModel, lake: Lake) -> pd.DataFrame:
        """Give a model its own features of these rows, in their order.

        Raises
        ------
        DataContractError
            What the model needs is gone.
        """
        frames = [
            features_for(
                model, partition, lake, self.features_version, named_by=self.use_case
            ).frame.assign(**{PARTITION: partition})
            for partition in sorted(self.keys[PARTITION].unique())
        ]
        key = list(self.keys.columns)
        frame = pd.concat(frames, ignore_index=True)
        rows = self.keys.merge(frame, on=key, how="inner", validate="one_to_one")  # in this order
        if len(rows) != len(self.keys):
            raise DataContractError(
                f"{model.use_case.name}: model version {model.version} must have features of all "
                f"{len(self.keys)} rows of {frame[PARTITION].iloc[0]} to "
                f"{frame[PARTITION].iloc[-1]}, got {len(rows)}. Run feature for them."
            )
        return rows[model.use_case.features.columns]
