"""How many of the labels that the champion was trained with have been corrected since."""

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
    known = sorted(set(facts["partitions"]) & set(partitions))
    before = labels.partition_versions(known, pins[0].version)
    now = labels.partition_versions(known)
    changed = [key for key in known if key in now and now[key] != before.get(key)]
    columns = [*use_case.ingest.key, LABEL]
    return sum(
        _differing(
            use_case.ingest.key,
            labels.read([key], columns, pins[0].version),
            labels.read([key], columns),
        )
        for key in changed
        if key in before
    )


def _differing(key: list[str], before: pa.Table, now: pa.Table) -> int:
    """Count the rows of both tables whose label differs; keys are compared within a partition."""
    earlier = before.select([*key, LABEL]).rename_columns([*key, "earlier"])
    both = now.select([*key, LABEL]).join(earlier, key, join_type="inner")
    return int(pc.sum(pc.not_equal(both[LABEL], both["earlier"])).as_py() or 0)
