"""The rows a model learns from and the later ones it is judged on, at fixed lake versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.errors import ConfigError, DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Input, Lake, LakeTable
from include.modelling.label_coverage import labelled
from include.use_cases.schema import UseCase

LABEL = "label"  # the labels table's column
_PARTITION = "partition"


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training rows in order of time, and the held-out last partition.

    Attributes
    ----------
    train_X, holdout_X : DataFrame
        Features, in order of time.
    train_y, holdout_y : Series or None
        Labels on the same index; None for clustering.
    train_times : Series
        When each training row was: `train.split.by`.
    partitions : list of str
        All of them, the last is the holdout.
    holdout_partition : str
        Later than every training row.
    inputs : list of Input
        Tables, their versions and ids that were read.
    """

    train_X: pd.DataFrame  # noqa: N815  scikit-learn's name
    train_y: pd.Series[Any] | None
    train_times: pd.Series[Any]
    holdout_X: pd.DataFrame  # noqa: N815  as above
    holdout_y: pd.Series[Any] | None
    partitions: list[str]
    holdout_partition: str
    inputs: list[Input]


def labelled_partitions(use_case: UseCase, lake: Lake, as_of: str) -> list[str]:
    """Return the partitions up to and with `as_of` that can be learned from, sorted.

    They have features and labels that are complete; clustering needs no labels.
    """
    return [one.partition for one in labelled(use_case, lake, as_of) if not one.waits]


def fingerprint(use_case: UseCase, lake: Lake, partitions: Sequence[str]) -> str:
    """Name a training set: its partitions, and the version each of its tables has there."""
    stages = ["features"] if use_case.labels is None else ["features", "labels"]
    versions = [lake.table(use_case.name, stage).partition_versions() for stage in stages]
    content = [[key, *(of_table[key] for of_table in versions)] for key in partitions]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def load_training_set(
    use_case: UseCase,
    lake: Lake,
    as_of: str,
    versions: Mapping[str, int] | None = None,
    partitions: Sequence[str] | None = None,
) -> TrainingSet:
    """Load what was known up to and with the as-of partition.

    Parameters
    ----------
    use_case : UseCase
        Says the metric's task, the split and the columns.
    lake : Lake
        Holds features and labels.
    as_of : str
        The last partition that may be used.
    versions : mapping of str to int, optional
        Delta version to read by table name (``'flight_delays.features'``); the newest by default.
    partitions : sequence of str, optional
        Exactly these, as an earlier call gave them; all labelled ones up to `as_of` by default.

    Raises
    ------
    DataContractError
        If there are fewer labelled partitions than ``train.min_partitions``, or a partition's rows
        and labels have no key in common.
    """
    chosen = list(partitions or labelled_partitions(use_case, lake, as_of))
    needed = use_case.train.min_partitions
    if len(chosen) < needed:
        what = "partitions" if use_case.labels is None else "labelled partitions"
        raise DataContractError(
            f"{use_case.name}: training needs at least {needed} {what} up to {as_of} "
            f"(train.min_partitions, the last is held out), got {len(chosen)}: {chosen}. "
            "Wait for more to land, or choose a later as-of partition."
        )
    rows, inputs = _rows(use_case, lake, chosen, versions or {})
    held_out = rows[_PARTITION] == chosen[-1]
    for which, part in (("training", rows[~held_out]), ("holdout", rows[held_out])):
        if part.empty:
            raise DataContractError(
                f"{use_case.name}: the {which} partitions of {chosen} must have rows with a label, "
                "got none. Check that the outcomes carry the same keys as the rows."
            )
    train, holdout = rows[~held_out].tail(use_case.train.max_rows), rows[held_out]
    train, holdout = train.reset_index(drop=True), holdout.reset_index(drop=True)
    columns = use_case.features.columns
    return TrainingSet(
        train_X=train[columns],
        train_y=None if use_case.labels is None else train[LABEL],
        train_times=train[use_case.train.split.by],
        holdout_X=holdout[columns],
        holdout_y=None if use_case.labels is None else holdout[LABEL],
        partitions=chosen,
        holdout_partition=chosen[-1],
        inputs=inputs,
    )


def _rows(
    use_case: UseCase, lake: Lake, partitions: Sequence[str], versions: Mapping[str, int]
) -> tuple[pd.DataFrame, list[Input]]:
    """Return features, with labels where there are any, in an order that is always the same."""
    by, key = use_case.train.split.by, use_case.ingest.key
    rows, features = _read(lake.table(use_case.name, "features"), partitions, versions)
    inputs = [features]
    if by not in rows.columns:
        raise ConfigError(
            f"{use_case.name}: train.split.by must be in the features table, {by!r} is not. "
            "Use the column of ingest.partition.column, or one of ingest.key."
        )
    if use_case.labels is not None:
        labels, read = _read(lake.table(use_case.name, "labels"), partitions, versions)
        inputs.append(read)
        # A key is unique within its batch; two months may well hold the same customer.
        on = [*key, _PARTITION]
        # Never missing (a row without an outcome has no label), so numpy's own types will do.
        labels[LABEL] = labels[LABEL].astype(
            "int64" if use_case.task == "classification" else "float64"
        )
        rows = rows.merge(labels[[*on, LABEL]], on=on, how="inner", validate="one_to_one")
    order = [by, *(column for column in key if column != by)]
    return rows.sort_values(order, kind="stable", ignore_index=True), inputs


def _read(
    table: LakeTable, partitions: Sequence[str], versions: Mapping[str, int]
) -> tuple[pd.DataFrame, Input]:
    # Looked up before reading: what is read and what is written down must be one version.
    version = versions[table.name] if table.name in versions else table.version()
    data = table.read(partitions=list(partitions), version=version)
    return to_pandas(data), table.pin(version)
