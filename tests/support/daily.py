"""A small synthetic use case with partitions of a day: a class that depends on one number.

Small enough that a real stack turns it in seconds, and complete: landed rows, outcomes that land
later, a reference by day, a suite, a model that beats the dummy.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

NAME = "daily"
YAML = """\
task: classification
description: Will the part fail its test?
owner: tests@example.com
ingest:
  landing: parts/{partition}/*.csv
  partition: {column: at, grain: day}
  key: [part]
  columns: {part: int64, at: timestamp, heat: float64, line: string}
  references:
    weather:
      landing: weather/{partition}/*.csv
      key: [at]
      columns: {at: timestamp, humid: float64}
labels:
  landing: outcomes/{partition}/*.csv
  columns: {part: int64, at: timestamp, defects: int64}
  from: defects
  rule: ">= 1"
validate: {max_quarantined_share: 0.2}
features:
  {inputs: [at, heat, line], references: [weather], numeric: [heat, humid], categorical: [line]}
train:
  metric: roc_auc
  split: {by: at, folds: 2}
  candidates:
    - estimator: logistic_regression
  tuning: {trials: 2, sampler: random}
  max_rows: 10000
deploy: {min_effect: 0.0, resample_by: part}
monitor: {min_rows: 30, sample_rows: 1000}
retrain: {when: [drift, performance], monthly_budget: 30}
"""
SUITE = """\
- expectation: expect_column_values_to_not_be_null
  on_failure: quarantine
  column: heat
- expectation: expect_column_values_to_be_in_set
  on_failure: quarantine
  column: line
  value_set: [a, b]
"""


def write_use_case(folder: Path, approvers: str = "") -> Path:
    """Write the use case below `folder`; return its own folder.

    :param approvers: who approves promotions, with commas; without them nobody is asked
    """
    own = folder / NAME
    own.mkdir(parents=True, exist_ok=True)
    approval = f"deploy: {{approval: {{approvers: [{approvers}]}}, " if approvers else "deploy: {"
    (own / "use_case.yaml").write_text(YAML.replace("deploy: {", approval))
    (own / "expectations.yaml").write_text(SUITE)
    return own


def days(first: str, count: int) -> list[str]:
    """Return the keys of so many days from the first on."""
    start = date.fromisoformat(first)
    return [(start + timedelta(days=n)).isoformat() for n in range(count)]


def land(
    landing: Path, day: str, *, rows: int = 60, outcomes: bool = True, weather: bool = True,
    shift: float = 0.0, broken: bool = False,
) -> None:  # fmt: skip
    """Land one day: its rows, and with them their outcomes and the day's weather.

    :param shift: moves the distribution of `heat`
    :param broken: write one cell that is no number
    """
    draw = random.Random(day)  # noqa: S311 - test data
    number = date.fromisoformat(day).toordinal()
    parts = [(number * 1000 + n, n % 24, draw.gauss(shift, 1.0)) for n in range(rows)]
    lines = [
        f"{part},{day}T{hour:02}:00:00Z,{heat:.6f},{'ab'[part % 2]}" for part, hour, heat in parts
    ]
    if broken:
        lines[3] = f"{parts[3][0]},{day}T03:00:00Z,warm,a"
    _write(landing / "parts" / day / "rows.csv", ["part,at,heat,line", *lines])
    if weather:
        hours = [f"{day}T{hour:02}:00:00Z,{40 + hour}" for hour in range(24)]
        _write(landing / "weather" / day / "hours.csv", ["at,humid", *hours])
    if outcomes:
        land_outcomes(landing, day, rows=rows, shift=shift)


def land_outcomes(landing: Path, day: str, *, rows: int = 60, shift: float = 0.0) -> None:
    """Land the outcomes of one day: hot parts fail more often."""
    draw, noise = random.Random(day), random.Random(f"{day} noise")  # noqa: S311 - test data
    number = date.fromisoformat(day).toordinal()
    lines = []
    for n in range(rows):
        defects = int(draw.gauss(shift, 1.0) + noise.gauss(0, 0.5) > 0)
        lines.append(f"{number * 1000 + n},{day}T{n % 24:02}:00:00Z,{defects}")
    _write(landing / "outcomes" / day / "outcomes.csv", ["part,at,defects", *lines])


def _write(path: Path, lines: list[str]) -> None:
    """Write beside and rename: the watcher never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(path)
