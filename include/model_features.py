"""The features of a model: those that its own Python and its own YAML build.

The `features` table is built with the definition of the working tree, which may have been edited
since the model was trained. It is used where both definitions are the same. Otherwise the features
are built from the rows and the references that the table itself was made from: then two models that
are compared differ in their definitions only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from include.due.definitions import DEFINITION, definition_of
from include.errors import (
    DataContractError,
    FlywheelError,
    ServiceUnavailable,
    SettingsError,
    bounded,
)
from include.lake.frames import arrow_schema, to_pandas
from include.lake.pins import pinned_versions
from include.lake.table import Input, Lake
from include.modelling.features import build_features
from include.modelling.references import load_references
from include.registry.package import ServableModel
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ModelFeatures:
    """Features of one partition, as one model sees them.

    Attributes
    ----------
    frame : DataFrame of shape (n_rows, n_key + n_features)
        The columns of `ingest.key`, in the types of who asks, and those that the model was trained
        with. A key column that is also a feature is there once, as the feature.
    inputs : list of Input
        What was read. The first is always the partition of `features`: who scores it again when
        that changes follows new rows, whichever definition they are scored by.
    stored : bool
        Whether the table's features were used.
    """

    frame: pd.DataFrame
    inputs: list[Input]
    stored: bool


def features_for(
    model: ServableModel,
    partition: str,
    lake: Lake,
    version: int | None = None,
    *,
    named_by: UseCase | None = None,
) -> ModelFeatures:
    """Give a model its features of a partition.

    Parameters
    ----------
    model : ServableModel
        Its use case and its Python say how features are built.
    partition : str
        A partition of the `features` table.
    lake : Lake
        Where rows, references and features are.
    version : int, optional
        Delta version of the `features` table; by default the newest.
    named_by : UseCase, optional
        Its `ingest.key` names the rows, in the types that it declares: whoever joins them with
        another table needs those of that table. By default the model's own.

    Raises
    ------
    DataContractError
        There is no such partition; a column or a reference that the model needs is gone; it names
        rows by other columns; or its Python refuses the rows.
    """
    key = _key_types(model, named_by or model.use_case)
    table = lake.table(model.use_case.name, "features")
    version = table.version() if version is None else version
    current = table.partition_versions([partition], version).get(partition)
    read = replace(table.pin(version), partition_version=current)
    own = definition_of(model.use_case, "features", model.python)
    made_by = table.made_from({partition: [DEFINITION]}, version)[partition][DEFINITION]
    if made_by == own:
        features = model.use_case.features
        types = dict.fromkeys(features.numeric, "float64")
        types |= dict.fromkeys(features.categorical, "string")
        rows = table.read([partition], arrow_schema(key | types), version)
        return ModelFeatures(to_pandas(rows), [read], stored=True)
    made = table.facts(partition, version)["inputs"]
    log.info(
        "%s: features of %s were made by another definition than that of model version %s, and are "
        "built with the model's own",
        *(model.use_case.name, partition, model.version),
    )
    frame, inputs = _built_or_refused(model, partition, lake, made, key)
    return ModelFeatures(frame, [read, *inputs], stored=False)


def _key_types(model: ServableModel, named_by: UseCase) -> dict[str, Any]:
    """Give the columns that name rows, and their types.

    Raises
    ------
    DataContractError
        The model names them by others.
    """
    ours, theirs = list(model.use_case.ingest.key), list(named_by.ingest.key)
    if ours != theirs:
        raise DataContractError(
            f"{named_by.name}: model version {model.version} names rows by {ours}, but here they "
            f"are named by {theirs}. Train a model that names them so, or undo the change of "
            "ingest.key."
        )
    return {name: named_by.ingest.columns[name] for name in theirs}


def _built_or_refused(
    model: ServableModel,
    partition: str,
    lake: Lake,
    made: Sequence[Mapping[str, Any]],
    key: Mapping[str, Any],
) -> tuple[pd.DataFrame, list[Input]]:
    """Build, and say of what is refused whose features they are."""
    try:
        return _built(model, partition, lake, made, key)
    except (ServiceUnavailable, SettingsError, MemoryError, OSError):
        raise  # says nothing of the rows: as a refusal it would let the dummy replace a champion
    except Exception as error:  # a use case's own Python can raise anything
        said = (
            str(error) if isinstance(error, FlywheelError) else f"{type(error).__name__}: {error}"
        )
        raise DataContractError(
            f"{model.use_case.name}: features of {partition} cannot be built as model version "
            f"{model.version} needs them: {bounded(said, 1000)} Train again with what there is "
            "now, or bring back what the model needs."
        ) from error


def _built(
    model: ServableModel,
    partition: str,
    lake: Lake,
    made: Sequence[Mapping[str, Any]],
    key: Mapping[str, Any],
) -> tuple[pd.DataFrame, list[Input]]:
    """Build from what the stored partition was made from.

    A reference that it was not made from, because the use case names it no more, is read as of now.
    """
    use_case = model.use_case
    clean = lake.table(use_case.name, "clean")
    wanted = {clean.name, *(f"{use_case.name}.reference_{n}" for n in use_case.features.references)}
    pins = pinned_versions(lake, [one for one in made if one["table"] in wanted])
    version = pins.get(clean.name)
    version = clean.version() if version is None else version
    needed = list(dict.fromkeys([*use_case.ingest.key, *use_case.features.inputs]))
    there = clean.facts(partition, version)["columns"]
    if lacking := [name for name in needed if name not in there]:
        raise DataContractError(
            f"the clean rows must have the columns {needed}, but were published without {lacking}."
        )
    # In the model's types: today's may be others.
    types = arrow_schema({name: use_case.ingest.columns[name] for name in needed})
    table = clean.read([partition], types, version)
    _check_references(use_case, partition, lake, pins)
    references, inputs = load_references(use_case, lake, pins, table, partition)
    rows = to_pandas(table)
    features = build_features(rows, references, use_case, model.python)
    names = to_pandas(clean.read([partition], arrow_schema(key), version))
    keys = {name: names[name] for name in key if name not in features}
    return features.assign(**keys), [clean.pin(version), *inputs]


def _check_references(
    use_case: UseCase, partition: str, lake: Lake, pins: Mapping[str, int]
) -> None:
    """Refuse where a partitioned reference lacks the partition: all would quietly be missing."""
    for name in use_case.features.references:
        declared = use_case.ingest.references[name]
        table = lake.table(use_case.name, f"reference_{name}")
        if declared.partitioned and partition not in table.partitions(pins.get(table.name)):
            raise DataContractError(
                f"reference {name!r} must hold {partition}, but it has not been ingested. Land "
                f"{declared.landing!r} and run ingest_label."
            )
