import numpy as np
import pandas as pd
import pytest

from include.modelling.estimators import defaults, make
from include.modelling.folds import time_folds
from include.modelling.metrics import metric_of
from include.modelling.out_of_fold import judged_rows, out_of_fold
from include.modelling.training_set import TrainingSet
from tests.support.packages import TINY, tiny_rows, tiny_use_case


def training_of(use_case, rows=400) -> TrainingSet:
    frame = tiny_rows(rows)
    X, y = frame[use_case.features.columns], None
    if use_case.labels is not None:
        y = frame["outcome"].astype("int64" if use_case.task == "classification" else "float64")
    return TrainingSet(X, y, frame["at"], X, y, [], [], "2024-01", [])


def test_scores_are_of_later_rows_than_those_learned_fold_after_fold():
    use_case = tiny_use_case()
    training = training_of(use_case)
    params = defaults(use_case.train.candidates[0])

    found = out_of_fold(use_case, "logistic_regression", params, training)
    truth, positions = judged_rows(use_case, training)

    expected, values = [], []
    for learn, judge in time_folds(training.train_times, 2):
        model = make(use_case, "logistic_regression", params)
        model.fit(training.train_X.iloc[learn], training.train_y.iloc[learn])
        expected.append(model.predict_proba(training.train_X.iloc[judge])[:, 1])
        values.append(metric_of(use_case).compute(training.train_y.to_numpy()[judge], expected[-1]))
    np.testing.assert_allclose(found.scores, np.concatenate(expected), rtol=1e-9)
    np.testing.assert_allclose(found.values, values, rtol=1e-9)
    np.testing.assert_array_equal(truth, training.train_y.to_numpy()[positions])
    first = int(positions[0])
    np.testing.assert_array_equal(positions, np.arange(first, 400))
    assert 120 < first < 150, "the first third is learned from only"


def test_the_index_of_the_rows_does_not_matter():
    """Rows of several partitions may come with any index; places are what counts."""
    use_case = tiny_use_case()
    training = training_of(use_case)
    index = pd.Index(np.arange(400)[::-1] + 7)
    moved = TrainingSet(
        training.train_X.set_axis(index), training.train_y.set_axis(index), training.train_times,
        training.holdout_X, training.holdout_y, [], [], "2024-01", [],
    )  # fmt: skip
    for here, there in zip(
        judged_rows(use_case, training), judged_rows(use_case, moved), strict=True
    ):
        np.testing.assert_array_equal(here, there)


def test_of_a_clustering_the_silhouettes_of_each_fold_are_kept():
    """Cluster 0 of one fit has nothing to do with cluster 0 of another."""
    use_case = tiny_use_case("clustering")
    training = training_of(use_case, rows=7000)  # folds of more rows than silhouettes are taken of
    found = out_of_fold(use_case, "kmeans", {"n_clusters": 3}, training)
    places, positions = judged_rows(use_case, training)
    assert len(found.scores) == len(places) == len(positions) == 2 * 2000
    halves = np.split(found.scores, 2)
    assert [half.mean() for half in halves] == pytest.approx(found.values, rel=1e-12)
    assert np.all(np.diff(positions) > 0)
    numbers = training.train_X[["x", "z"]].to_numpy()[positions]
    for fold, mine in enumerate(np.split(numbers, 2)):
        standard = (mine - mine.mean(axis=0)) / mine.std(axis=0)
        np.testing.assert_allclose(np.split(places, 2)[fold], standard, atol=1e-9)


def test_of_a_clustering_metric_that_is_no_mean_over_rows_nothing_is_kept():
    train = {**TINY["train"], "metric": "davies_bouldin", "candidates": [{"estimator": "kmeans"}]}
    use_case = tiny_use_case("clustering", train=train)
    found = out_of_fold(use_case, "kmeans", {"n_clusters": 3}, training_of(use_case))
    assert np.isnan(found.scores).all()
    assert np.isfinite(found.values).all()
