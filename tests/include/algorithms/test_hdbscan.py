"""The way in which HDBSCAN predicts rows that it was not fitted on, and what becomes of noise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import HDBSCAN

from include.algorithms import _dense_clusters
from include.algorithms._dense_clusters import NOISE, DenseClusters
from include.modelling import clusters, estimators
from include.modelling.scoring import predictions, score_rows
from tests.support.packages import TINY, tiny_use_case

LINE = np.arange(0.0, 20.0)[:, None]  # neighbours are 1 apart
FAR = LINE * 3 + 1000.0  # neighbours are 3 apart


@pytest.fixture
def model():
    """Cluster two lines with different spacing, and a stray row that is far from both."""
    return DenseClusters(min_cluster_size=5, min_samples=2).fit(np.vstack([LINE, FAR, [[500.0]]]))


def test_rows_that_were_clustered_keep_their_cluster():
    draw = np.random.default_rng(0)
    rows = np.vstack([draw.normal(place, 1.0, (100, 2)) for place in (0.0, 8.0)])
    rows = np.vstack([rows, draw.uniform(-20, 30, (30, 2))])
    expected = HDBSCAN(min_cluster_size=15, min_samples=5, copy=True).fit(rows).labels_
    found = DenseClusters(min_cluster_size=15, min_samples=5).fit(rows).predict(rows)
    assert set(expected) == {NOISE, 0, 1}
    np.testing.assert_array_equal(found, expected)


def test_the_reach_of_a_cluster_is_its_greatest_distance_between_neighbours(model):
    near, far = model.predict(np.array([[5.0], [1030.0]]))
    assert {near, far} == {0, 1}
    assert (model.reach_[near], model.reach_[far]) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("place", "inside"),
    [(19.9, True), (20.0, True), (20.1, False), (1060.0, True), (1060.1, False), (996.9, False)],
)
def test_a_new_row_is_noise_beyond_the_reach_of_the_nearest_cluster(model, place, inside):
    """The lines end at 19 and begin at 1000, ending at 1057: reaches are 1 and 3."""
    (label,) = model.predict(np.array([[place]]))
    expected = model.predict(np.array([[5.0 if place < 500 else 1030.0]]))[0] if inside else NOISE
    assert label == expected


def test_a_stray_row_keeps_its_cluster_and_does_not_extend_it(model):
    """HDBSCAN says that the row at 500 fell off the line that begins at 0."""
    here, beside = model.predict(np.array([[500.0], [502.0]]))
    assert here == model.predict(np.array([[5.0]]))[0]
    assert beside == NOISE


def test_a_row_whose_nearest_row_is_noise_is_noise():
    draw = np.random.default_rng(0)
    rows = np.vstack([draw.normal(place, 1.0, (100, 2)) for place in (0.0, 8.0)])
    rows = np.vstack([rows, draw.uniform(-20, 30, (30, 2))])
    model = DenseClusters(min_cluster_size=15, min_samples=5).fit(rows)
    noise = rows[model.labels_ == NOISE]
    assert len(noise) > 5
    assert set(model.predict(noise + 1e-6)) == {NOISE}


def test_rows_that_are_all_alike_or_all_noise_are_answered():
    alike = DenseClusters(min_cluster_size=5, min_samples=2).fit(np.zeros((20, 2)))
    assert len(set(alike.predict(np.zeros((3, 2))))) == 1
    scattered = DenseClusters(min_cluster_size=15, min_samples=10).fit(
        np.random.default_rng(1).uniform(0, 1000, (20, 3))
    )
    assert set(scattered.predict(np.zeros((2, 3)))) == {NOISE}


def test_of_more_rows_as_many_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(_dense_clusters, "MOST_ROWS", 50)
    rows = np.random.default_rng(2).normal(size=(200, 2))
    first, again, other = (
        DenseClusters(5, 2, random_state=seed).fit(rows).rows_ for seed in (0, 0, 1)
    )
    assert len(first) == 50
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_counts_in_the_metrics_as_one_more_cluster_and_a_bad_one():
    """Calling every hard row noise must not make a clustering look better than it is."""
    draw = np.random.default_rng(3)
    places = np.vstack([draw.normal(-5, 1, (50, 2)), draw.normal(5, 1, (50, 2))])
    edge = draw.uniform(-12, 12, (20, 2))
    rows = np.vstack([places, edge])
    right = np.repeat([0.0, 1.0], 50)
    nearest = (edge.sum(axis=1) > 0).astype(float)
    assigned = np.concatenate([right, nearest])
    hidden = np.concatenate([right, np.full(20, float(NOISE))])
    weight = np.ones(120)

    def of(each):
        return (
            clusters.row_silhouette(rows, each).mean(),
            -clusters.davies_bouldin(rows, each, weight),
            clusters.calinski_harabasz(rows, each, weight),
        )

    assert np.all(np.array(of(hidden)) < np.array(of(assigned)))


def test_noise_is_answered_as_cluster_minus_one():
    train = {
        **TINY["train"],
        "metric": "silhouette",
        "candidates": [{"estimator": "hdbscan"}],
    }
    features = {"inputs": ["x", "z"], "numeric": ["x", "z"]}
    use_case = tiny_use_case("clustering", train=train, features=features)
    draw = np.random.default_rng(4)
    X = pd.DataFrame({"x": draw.normal(size=300), "z": draw.normal(size=300)})
    X.iloc[150:] += 20
    model = estimators.make(use_case, "hdbscan", {"min_cluster_size": 20, "min_samples": 5}).fit(X)
    strange = pd.DataFrame({"x": [10.0, 0.0], "z": [-300.0, 0.0]})
    answers = predictions(score_rows(model, strange, use_case), use_case, strange.index)
    assert answers["prediction"].dtype == np.int64
    assert answers["prediction"][0] == NOISE
    assert answers["prediction"][1] in (0, 1)
