"""The rows a model learns from and the later ones it is judged on, at fixed lake versions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.pins import pinned_versions
from include.lake.schemas import PARTITION
from include.lake.table import Input, Lake
from include.modelling.blocks import Blocks, blocks_of, columns_of, grouped
from include.modelling.label_coverage import label_coverage
from include.modelling.labelled_rows import LABEL, LabelledRows, fairly_drawn
from include.modelling.units import unit_numbers
from include.modelling.weights import learning_weight, weight_in
from include.use_cases.schema import UseCase

_SHARE_OF_RANGE = 1e-6


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training rows and held-out rows: the last partitions, or a share of all rows.

    Attributes
    ----------
    train_X : DataFrame
        Features in order of time, or without a time in a fixed order; at most `train.max_rows`, the
        newest; as `narrow` makes them.
    holdout_X : DataFrame
        Features in order of time, all of the partitions, in the types of `build_features`.
    train_y, holdout_y : Series or None
        Labels on the same index; None for clustering.
    train_times, holdout_times : Series or None
        When each row was; None in a split without time.
    train_blocks, holdout_blocks : ndarray of int
        Which rows are not independent of each other: see `deploy.resample_by`.
    train_weight, holdout_weight : ndarray or None
        How much each row counts (`train.sample_weight`, and where it is learned from also
        `train.label_confidence`); None where all count alike.
    partitions : list of str
        All of them, the holdout's at the end.
    learned_from : list of str
        The partitions of the training rows: the newest, until `train.max_rows` was full.
    holdout_partitions : list of str
        Later than every training row. In a split without time, the newest of all partitions.
    inputs : list of Input
        Tables, their versions and ids that were read.
    """

    train_X: pd.DataFrame  # noqa: N815  scikit-learn's name
    train_y: pd.Series[Any] | None
    train_times: pd.Series[Any] | None
    holdout_X: pd.DataFrame  # noqa: N815  as above
    holdout_y: pd.Series[Any] | None
    holdout_times: pd.Series[Any] | None
    train_blocks: Blocks
    holdout_blocks: Blocks
    partitions: list[str]
    learned_from: list[str]
    holdout_partitions: list[str]
    inputs: list[Input]
    train_weight: npt.NDArray[np.float64] | None = None
    holdout_weight: npt.NDArray[np.float64] | None = None

    @property
    def holdout_partition(self) -> str:
        """The newest partition that the model is trained or judged on."""
        return self.holdout_partitions[-1]


def labelled_partitions(use_case: UseCase, lake: Lake, as_of: str) -> list[str]:
    """Return the partitions up to and with `as_of` that can be learned from, sorted.

    They have features and labels that are complete; clustering needs no labels.
    """
    return [one.partition for one in label_coverage(use_case, lake, as_of) if not one.waits]


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
    held_out: int | None = None,
) -> TrainingSet:
    """Load what was known up to and with the as-of partition.

    Read are the columns that are used, and the newest partitions until `train.max_rows` is full:
    memory does not grow with what is stored.

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
    held_out : int, optional
        How many of these, the last, are held out; `UseCase.held_out` by default.

    Raises
    ------
    DataContractError
        If there are fewer labelled partitions than `UseCase.partitions_needed`, or a partition's
        rows and labels have no key in common.
    """
    chosen = list(partitions or labelled_partitions(use_case, lake, as_of))
    held_out = use_case.held_out if held_out is None else held_out
    needed = max(use_case.train.min_partitions, held_out + 1)
    if len(chosen) < needed:
        what = "partitions" if use_case.labels is None else "labelled partitions"
        raise DataContractError(
            f"{use_case.name}: training needs at least {needed} {what} up to {as_of} "
            f"(train.min_partitions, and one more than the {held_out} held out), got "
            f"{len(chosen)}: {chosen}. Wait for more to land, choose a later as-of partition, or "
            "split without time: train.split.by: random."
        )
    tables = LabelledRows.of(use_case, lake, versions or {})
    train = training_rows(tables, chosen, held_out)
    holdout = holdout_rows(tables, chosen, held_out)
    for which, part in (("training", train), ("holdout", holdout)):
        if part.num_rows == 0:
            by_chance = (
                f" Or {use_case.train.split.by!r} has so few units that chance left none for the "
                f"{which}: split by what has more."
            )
            by_people = (
                " Rows that a policy chose for people are not held out: raise the share of "
                "'random' in labels.people.choose."
            )
            asked = use_case.labels is not None and use_case.labels.people is not None
            raise DataContractError(
                f"{use_case.name}: the {which} partitions of {chosen} must have rows with a label, "
                "got none. Check that the outcomes carry the same keys as the rows."
                f"{'' if held_out else by_chance}{by_people if asked else ''}"
            )
    return TrainingSet(
        train_X=narrow(train, use_case),
        train_y=_label(train, use_case),
        train_times=_times(train, use_case),
        train_blocks=blocks_in(train, use_case),
        holdout_times=_times(holdout, use_case),
        holdout_blocks=blocks_in(holdout, use_case),
        # As wide as a request's features: what is judged here is what will answer.
        holdout_X=to_pandas(holdout.select(use_case.features.columns)),
        holdout_y=_label(holdout, use_case),
        partitions=chosen,
        learned_from=sorted(train[PARTITION].unique().to_pylist()),
        holdout_partitions=chosen[-max(held_out, 1) :],
        inputs=tables.inputs,
        train_weight=learning_weight(train, use_case),
        holdout_weight=weight_in(holdout, use_case),
    )


