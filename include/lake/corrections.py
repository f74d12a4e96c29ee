"""Which of several rows with the same key counts: the last to land, or the highest in a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def standing(rows: pa.Table, key: Sequence[str], by: str | None = None) -> pa.Array:
    """Find the row of each key that stands.

    Parameters
    ----------
    rows : Table
        In the order in which they landed.
    key : sequence of str
        The columns that name a row. One whose key is incomplete corrects nothing and stands.
    by : str, optional
        Of rows with the same key the one with the highest value stands; a missing value is lower
        than any, and of equal ones the last. By default the last row of all.

    Returns
    -------
    Array
        int64 positions, ascending.

    Examples
    --------
    >>> rows = pa.table({"id": [1, 2, 1], "version": [9, 1, 3]})
    >>> standing(rows, ["id"]).to_pylist()
    [1, 2]
    >>> standing(rows, ["id"], by="version").to_pylist()
    [0, 1]
    """
    position = np.arange(rows.num_rows)
    order = position
    if by is not None:
        sortable = pa.table({"by": rows[by], "position": position})
        keys = [("by", "ascending", "at_start"), ("position", "ascending", "at_start")]
        order = pc.sort_indices(sortable, keys).to_numpy()
    rank = np.empty(rows.num_rows, np.int64)
    rank[order] = position
    ranked = rows.select(list(key)).append_column("_rank", pa.array(rank))
    incomplete = _any_missing(rows, key)
    last = ranked.filter(pc.invert(incomplete)).group_by(list(key)).aggregate([("_rank", "max")])
    stands = incomplete.to_numpy(zero_copy_only=False).copy()
    stands[order[last["_rank_max"].to_numpy()]] = True
    return pa.array(np.flatnonzero(stands), pa.int64())


def _any_missing(rows: pa.Table, key: Sequence[str]) -> pa.Array:
    missing = pa.chunked_array([np.zeros(rows.num_rows, bool)])
    for name in key:
        missing = pc.or_(missing, pc.is_null(rows[name]))
    return missing.combine_chunks()
