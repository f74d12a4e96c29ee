from __future__ import annotations

import pyarrow as pa

from include.modelling.cleaning import without_noise
from include.use_cases.schema import Clean


def test_a_whole_number_that_no_float_holds_is_compared_all_the_same() -> None:
    rows = pa.table({"n": pa.array([1, 2**53 + 1, -(2**62), None], pa.int64())})
    found, count = without_noise(rows, Clean(noise={"n": (0, 50)}))
    assert (found["n"].to_pylist(), count) == ([1, None, None, None], 2)