def load_as_then(use_case: UseCase, lake: Lake, facts: Mapping[str, Any]) -> TrainingSet:
    """Load the training set of a model again, as its facts pin it.

    Parameters
    ----------
    use_case : UseCase
        As it was then.
    lake : Lake
        Holds features and labels.
    facts : mapping
        `as_of`, `inputs`, `partitions` and `holdout_partitions` of the training. A model of before
        the last of these was trained with one partition held out.
    """
    versions = pinned_versions(lake, facts["inputs"])
    held_out = len(facts.get("holdout_partitions") or [facts["partitions"][-1]])
    if use_case.train.split.time is None:
        held_out = 0
    return load_training_set(
        use_case, lake, facts["as_of"], versions, facts["partitions"], held_out
    )


def narrow(rows: pa.Table, use_case: UseCase) -> pd.DataFrame:
    """Make the frame that is kept while a training runs: half of what the lake's types take.

    Numbers become float32 where that moves none by more than a millionth of the column's range,
    texts become codes of a dictionary. Estimators learn from `wide` of it.
    """
    columns: dict[str, Any] = {}
    for name in use_case.features.numeric:
        full = rows[name].cast(pa.float64()).to_numpy()  # NaN where missing
        half = full.astype(np.float32)
        spread = np.nanmax(full) - np.nanmin(full) if np.isfinite(full).any() else 0.0
        close = np.nan_to_num(np.abs(full - half)).max(initial=0.0) <= _SHARE_OF_RANGE * spread
        columns[name] = half if close else full
    for name in use_case.features.categorical:
        columns[name] = rows[name].dictionary_encode().combine_chunks().to_pandas()
    return pd.DataFrame(columns, copy=False)


def wide(X: pd.DataFrame) -> pd.DataFrame:
    """Make float64 of float32, for the rows at hand: the type that a model answers in.

    A k-means that was fitted in float32 refuses float64, and linear models fitted in it stop early.
    """
    return X.astype(dict.fromkeys(X.columns[X.dtypes == np.float32], "float64"))


def training_rows(tables: LabelledRows, partitions: Sequence[str], held_out: int) -> pa.Table:
    """Read what a model learns from: at most ``train.max_rows`` rows, the newest.

    Parameters
    ----------
    tables : LabelledRows
        Where from.
    partitions : sequence of str
        All of a training, sorted.
    held_out : int
        How many of these, the last, are held out whole; 0 in a split without time.
    """
    most = tables.use_case.train.max_rows
    if tables.use_case.train.split.time is not None:
        return tables.newest(partitions[:-held_out], most)
    train = _share(tables, partitions, held_out=False)
    return train.slice(max(0, train.num_rows - most))


def holdout_rows(tables: LabelledRows, partitions: Sequence[str], held_out: int) -> pa.Table:
    """Read what a model is judged on; parameters as for `training_rows`.

    Rows that a policy chose for people to label are not among it: see `fairly_drawn`.
    """
    if tables.use_case.train.split.time is not None:
        rows = tables.newest(partitions[-held_out:])
    else:
        rows = _share(tables, partitions, held_out=True)
    return rows.filter(fairly_drawn(rows))


def _share(tables: LabelledRows, partitions: Sequence[str], *, held_out: bool) -> pa.Table:
    """Read the rows of a split without time that are held out, or the others.

    A unit that is held out is never learned from, also where a policy chose its rows: the next
    holdout may have other rows of it.
    """
    use_case = tables.use_case
    split, most = use_case.train.split, use_case.train.max_rows
    rows = tables.newest(partitions, math.ceil(most / (1 - split.holdout)))
    unit = [split.group] if split.group else use_case.ingest.key
    held = unit_numbers(rows, unit, "holdout") < split.holdout
    return rows.filter(pa.array(held if held_out else ~held))


def _times(rows: pa.Table, use_case: UseCase) -> pd.Series[Any] | None:
    by = use_case.train.split.time
    return None if by is None else rows[by].to_pandas()


def blocks_in(rows: pa.Table, use_case: UseCase) -> Blocks:
    """Return the independent unit of each row, see `deploy.resample_by`."""
    by, unit = use_case.train.split.time, use_case.resample_by
    if unit == "rows":
        return grouped(np.arange(rows.num_rows))
    return blocks_of(unit, rows.select(columns_of(unit, by)).to_pandas(), by)


def _label(rows: pa.Table, use_case: UseCase) -> pd.Series[Any] | None:
    return None if use_case.labels is None else rows[LABEL].to_pandas()
