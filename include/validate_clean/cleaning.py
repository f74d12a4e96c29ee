"""What happens to valid rows: noise becomes missing, gaps are handled, repeated keys go."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.modelling.cleaning import filled, without_noise
from include.use_cases.schema import Clean


@dataclass(frozen=True)
class CleanRows:
    """Clean rows and what was done to get them."""

    rows: pa.Table
    noise_cells: int
    cells_filled: int
    rows_dropped: int
    duplicates_removed: int


def clean(rows: pa.Table, rules: Clean, key: list[str]) -> CleanRows:
    """Clean valid rows.

    Parameters
    ----------
    rows : Table
        Rows that passed validation, in the order they landed.
    rules : Clean
        The use case's section.
    key : list of str
        The columns that name a row; of rows with the same key the last one stays.

    Returns
    -------
    CleanRows
        Same columns and types.
    """
    rows, noise_cells = without_noise(rows, rules)
    before = rows.num_rows
    for name, rule in rules.missing.items():
        if rule == "drop":
            rows = rows.filter(pc.is_valid(rows[name]))
    dropped = before - rows.num_rows
    rows, cells_filled = filled(rows, rules)
    last = _last_of_each(rows, key).combine_chunks()
    return CleanRows(last, noise_cells, cells_filled, dropped, rows.num_rows - last.num_rows)


def _last_of_each(rows: pa.Table, key: list[str]) -> pa.Table:
    numbered = rows.select(key).append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
    last = numbered.group_by(key).aggregate([("_row", "max")])["_row_max"]
    return rows if len(last) == rows.num_rows else rows.take(last.sort())
