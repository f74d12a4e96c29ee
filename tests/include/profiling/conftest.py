"""Files of a few rows, and what is decided about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.profiling.plan import Answers, Ask, Plan, plan_of
from include.profiling.raw import read
from include.profiling.table import Table, table_of

Tabled = Callable[..., Table]
Planned = Callable[..., Plan]


@pytest.fixture
def tabled(tmp_path: Path) -> Tabled:
    """Write a text as a file, and look at it."""

    def make(text: str | bytes, name: str = "data.csv") -> Table:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return table_of(path, read(path))

    return make


@pytest.fixture
def planned(tabled: Tabled) -> Planned:
    """Write columns as a CSV file, and decide about it."""

    def make(
        columns: dict[str, list[object]],
        label: str | None = None,
        key: str | None = None,
        time: str | None = None,
        ask: Ask | None = None,
    ) -> Plan:
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(str(cell) for cell in row) for row in rows)]
        return plan_of("churn", tabled("\n".join(lines) + "\n"), Answers(label, key, time), ask)

    return make
