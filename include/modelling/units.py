"""A fixed number for each unit of rows, so that a split at random is the same in each training.

A row that is held out of one training must not be learned by the next: a champion would be judged
on what it knows. So chance is not drawn, it is computed from the unit's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

_BETWEEN = "\x1f"  # no text of the lake has it
_RANGE = 2.0**64


def unit_numbers(rows: pa.Table, columns: Sequence[str], purpose: str) -> npt.NDArray[np.float64]:
    """Give each row a number from 0 to below 1, evenly, by the name of its unit alone.

    Parameters
    ----------
    rows : Table
        With the columns.
    columns : sequence of str
        Rows that are equal in all of them are one unit.
    purpose : str
        Numbers of two purposes have nothing to do with each other.

    Returns
    -------
    ndarray of shape (n_rows,)

    Examples
    --------
    >>> rows = pa.table({"customer": [7, 8, 7]})
    >>> unit_numbers(rows, ["customer"], "holdout").round(3)
    array([0.343, 0.173, 0.343])
    """
    texts = [map(str, rows[name].to_pylist()) for name in columns]
    names = [_BETWEEN.join(each) for each in zip(*texts, strict=True)]
    codes, units = pd.factorize(np.asarray(names, dtype="object"))
    key = purpose.encode()
    found = [
        int.from_bytes(blake2b(unit.encode(), digest_size=8, key=key).digest()) for unit in units
    ]
    return np.asarray(found, dtype=np.float64)[codes] / _RANGE
