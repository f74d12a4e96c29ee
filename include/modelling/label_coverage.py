"""Which partitions can be learned from: their labels are complete, by coverage and maturity.

The first of four outcome files would make a tiny, biased holdout of the newest month: outcomes that
are known early are seldom like the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from include.lake.table import Lake
from include.partitions import check_key, end_of
from include.use_cases.schema import UseCase


@dataclass(frozen=True)
class LabelCoverage:
    """How far the labels of a partition with features have come.

    Attributes
    ----------
    partition : str
        Its key.
    coverage : float
        Labels for each row with features, at most 1; 1 where the use case has no labels.
    waits : str
        Why it is not learned from yet; empty where its labels are complete.
    """

    partition: str
    coverage: float
    waits: str = ""


def label_coverage(use_case: UseCase, lake: Lake, as_of: str) -> list[LabelCoverage]:
    """Judge the partitions up to and with `as_of` that have features and labels, sorted.

    Both numbers stand in the tables' logs: no row is read. Labels of rows that were quarantined
    count too, so that coverage is overstated by their share at most. How mature labels are is
    measured against the newest partition that has features, not against the clock: a replay of a
    year decides as the year did.

    Parameters
    ----------
    use_case : UseCase
        `labels.min_coverage` and `labels.mature_after` are its rules. Clustering needs no labels.
    lake : Lake
        Holds features and labels.
    as_of : str
        The last partition that may be used.
    """
    grain, labels = use_case.ingest.partition.grain, use_case.labels
    check_key(as_of, grain)
    rows = lake.table(use_case.name, "features").row_counts()
    ready = sorted(rows)
    if labels is None:
        return [LabelCoverage(key, 1.0) for key in ready if key <= as_of]
    with_label = lake.table(use_case.name, "labels").row_counts()
    found = []
    for key in (one for one in ready if one <= as_of and one in with_label):
        coverage = min(with_label[key] / rows[key], 1.0)
        waits = ""
        if coverage < labels.min_coverage:
            waits = f"{key} has {coverage:.0%} of its labels, {labels.min_coverage:.0%} needed"
        elif end_of(key, grain) + labels.mature_after > end_of(ready[-1], grain):
            days = labels.mature_after / timedelta(days=1)
            waits = f"{key} has labels that may change for {days:g} days after its end"
        found.append(LabelCoverage(key, coverage, waits))
    return found


def waits_for_labels(use_case: UseCase, lake: Lake, as_of: str) -> list[str]:
    """Say which partitions have labels that are not complete, oldest first."""
    return [one.waits for one in label_coverage(use_case, lake, as_of) if one.waits]
