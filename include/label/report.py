"""The report on the labels of a partition: a table of the lake, for whatever strategy gave them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.due.definitions import DEFINITION, definition_of
from include.labelling.annotators import Finding, PeopleReported, report_people
from include.labelling.contract import LABEL, STRATEGY
from include.labelling.history import LabelHistory
from include.labelling.quality import LabelError, Leak, class_shares, label_errors, leaks
from include.lake.frames import to_pandas
from include.lake.schemas import CONFIDENCE
from include.lake.table import Lake, Writer
from include.modelling.estimators import linear
from include.modelling.labelled_rows import LabelledRows
from include.use_cases.schema import UseCase

log = logging.getLogger(__name__)

MOST_ROWS = 5_000
"""A model of 5,000 rows finds label errors well enough, and five fits of it take a second."""
PARTITIONS = 24
"""So many earlier partitions stand beside this one's class balance."""
_SCHEMA = pa.schema([
    ("topic", pa.string()),
    ("subject", pa.string()),
    ("value", pa.float64()),
    ("details", pa.string()),
])  # fmt: skip


@dataclass(frozen=True)
class LabelsReported:
    """What `report_labels` found; the table `label_quality` has it whole.

    Attributes
    ----------
    partition : str
        Its key.
    rows : int
        Labelled rows with features, of which at most `MOST_ROWS` were looked at.
    strategies : dict of str to int
        How many labels each strategy gives.
    mean_confidence : float or None
        Of the labels that the history knows; None where it knows none.
    class_shares : dict of str to float
        Of this partition; empty for a regression.
    errors : int or None
        Candidates for label errors; None where it cannot be told.
    leaks : list of str
        Features that alone tell the label.
    changed : bool
        Whether the report differs from the last one.
    alpha, below, conflicts, warnings : optional
        Where people label: see `PeopleReported`.
    """

    partition: str
    rows: int
    strategies: dict[str, int]
    mean_confidence: float | None
    class_shares: dict[str, float]
    errors: int | None
    leaks: list[str]
    version: int
    changed: bool
    alpha: float | None = None
    below: list[str] = field(default_factory=list)
    conflicts: int = 0
    warnings: list[str] = field(default_factory=list)


def report_labels(use_case: UseCase, partition: str, lake: Lake, writer: Writer) -> LabelsReported:
    """Look at the labels of one partition and publish what is found.

    Raises
    ------
    DataContractError
        The partition has no features or no labels, or they have no key in common.
    """
    tables = LabelledRows.of(use_case, lake, {})
    labels = lake.table(use_case.name, "labels")
    sources = [
        lake.table(use_case.name, stage).read_input(partition, use_case.ingest.key)[1]
        for stage in ("labels", "features")
    ]
    rows = tables.newest([partition], MOST_ROWS)
    classes = use_case.task == "classification"
    X, given = to_pandas(rows.select(use_case.features.columns)), rows[LABEL].to_numpy()
    errors = label_errors(linear(use_case), X, given) if classes and len(given) else None
    leaking = leaks(X, given) if classes and len(given) else []
    known = LabelHistory(use_case, lake).known(partition)
    counts = known.group_by(STRATEGY).aggregate([([], "count_all")]).to_pylist()
    strategies = {row[STRATEGY]: row["count_all"] for row in counts}
    told = list(_told(use_case, rows, errors, leaking, strategies))
    told += _balance(labels, partition) if classes else []
    asks = use_case.labels is not None and use_case.labels.people is not None
    people = report_people(use_case, partition, lake) if asks else PeopleReported()
    told += people.rows
    data = pa.Table.from_pylist([one._asdict() for one in told], schema=_SCHEMA)
    published = lake.table(use_case.name, "label_quality").publish(
        data,
        partition=partition,
        schema=data.schema,
        writer=writer,
        inputs=sources,
        consumed={DEFINITION: definition_of(use_case, "label_quality")},
    )
    log.info("%s: labels of %s: %d findings", use_case.name, partition, data.num_rows)
    mean = pc.mean(known[CONFIDENCE]).as_py()
    return LabelsReported(
        partition=partition,
        rows=rows.num_rows,
        strategies=strategies,
        mean_confidence=None if mean is None else float(mean),
        class_shares={str(one): share for one, share in class_shares(given).items()}
        if classes and len(given)
        else {},
        errors=None if errors is None else len(errors),
        leaks=[leak.feature for leak in leaking],
        version=published.version,
        changed=published.changed,
        alpha=people.alpha,
        below=people.below,
        conflicts=people.conflicts,
        warnings=people.warnings,
    )


def _told(
    use_case: UseCase,
    rows: pa.Table,
    errors: list[LabelError] | None,
    leaking: list[Leak],
    strategies: dict[str, int],
) -> Iterator[Finding]:
    for strategy, count in strategies.items():
        yield Finding("strategy", strategy, float(count), "{}")
    for leak in leaking:
        yield Finding("leak", leak.feature, leak.auc, "{}")
    for error in errors or ():
        key: dict[str, Any] = rows.select(use_case.ingest.key).slice(error.row, 1).to_pylist()[0]
        told = {**asdict(error), "key": key}
        del told["row"]
        name = json.dumps(key, default=str)
        yield Finding("label error", name, error.probability, json.dumps(told, default=str))


def _balance(labels: Any, partition: str) -> list[Finding]:
    """Give the class shares of this partition and of those before it."""
    before = [key for key in labels.partitions() if key <= partition][-PARTITIONS:]
    return [
        Finding("class share", key, share, json.dumps({"class": one}))
        for key in before
        for one, share in class_shares(labels.read([key], [LABEL])[LABEL].to_numpy()).items()
    ]
