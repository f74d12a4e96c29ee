"""A synthetic use case of any size: sales by month, with a reference by month and a whole one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, Writer

USE_CASE = "sales"
KEYS = [f"{2015 + month // 12}-{month % 12 + 1:02d}" for month in range(120)]
SHOPS, ITEMS = 500, 20_000
FILES = 10
"""A month lands in so many files."""

_YAML = """\
task: classification
description: Will this sale come back?
owner: bench@example.com
ingest:
  landing: sales/{partition}/*.parquet
  partition: {column: sold_at, grain: month}
  key: [sale]
  columns:
    sale: int64
    sold_at: timestamp
    shop: string
    item: int64
    amount: int64
    price: float64
    discount: float64
    weight: float64
    minutes: float64
    channel: string
    country: string
    note: string
  references:
    shops:
      landing: shops/{partition}/*.parquet
      key: [shop]
      columns: {shop: string, staff: int64}
    items:
      landing: items/*.parquet
      key: [item]
      as_of: since
      columns: {item: int64, since: timestamp, cost: float64}
labels:
  landing: returns/{partition}/*.parquet
  from: returned
  rule: ">= 1"
  columns: {sale: int64, sold_at: timestamp, returned: int64}
features:
  inputs: [sold_at, shop, item, amount, price, discount, weight, minutes, channel, country]
  references: [shops, items]
  numeric: [amount, price, discount, weight, minutes, staff, cost]
  categorical: [channel, country]
train:
  metric: roc_auc
  split: {by: sold_at, folds: 2}
  candidates: [{estimator: logistic_regression}, {estimator: hist_gradient_boosting, max_iter: 20}]
  tuning: {trials: 1}
  max_rows: 100000
retrain: {when: [drift]}
"""
_SUITE = """\
- expectation: expect_table_row_count_to_be_between
  min_value: 1
  on_failure: refuse
- expectation: expect_column_values_to_not_be_null
  column: shop
  on_failure: quarantine
- expectation: expect_column_values_to_be_between
  column: price
  min_value: 0
  on_failure: quarantine
- expectation: expect_column_values_to_be_in_set
  column: channel
  value_set: [web, shop, phone]
  on_failure: quarantine
- expectation: expect_column_values_to_be_unique
  column: sale
  on_failure: quarantine
"""


def make_root(folder: Path) -> None:
    """Write the use case below a folder, and its items; nothing when that was done before."""
    root = folder / "use_cases" / USE_CASE
    if root.exists():
        return
    root.mkdir(parents=True)
    (root / "use_case.yaml").write_text(_YAML)
    (root / "expectations.yaml").write_text(_SUITE)
    _write(folder / "landing" / "items" / "items.parquet", items())


def land(folder: Path, month: str, rows: int) -> None:
    """Land rows, outcomes and shops of a month."""
    landing, each = folder / "landing", -(-rows // FILES)
    for number in range(FILES):
        part = sales(month, number * each, min(each, rows - number * each))
        _write(landing / "sales" / month / f"{number:02d}.parquet", part)
        _write(landing / "returns" / month / f"{number:02d}.parquet", returns(part))
    _write(landing / "shops" / month / "shops.parquet", shops(int(month[-2:])))


def publish_month(folder: Path, month: str, rows: int, seed: int) -> None:
    """Publish a month's clean rows, features, labels and shops, as the phases would."""
    lake = Lake(str(folder / "home" / "lake"))
    if month in lake.table(USE_CASE, "labels").partitions():
        return
    frame = sales(month, 0, rows, seed)
    outcomes = returns(frame)
    features = frame[["sale", "sold_at"]].assign(
        **{name: frame[name].astype("float64") for name in ("amount", "price", "discount")},
        **{name: frame[name] for name in ("weight", "minutes")},
        staff=10.0,
        cost=1.0,
        channel=frame["channel"],
        country=frame["country"],
    )
    labels = outcomes.rename(columns={"returned": "label"})
    tables = {
        "clean": frame,
        "features": features,
        "labels": labels,
        "reference_shops": shops(seed),
    }
    if not lake.table(USE_CASE, "reference_items").exists():
        tables["reference_items"] = items()
    for stage, each in tables.items():
        partition = "all" if stage == "reference_items" else month
        schema = arrow_schema({name: _kind(each[name]) for name in each.columns})
        lake.table(USE_CASE, stage).publish(
            to_arrow(each, schema),
            partition=partition,
            schema=schema,
            writer=Writer("bench", 1, 1, "bench"),
        )


def sales(month: str, first: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Make sales, in any order of time within their month."""
    random = np.random.default_rng([seed, first])
    start = pd.Timestamp(f"{month}-01", tz="UTC")
    seconds = random.integers(0, 28 * 24 * 3600, rows)
    columns: dict[str, Any] = {
        "sale": first + np.arange(rows, dtype="int64"),
        "sold_at": (start + pd.to_timedelta(seconds, unit="s")).as_unit("us"),
        "shop": _texts(random, [f"shop {i}" for i in range(SHOPS)], rows),
        "item": random.integers(0, ITEMS, rows),
        "amount": random.integers(1, 20, rows),
        "price": random.gamma(2.0, 10.0, rows),
        "discount": np.where(random.random(rows) < 0.3, np.nan, random.random(rows)),
        "weight": random.normal(5.0, 1.0, rows),
        "minutes": random.exponential(10.0, rows),
        "channel": _texts(random, ["web", "shop", "phone"], rows),
        "country": _texts(random, [f"country {i}" for i in range(60)], rows),
        "note": _texts(random, [f"a note of some length, {i}" for i in range(1000)], rows),
    }
    columns["price"][random.random(rows) < 0.001] = -1.0  # quarantined
    return pd.DataFrame(columns)


def returns(rows: pd.DataFrame) -> pd.DataFrame:
    """Make outcomes that depend on the price."""
    returned = (rows["price"] + 5 * rows["weight"] > 45).astype("int64")
    return rows[["sale", "sold_at"]].assign(returned=returned)


def shops(seed: int) -> pd.DataFrame:
    """Make one month's snapshot of the shops."""
    staff = np.random.default_rng(seed).integers(1, 50, SHOPS)
    return pd.DataFrame({"shop": [f"shop {i}" for i in range(SHOPS)], "staff": staff})


def items() -> pd.DataFrame:
    """Make items that changed their cost four times."""
    number = np.repeat(np.arange(ITEMS, dtype="int64"), 4)
    since = pd.to_datetime(np.tile([f"201{year}-07-01" for year in range(2, 6)], ITEMS), utc=True)
    cost = np.random.default_rng(0).random(len(number))
    return pd.DataFrame({"item": number, "since": since.as_unit("us"), "cost": cost})


def _texts(random: np.random.Generator, words: list[str], rows: int) -> Any:
    return pd.array(words, dtype="str").take(random.integers(0, len(words), rows))


def _kind(column: pd.Series[Any]) -> str:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "timestamp"
    return "string" if isinstance(column.dtype, pd.StringDtype) else str(column.dtype)


def _write(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
