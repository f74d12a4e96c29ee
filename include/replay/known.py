"""What was known at a moment of a history, and nothing later.

Everything that a policy does goes through `Known`: asking it for a row or a label that had not come
by then is an error, so a replay cannot see the future by accident.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from include.errors import ConfigError, DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Lake
from include.modelling.blocks import columns_of
from include.modelling.known_rows import KnownRows, load_known_rows
from include.modelling.labelled_rows import LABEL, LabelledRows, fairly_drawn
from include.modelling.metrics import Judged, judged
from include.modelling.training_set import (
    TrainingSet,
    labelled_partitions,
    load_training_set,
)
from include.modelling.weights import weight_in
from include.use_cases.schema import UseCase


class LookAheadError(DataContractError):
    """Something was asked for that had not come yet."""


@dataclass(frozen=True, eq=False)
class PartitionOutcomes:
    """The labelled rows of a partition.

    Attributes
    ----------
    rows : Judged
        Those that the metric of the use case is computed on.
    units : DataFrame
        When each labelled row was, and what `deploy.resample_by` names.
    """

    rows: Judged
    units: pd.DataFrame


@dataclass(frozen=True)
class History:
    """The partitions of a use case, as the lake holds them when the replay begins.

    Attributes
    ----------
    use_case : UseCase
        Whose history.
    lake : Lake
        Holds features and labels; both are read at the versions that they have at first.
    label_delay : int
        How many partitions later the labels of a partition come; 0 with the partition itself. The
        lake does not say it: there, time is the time of partitions.
    """

    use_case: UseCase
    lake: Lake
    label_delay: int = 1
    _outcomes: dict[str, PartitionOutcomes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.label_delay < 0:
            raise ConfigError(
                f"label delay: must be at least 0 partitions, got {self.label_delay}. Give the "
                "number of partitions after which outcomes land."
            )
        if self.use_case.train.split.time is None:
            raise ConfigError(
                f"{self.use_case.name}: a replay needs rows in order of time, but train.split.by "
                f"is {self.use_case.train.split.by!r}. Split by a time column to replay."
            )

    @cached_property
    def partitions(self) -> list[str]:
        """Those that can be learned from, oldest first: the moments of the replay."""
        features = self.lake.table(self.use_case.name, "features").partitions()
        return labelled_partitions(self.use_case, self.lake, features[-1]) if features else []

    @cached_property
    def tables(self) -> LabelledRows:
        """Features and labels, at the versions that the whole replay reads."""
        return LabelledRows.of(self.use_case, self.lake, {})

    def at(self, moment: str) -> Known:
        """Return what is known when the rows of a partition have come.

        Raises
        ------
        ConfigError
            There is no such partition in this history.
        """
        if moment not in self.partitions:
            raise ConfigError(
                f"{self.use_case.name}: a moment must be one of the partitions {self.partitions}, "
                f"got {moment!r}. Take one of them."
            )
        return Known(self, moment)

    def outcomes(self, partition: str) -> PartitionOutcomes:
        """Return rows to judge by, whenever their labels came: for the report, for no policy."""
        if partition not in self._outcomes:
            use_case = self.use_case
            rows = self.tables.newest([partition])
            rows = rows.filter(fairly_drawn(rows))
            X = to_pandas(rows.select(use_case.features.columns))
            y = None if use_case.labels is None else rows[LABEL].to_pandas()
            names = columns_of(use_case.resample_by, use_case.train.split.time)
            units = rows.select(names).to_pandas()
            seen = judged(use_case, X, y, weight_in(rows, use_case))
            self._outcomes[partition] = PartitionOutcomes(seen, units)
        return self._outcomes[partition]


@dataclass(frozen=True)
class Known:
    """A history up to a moment: rows of partitions up to it, and labels that had come by then.

    Attributes
    ----------
    history : History
        Of which it is a part.
    moment : str
        The newest partition whose rows have come.
    """

    history: History
    moment: str

    @property
    def partitions(self) -> list[str]:
        """Partitions whose rows have come, oldest first."""
        return [key for key in self.history.partitions if key <= self.moment]

    @property
    def labelled(self) -> list[str]:
        """Partitions whose labels have come, oldest first."""
        arrived = self.partitions
        delay = 0 if self.history.use_case.labels is None else self.history.label_delay
        return arrived[: max(0, len(arrived) - delay)]

    def features(self, partition: str) -> pd.DataFrame:
        """Return the features of a partition's rows, with or without a label.

        Raises
        ------
        LookAheadError
            The partition is later than this moment.
        """
        self._check(partition, self.partitions, "rows")
        columns = self.history.use_case.features.columns
        tables = self.history.tables
        version = tables.versions[tables.features.name]
        return to_pandas(tables.features.read([partition], columns, version).select(columns))

    def outcomes(self, partition: str) -> PartitionOutcomes:
        """Return a partition's labelled rows.

        Raises
        ------
        LookAheadError
            Its labels had not come at this moment.
        """
        self._check(partition, self.labelled, "labels")
        return self.history.outcomes(partition)

    def training_set(self) -> TrainingSet:
        """Return what a training at this moment would use.

        Raises
        ------
        DataContractError
            Too few labels had come.
        """
        use_case, tables = self.history.use_case, self.history.tables
        return load_training_set(
            use_case, self.history.lake, self.moment, tables.versions, self.labelled
        )

    def known_rows(self) -> KnownRows:
        """Return what a refit at this moment would use: the newest labelled rows."""
        use_case, tables = self.history.use_case, self.history.tables
        return load_known_rows(use_case, self.history.lake, tables.versions, self.labelled)

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each labelled partition."""
        counts = self.history.tables.features.row_counts()
        return {key: counts[key] for key in self.labelled}

    def _check(self, partition: str, known: list[str], what: str) -> None:
        if partition not in known:
            raise LookAheadError(
                f"{self.history.use_case.name}: at {self.moment} the {what} of "
                f"{known[-1] if known else 'no partition'} were the newest, got a request for "
                f"{partition}. A replay may use only what was known: correct the policy."
            )
