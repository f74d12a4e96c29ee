"""What is read of a partition before a round is chosen, and how much memory it takes."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa

from include.annotate.state import State
from include.labelling.asking import item_id
from include.lake.schemas import arrow_schema
from include.lake.table import Lake
from tests.include.annotate.conftest import Make
from tests.include.conftest import writer
from tests.support.scans import DAY, land

ROWS = 3_000


def peak_bytes(make: Make, lake: Lake, width: int) -> int:
    """Measure the most that Python's objects take while rows with more columns are read."""
    added = [f"shade_{one}" for one in range(width)]
    columns = {"scan": "int64", "ink": "float64", "folds": "float64"}
    scans = make(ingest={"columns": {**columns, **dict.fromkeys(added, "float64")}})
    values = {name: [float(row) for row in range(ROWS)] for name in ("ink", "folds", *added)}
    schema = arrow_schema(scans.ingest.columns)
    rows = pa.table({"scan": list(range(ROWS)), **values}, schema=schema)
    table = lake.table("scans", "clean")
    table.publish(rows, partition=DAY, schema=schema, writer=writer(width + 1))
    del values
    State.of(scans, DAY, lake)  # what is imported and cached at the first call does not count
    tracemalloc.start()
    try:
        State.of(scans, DAY, lake)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_columns_of_the_rows_never_become_python_objects(make, lake):
    """A million rows of 14 columns took 2.2 GB when each of them was a dict."""
    narrow = peak_bytes(make, lake, width=0)
    assert peak_bytes(make, lake, width=40) < 1.2 * narrow


def test_rows_are_found_by_their_item_in_the_order_asked_for(scans, lake):
    landed = {row["scan"]: row for row in land(scans, lake).to_pylist()}
    state = State.of(scans, DAY, lake)
    assert list(state.places) == sorted(item_id({"scan": scan}) for scan in landed)
    wanted = [17, 3, 99]
    found = state.rows([item_id({"scan": scan}) for scan in wanted]).to_pylist()
    assert found == [landed[scan] for scan in wanted]
    assert state.rows([]).num_rows == 0
