"""`scans`: a use case in which people label rows, on a small lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from include.lake.schemas import arrow_schema
from include.lake.table import Lake
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from tests.include.conftest import writer

DAY = "2024-05-01"
SUITE = """\
- {expectation: expect_table_row_count_to_be_between, min_value: 1, max_value: 1000, on_failure:
refuse}
"""
YAML = """\
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


Make = Callable[..., UseCase]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the use case `scans`, with other keys of `labels.people`, and of the whole."""
    root = tmp_path / "use_cases"
    (root / "scans").mkdir(parents=True)
    (root / "scans" / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(root))

    def made(people: dict[str, Any] | None = None, **changed: Any) -> UseCase:
        content = yaml.safe_load(YAML)
        content["labels"]["people"] |= people or {}
        for section, values in changed.items():
            if isinstance(values, dict) and isinstance(content.get(section), dict):
                content[section] |= values
            else:
                content[section] = values
        (root / "scans" / "use_case.yaml").write_text(yaml.safe_dump(content))
        return get("scans")

    return made


@pytest.fixture
def scans(make: Make) -> UseCase:
    """Give the use case as it stands in `YAML`."""
    return make()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Make an empty lake."""
    return Lake(str(tmp_path / "lake"))


def truth(scan: int) -> int:
    """Tell the class of a scan."""
    return scan % 3


def land(use_case: UseCase, lake: Lake, count: int = 100, token: int = 1) -> pa.Table:
    """Publish clean rows and features, whose columns tell the class, with some noise."""
    noise = np.random.default_rng(0).normal(0, 0.5, (count, 2))
    rows = pa.table(
        {
            "scan": list(range(count)),
            "ink": [truth(one) + noise[one, 0] for one in range(count)],
            "folds": [float(truth(one) == 1) + noise[one, 1] for one in range(count)],
        },
        schema=arrow_schema(use_case.ingest.columns),
    )
    for stage in ("clean", "features"):
        lake.table(use_case.name, stage).publish(
            rows, partition=DAY, schema=rows.schema, writer=writer(token)
        )
    return rows
