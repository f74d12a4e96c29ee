"""`scans`: a use case in which people label rows, and rows of it in a lake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import yaml

from include.lake.schemas import arrow_schema
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from include.use_cases.schema import UseCase

if TYPE_CHECKING:
    import pytest

NAME, DAY = "scans", "2024-05-01"
_SUITE = """\
- {expectation: expect_table_row_count_to_be_between, min_value: 1, max_value: 1000000, on_failure:
refuse}
"""
_YAML = """\
task: classification
description: Which kind of scan is this?
owner: scans@example.com
ingest:
  landing: scans/{partition}/*.csv
  partition: {grain: day}
  key: [scan]
  columns: {scan: int64, ink: float64, folds: float64}
labels:
  strategy: people
  classes: [letter, bill, form]
  min_coverage: 0.05
  people: {items: 10, annotators: 1}
features: {inputs: [ink, folds], numeric: [ink, folds]}
train:
  metric: log_loss
  split: {by: random}
  candidates: [{estimator: logistic_regression}]
retrain: {when: [drift]}
"""


def write(use_cases: Path, people: dict[str, Any] | None = None, **changed: Any) -> Path:
    """Write the use case into a folder of use cases, over what stands there.

    Parameters
    ----------
    use_cases : Path
        The folder of all use cases.
    people : dict, optional
        Other keys of `labels.people`.
    **changed
        Other sections: keys are added to a section, anything else takes its place.

    Returns
    -------
    Path
        Its YAML.
    """
    content = yaml.safe_load(_YAML)
    content["labels"]["people"] |= people or {}
    for section, values in changed.items():
        if isinstance(values, dict) and isinstance(content.get(section), dict):
            content[section] |= values
        else:
            content[section] = values
    folder = use_cases / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expectations.yaml").write_text(_SUITE)
    path = folder / "use_case.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def truth(scan: int) -> int:
    """Tell the class of a scan."""
    return scan % 3


def land(
    use_case: UseCase,
    lake: Lake,
    count: int = 100,
    token: int = 1,
    stages: Sequence[str] = ("clean", "features"),
) -> pa.Table:
    """Publish rows, whose columns tell the class, with some noise."""
    noise = np.random.default_rng(0).normal(0, 0.5, (count, 2))
    scans = np.arange(count)
    rows = pa.table(
        {
            "scan": scans,
            "ink": truth(scans) + noise[:, 0],
            "folds": (truth(scans) == 1) + noise[:, 1],
        },
        schema=arrow_schema(use_case.ingest.columns),
    )
    by = Writer(run_id=f"run-{token}", attempt=1, token=token, code_version="test")
    for stage in stages:
        lake.table(NAME, stage).publish(rows, partition=DAY, schema=rows.schema, writer=by)
    return rows


def move_in(home: Path, monkeypatch: pytest.MonkeyPatch, people: dict[str, Any]) -> UseCase:
    """Give this process a home that holds the use case and its rows."""
    write(home / "use_cases", people)
    monkeypatch.setenv("FLYWHEEL_HOME", str(home))
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(home / "use_cases"))
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", "test")
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "test")
    use_case = get(NAME)
    land(use_case, Lake(str(home / "lake")))
    return use_case
