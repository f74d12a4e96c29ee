"""What the log of requests costs after a long time: the 10,000th append beside a first one.

A replica appends every other second and housekeeping compacts every ten minutes, so there are 300
appends between two compactions, here too. Two minutes, for which the log is kept, are 60 appends;
they take about a second here, so here the log is kept for a second.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pyarrow as pa

from benchmarks.figures import Figure
from include.lake.table import Lake
from include.lake.writing import APPENDED
from include.serving.prediction_log import SCHEMA, STAGE

APPENDS, SAMPLE, BETWEEN_COMPACTIONS = 10_000, 100, 300
LIMIT = 1.2
_RETENTION = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")


def rows() -> pa.Table:
    """Make the log of two seconds: 20 requests of one row."""
    one = {
        "request_id": "0123456789abcdef",
        "served_at": datetime(2026, 1, 1, tzinfo=UTC),
        "model_version": "7",
        "row": 0,
        "input": '{"carrier": "UA", "distance": 1400, "hour": 17}',
        "prediction": 0.0,
        "score": 0.25,
        "latency_ms": 4.5,
        "status": 200,
        "error": None,
    }
    return pa.Table.from_pylist([one] * 20, schema=SCHEMA)


def measure(folder: Path, appends: int = APPENDS) -> list[Figure]:
    """Append one flush after the other; compactions are not counted, as another process does them.

    The last hundred take turns with the first hundred of a new table, so that whatever else the
    machine does meets both. The first ones of a table include its first checkpoints.
    """
    APPENDED.update(dict.fromkeys(_RETENTION, "interval 1 seconds"))
    lake, data = Lake(str(folder / "requests_lake")), rows()

    def append(name: str, sequence: int) -> float:
        table = lake.table(name, STAGE)
        started = time.perf_counter()
        table.append(data, partition="2026-01-01", schema=SCHEMA, app_id="r", sequence=sequence)
        took = time.perf_counter() - started
        if sequence % BETWEEN_COMPACTIONS == 0:
            table.compact()
        return took

    for sequence in range(1, appends - SAMPLE + 1):
        append("old", sequence)
    last, first = [], []
    for turn in range(1, SAMPLE + 1):
        last.append(append("old", appends - SAMPLE + turn))
        first.append(append("new", turn))
    against = (
        f"the first {SAMPLE} of a new table: {_ms(first)}; the last of {appends:,}: {_ms(last)}"
    )
    return [Figure("requests_append", median(last) / median(first), "ratio", against, LIMIT)]


def _ms(seconds: list[float]) -> str:
    return f"{1e3 * median(seconds):.1f} ms ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f})"
