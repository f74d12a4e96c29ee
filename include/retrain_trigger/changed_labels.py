"""How many labels have been corrected, and added, since the champion was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import DataContractError
from include.lake.pins import pin_of
from include.lake.table import Lake
from include.modelling.labelled_rows import LABEL
from include.use_cases.schema import UseCase


def corrected_rows(
    use_case: UseCase, lake: Lake, facts: Mapping[str, Any], partitions: Sequence[str]
) -> int | None:
    """Count the rows whose label has another value than the champion was trained with.

    Only partitions whose labels were published again are read. A row whose label came later, or
    was taken back, does not count: it is not a corrected label.

    Parameters
    ----------
    use_case : UseCase
        Gives the key that names a row.
    lake : Lake
        Holds the labels.
    facts : mapping
        Of the champion's package: `inputs` has the version of the labels, `partitions` its
        training set.
    partitions : sequence of str
        Only these: what a training would use now.

    Returns
    -------
    int or None
        None where the use case has no labels, or the champion's are not in the lake any more.
    """
    found = _changed(use_case, lake, facts, partitions)
    if found is None:
        return None
    return sum(
        _differing(use_case.ingest.key, before, now) for before, now in found if before is not None
    )


def new_labels(
    use_case: UseCase, lake: Lake, facts: Mapping[str, Any], partitions: Sequence[str]
) -> int | None:
    """Count the rows that have a label, and had none when the champion was trained.

    Parameters and what is returned are as for `corrected_rows`.
    """
    found = _changed(use_case, lake, facts, partitions)
    if found is None:
        return None
    key = use_case.ingest.key
    return sum(
        int((now if before is None else _without(now, before, key)).num_rows)
        for before, now in found
    )


def _changed(
    use_case: UseCase, lake: Lake, facts: Mapping[str, Any], partitions: Sequence[str]
) -> list[tuple[pa.Table | None, pa.Table]] | None:
    """Read the labels of partitions that were published since, as they were and as they are.

    What they were is None for a partition that the champion was not trained with.
    """
    if use_case.labels is None:
        return None
    labels = lake.table(use_case.name, "labels")
    pins = [pin_of(one) for one in facts["inputs"] if one["table"] == labels.name]
    if not pins:
        return None
    try:
        labels.check_pin(pins[0])
    except DataContractError:  # the table was made again: there is nothing to compare with
        return None
    version = pins[0].version
    known = set(facts["partitions"]) & set(labels.partitions(version))
    before = labels.partition_versions(known, version)
    now = labels.partition_versions(partitions)
    columns = [*use_case.ingest.key, LABEL]
    return [
        (
            labels.read([key], columns, version) if key in known else None,
            labels.read([key], columns),
        )
        for key in sorted(now)
        if key not in known or now[key] != before.get(key)
    ]


def _without(now: pa.Table, before: pa.Table, key: list[str]) -> pa.Table:
    """Leave out the rows whose key was there before."""
    return now.join(before.select(key), key, join_type="left anti")


def _differing(key: list[str], before: pa.Table, now: pa.Table) -> int:
    """Count the rows of both tables whose label differs; keys are compared within a partition."""
    earlier = before.select([*key, LABEL]).rename_columns([*key, "earlier"])
    both = now.select([*key, LABEL]).join(earlier, key, join_type="inner")
    return int(pc.sum(pc.not_equal(both[LABEL], both["earlier"])).as_py() or 0)
