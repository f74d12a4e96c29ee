import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import DataContractError
from include.modelling.folds import random_folds, time_folds


def _times(hours: list[int]) -> pd.Series:
    return pd.Series(
        pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h"), name="at"
    )


def test_blocks_grow_and_the_next_one_judges():
    folds = time_folds(_times(list(range(8))), folds=3)

    assert [(list(learn), list(judge)) for learn, judge in folds] == [
        ([0, 1], [2, 3]),
        ([0, 1, 2, 3], [4, 5]),
        ([0, 1, 2, 3, 4, 5], [6, 7]),
    ]


@given(
    hours=st.lists(st.integers(0, 40), min_size=12, max_size=80),
    folds=st.integers(2, 4),
)
def test_nothing_is_judged_before_or_at_a_moment_that_was_learnt(hours, folds):
    times = _times(sorted(hours))
    try:
        found = time_folds(times, folds)
    except DataContractError:
        assert len(set(hours)) < len(hours)  # only ties can make a block empty
        return
    for learn, judge in found:
        assert times.iloc[learn].max() < times.iloc[judge].min()
    judged = np.concatenate([judge for _, judge in found])
    np.testing.assert_array_equal(judged, np.arange(found[0][0][-1] + 1, len(hours)))


def test_too_few_moments_are_named():
    with pytest.raises(
        DataContractError, match=r"at: 3 folds need at least 4 blocks .* 10 rows have 2"
    ):
        time_folds(_times([0] * 5 + [1] * 5), folds=3)


def test_folds_need_a_row_of_a_second_class_each():
    labels = pd.Series([0] * 20 + [1] * 2)
    with pytest.raises(DataContractError, match="3 rows of the rarest class, got 2"):
        random_folds(22, labels, 3, seed=0)
    several = pd.Series([0] * 20 + [1] * 3 + [2])
    assert all(several[judge].nunique() >= 2 for _, judge in random_folds(24, several, 3, seed=0))
