"""What a fenced, versioned publish costs, beside the same frame as one plain Parquet file."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.figures import Figure, spread
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, Writer

LIMIT = 4.0
ROWS, RUNS = 300_000, 7


def frame(rows: int) -> pd.DataFrame:
    """Make a frame like the lake's: 8 floats, 6 integers, 5 short texts and a time, 20 columns."""
    random = np.random.default_rng(0)
    columns: dict[str, object] = {f"number_{i}": random.normal(size=rows) for i in range(8)}
    columns |= {f"count_{i}": random.integers(0, 3000, rows) for i in range(6)}
    texts = np.array([f"place {i}" for i in range(100)])
    columns |= {f"text_{i}": texts[random.integers(0, 100, rows)] for i in range(5)}
    hours = random.integers(0, 8760, rows).astype("timedelta64[h]")
    columns["time"] = pd.to_datetime(np.datetime64("2013-01-01") + hours, utc=True).as_unit("us")
    return pd.DataFrame(columns)


def measure(folder: Path) -> list[Figure]:
    """Write both ways in turn, the lake into a new partition each time."""
    data = frame(ROWS)
    schema = arrow_schema({name: _type(name) for name in data.columns})
    table = Lake(str(folder / "publish_lake")).table("bench", "raw")
    published, parquet = [], []
    for number in range(RUNS):
        writer = Writer("bench", 1, number, "bench")
        started = time.perf_counter()
        table.publish(to_arrow(data, schema), partition=f"{number}", schema=schema, writer=writer)
        published.append(time.perf_counter() - started)
        started = time.perf_counter()
        data.to_parquet(folder / f"{number}.parquet", index=False)
        parquet.append(time.perf_counter() - started)
    against = (
        f"pandas.to_parquet: {spread(parquet)}; publish of 300,000 rows x 20 columns: "
        f"{spread(published)}"
    )
    return [Figure("lake_publish", median(published) / median(parquet), "ratio", against, LIMIT)]


def _type(name: str) -> str:
    kinds = {"number": "float64", "count": "int64", "text": "string", "time": "timestamp"}
    return kinds[name.partition("_")[0]]
