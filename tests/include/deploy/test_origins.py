"""Where the holdout is cut, and what is known there."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.deploy import origins as module
from include.deploy.origins import known_at, origins, scores_at_origins
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.modelling.training_set import narrow
from tests.support.packages import TINY, tiny_rows, tiny_use_case


def _times(*days: int) -> pd.Series:
    return pd.Series([pd.Timestamp(2024, 1, day, tz="UTC") for day in days])


@pytest.mark.parametrize(
    ("days", "count", "starts"),
    [
        ([1, 1, 1, 2, 3, 3], 3, [0, 3, 4]),
        ([1, 2, 2, 3, 4], 2, [0, 3]),
        ([1, 1, 2], 3, [0, 2]),  # no more stretches than days
        ([5, 5, 5, 5], 2, [0, 2]),  # one day: by rows
        ([5], 3, [0]),
    ],
)
def test_stretches_have_equally_many_days(days, count, starts):
    assert origins(_times(*days), count) == starts


def test_rows_without_a_time_are_the_last_day():
    assert origins(pd.Series([*_times(1, 2), pd.NaT, pd.NaT]), 3) == [0, 1, 2]


@pytest.fixture
def split():
    rows = tiny_rows(600).astype({"colour": object})
    X, y = rows[["x", "z", "colour"]], rows["outcome"]
    narrow = X.iloc[:400].astype({"x": "float32", "colour": "category"})
    parts = [part.reset_index(drop=True) for part in (y.iloc[:400], X.iloc[400:], y.iloc[400:])]
    return (narrow, parts[0]), (parts[1], parts[2])


def test_known_are_the_newest_rows_before_an_origin_and_no_later_one(split):
    train, holdout = split
    use_case = tiny_use_case(train={**TINY["train"], "max_rows": 1000})

    X, y = known_at(*split, 50, use_case)

    assert len(X) == len(y) == 450
    np.testing.assert_array_equal(y, [*train[1], *holdout[1][:50]])
    np.testing.assert_array_equal(X["z"], [*train[0]["z"], *holdout[0]["z"][:50]])
    assert X["x"].dtype == np.float32, "kept as narrow as the training set"
    assert list(X["colour"]) == [*train[0]["colour"], *holdout[0]["colour"][:50]]


def test_a_text_that_is_new_in_the_holdout_is_appended_to_what_was_missing():
    """A column that was added lately is empty in all older rows, and a training takes that."""
    use_case = tiny_use_case()
    numbers = {"x": [0.0] * 3, "z": [0.0] * 3}
    empty = pa.table({**numbers, "colour": pa.array([None] * 3, pa.string())})
    y = pd.Series([0, 1, 0])
    for colours in (["red", "blue", None], [None] * 3):
        holdout = pd.DataFrame({**numbers, "colour": pd.Series(colours, dtype="str")})
        for start in (0, 2):
            X, _ = known_at((narrow(empty, use_case), y), (holdout, y), start, use_case)
            known = [value for value in X["colour"] if not pd.isna(value)]
            assert (len(X), known) == (3 + start, [one for one in colours[:start] if one])


@pytest.mark.parametrize(("start", "older", "newer"), [(50, 50, 50), (150, 0, 100)])
def test_max_rows_holds_at_each_origin(split, start, older, newer):
    use_case = tiny_use_case()
    train = use_case.train.model_copy(update={"max_rows": 100})
    use_case = use_case.model_copy(update={"train": train})

    X, y = known_at(*split, start, use_case)

    z = [*split[0][0]["z"][400 - older :], *split[1][0]["z"][start - newer : start]]
    np.testing.assert_array_equal(X["z"], z)
    assert len(y) == 100


def test_each_stretch_is_scored_by_a_model_of_what_came_before(split, monkeypatch):
    use_case, (train, holdout) = tiny_use_case(), split
    fitted = []

    def counted(*arguments, **weights):
        fitted.append(len(arguments[3]))
        return fit(*arguments, **weights)

    monkeypatch.setattr(module, "fit", counted)
    first = fit(use_case, "logistic_regression", {"C": 1.0}, *train)
    found = scores_at_origins(
        use_case, "logistic_regression", {"C": 1.0}, train, holdout, [0, 80], first
    )

    assert fitted == [480], "the first stretch has its model already"
    X, y = pd.concat([train[0], holdout[0][:80]]), pd.concat([train[1], holdout[1][:80]])
    second = fit(use_case, "logistic_regression", {"C": 1.0}, X.astype({"colour": object}), y)
    np.testing.assert_array_equal(found[:80], score_rows(first, holdout[0][:80], use_case))
    expected = score_rows(second, holdout[0][80:], use_case)
    np.testing.assert_allclose(found[80:], expected, atol=1e-5)
    assert np.abs(found[80:] - score_rows(first, holdout[0][80:], use_case)).max() > 1e-4
