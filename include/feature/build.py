"""One clean partition into features."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from include.due.definitions import DEFINITION, definition_of
from include.errors import DataContractError, FlywheelError, bounded
from include.lake.frames import arrow_schema, to_arrow, to_pandas
from include.lake.table import Lake, Writer
from include.modelling.features import References, build_features
from include.modelling.references import load_references
from include.modelling.weights import check_weight
from include.use_cases.loader import python_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import Columns, UseCase

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 250_000
"""Frames of so many rows are built: memory beside the table itself does not grow with its rows."""


@dataclass(frozen=True)
class FeaturesBuilt:
    """What `build_partition` published."""

    partition: str
    rows: int
    columns: list[str]
    version: int
    partition_version: int
    changed: bool


def kept_columns(use_case: UseCase) -> list[str]:
    """Name what the table has beside features: the key, the timestamps that order rows, weights."""
    weight = use_case.train.sample_weight
    named = [*use_case.ingest.key, *use_case.times, *([] if weight is None else [weight])]
    return list(dict.fromkeys(named))


def features_schema(use_case: UseCase) -> pa.Schema:
    """Describe the table: key, timestamps, weight, then the features that are not among these."""
    columns: Columns = {name: use_case.ingest.columns[name] for name in kept_columns(use_case)}
    columns |= dict.fromkeys(use_case.features.numeric, "float64")
    columns |= dict.fromkeys(use_case.features.categorical, "string")
    return arrow_schema(columns)


def build_partition(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> FeaturesBuilt:
    """Build and publish the features of one clean partition.

    Raises
    ------
    DataContractError
        There is no such clean partition, or a reference does not cover it.
    """
    # Before features.py is read: one that is edited meanwhile leaves the partition due.
    definition = definition_of(use_case, "features")
    clean = lake.table(use_case.name, "clean")
    # The columns of now in their types of now: older partitions may hold others.
    needed = dict.fromkeys([*kept_columns(use_case), *use_case.features.inputs])
    types = arrow_schema({name: use_case.ingest.columns[name] for name in needed})
    rows, source = clean.read_input(partition, types)
    covered = _references_of(use_case, partition, lake)
    references, inputs = load_references(use_case, lake, rows=rows, partition=partition)
    features = _features(use_case, partition, rows, references)
    del rows, references  # publishing needs their memory
    published = lake.table(use_case.name, "features").publish(
        features,
        partition=partition,
        schema=features.schema,
        migrations=use_case.migrations,
        writer=writer,
        inputs=[source, *inputs],
        consumed={**covered, DEFINITION: definition},
    )
    log.info("%s: features of %s: %d rows", use_case.name, partition, features.num_rows)
    return FeaturesBuilt(
        partition,
        features.num_rows,
        use_case.features.columns,
        published.version,
        published.partition_version,
        published.changed,
    )


def _features(
    use_case: UseCase, partition: str, rows: pa.Table, references: References
) -> pa.Table:
    """Build the table, some rows at a time: a request is one row, so no row may need another."""
    schema = features_schema(use_case)
    python, parts = python_of(use_case), []
    for start in range(0, rows.num_rows, ROWS_AT_ONCE):
        frame = to_pandas(rows.slice(start, ROWS_AT_ONCE))
        frame.index = pd.RangeIndex(start, start + len(frame))  # messages name rows by it
        if (weight := use_case.train.sample_weight) is not None:
            check_weight(frame[weight].to_numpy("float64", na_value=np.nan), use_case, start)
        built = _built(use_case, partition, frame, references, python)
        # A key column that is also a categorical feature is there once, as the feature.
        kept = {name: frame[name] for name in kept_columns(use_case) if name not in built}
        parts.append(to_arrow(built.assign(**kept)[schema.names], schema))
    return pa.concat_tables(parts)


def _built(
    use_case: UseCase,
    partition: str,
    rows: pd.DataFrame,
    references: References,
    python: OwnPython,
) -> pd.DataFrame:
    """Build; what features.py raises is a refusal of these rows, which stop no other partition.

    As a surprise it would be retried, and wait as due for ever: no first training would begin.
    """
    try:
        return build_features(rows, references, use_case, python)
    except (FlywheelError, MemoryError, OSError):
        raise
    except Exception as error:
        raise DataContractError(
            f"{use_case.name}: features of {partition} cannot be built: features.py raises "
            f"{type(error).__name__}: {bounded(str(error), 500)}. Correct it, or the rows."
        ) from error


def _references_of(use_case: UseCase, partition: str, lake: Lake) -> Mapping[str, int]:
    """Version of this partition in each partitioned reference; refuses when one has not come yet.

    Without this the join would find nothing, and a whole month would quietly have no weather.
    """
    covered: dict[str, int] = {}
    for name in use_case.features.references:
        if not use_case.ingest.references[name].partitioned:
            continue
        table = lake.table(use_case.name, f"reference_{name}")
        version = table.partition_versions([partition]).get(partition)
        if version is None:
            raise DataContractError(
                f"{use_case.name}: features of {partition} need reference {name!r} of "
                f"{partition}, which "
                f"has not been ingested. Land {use_case.ingest.references[name].landing!r} and run "
                "ingest_label: it starts this phase again."
            )
        covered[table.name] = version
    return covered
