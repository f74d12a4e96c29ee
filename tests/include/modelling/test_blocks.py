"""The independent units of rows."""

import numpy as np
import pandas as pd

from include.modelling.blocks import MAX_BLOCKS, blocks_of, grouped


def _rows(*moments: str | None, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"at": pd.to_datetime(list(moments), utc=True, format="ISO8601"), **columns}
    )


def test_a_day_is_one_of_utc():
    rows = _rows("2013-01-01T23:59-05:00", "2013-01-02T00:00", "2013-01-02T06:00", "2013-01-01")
    np.testing.assert_array_equal(blocks_of("day", rows, "at"), [1, 1, 1, 0])


def test_times_without_a_zone_are_utc():
    rows = pd.DataFrame({"at": pd.to_datetime(["2013-01-02 00:00", "2013-01-01 23:59"])})
    np.testing.assert_array_equal(blocks_of("day", rows, "at"), [1, 0])


def test_missing_times_are_one_block_of_their_own():
    rows = _rows(None, "2013-01-01", None)
    np.testing.assert_array_equal(blocks_of("day", rows, "at"), [1, 0, 1])


def test_a_column_names_the_unit():
    rows = _rows("2013-01-01", "2013-01-02", "2013-01-01", customer=["b", "b", "a"])
    np.testing.assert_array_equal(blocks_of("customer", rows, "at"), [1, 1, 0])


def test_rows_may_stand_on_their_own():
    rows = _rows(*["2013-01-01"] * 3)
    np.testing.assert_array_equal(blocks_of("rows", rows, "at"), [0, 1, 2])


def test_many_units_are_put_together_whole_and_evenly():
    customers = np.repeat(np.arange(250), 3)
    blocks = grouped(customers)

    assert len(np.unique(blocks)) == MAX_BLOCKS
    for customer in range(250):
        assert len(set(blocks[customers == customer])) == 1, "a unit is never cut"
    sizes = np.bincount(blocks)
    assert sizes.max() - sizes.min() <= 3, "by at most one customer"


def test_the_order_of_rows_changes_no_block():
    units = pd.Series(["c", "a", "b", "a"])
    turned = units[::-1]
    np.testing.assert_array_equal(grouped(units)[::-1], grouped(turned))
