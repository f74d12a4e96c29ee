"""What happens to valid rows: noise becomes missing, and gaps are handled."""

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


def clean(rows: pa.Table, rules: Clean) -> CleanRows:
    """Clean valid rows.

    Parameters
    ----------
    rows : Table
        Rows that passed validation; each key once.
    rules : Clean
        The use case's section.

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
    return CleanRows(rows.combine_chunks(), noise_cells, cells_filled, dropped)
