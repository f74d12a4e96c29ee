from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier

from include.modelling import estimators
from include.modelling.scoring import predictions, score_rows, scores_in
from tests.support.packages import tiny_rows, tiny_use_case


def test_the_score_of_a_class_is_the_probability_of_one():
    use_case, rows = tiny_use_case(), tiny_rows()
    X = rows[["x", "z", "colour"]]
    model = estimators.linear(use_case).fit(X, rows["outcome"])
    np.testing.assert_array_equal(score_rows(model, rows, use_case), model.predict_proba(X)[:, 1])


def test_where_it_never_happened_the_probability_is_zero():
    use_case, rows = tiny_use_case(), tiny_rows(10)
    model = DummyClassifier(strategy="prior").fit(rows[["x"]], np.zeros(10))
    np.testing.assert_array_equal(score_rows(model, rows, use_case), np.zeros(10))


def test_where_it_always_happened_the_probability_is_one():
    use_case, rows = tiny_use_case(), tiny_rows(10)
    model = DummyClassifier(strategy="prior").fit(rows[["x"]], np.ones(10))
    np.testing.assert_array_equal(score_rows(model, rows, use_case), np.ones(10))


def test_predictions_of_each_task():
    index, scores = pd.Index([5, 3]), np.array([0.5, 2.0])
    classes = predictions(scores, tiny_use_case(), index)
    values = predictions(scores, tiny_use_case("regression"), index)
    clusters = predictions(scores + 0.5, tiny_use_case("clustering"), index)

    assert classes.to_dict("list") == {"prediction": [1, 1], "score": [0.5, 2.0]}
    assert values.to_dict("list") == {"prediction": [0.5, 2.0]}
    assert clusters["prediction"].dtype == np.int64
    assert list(classes.index) == list(values.index) == list(clusters.index) == [5, 3]


def test_scores_of_a_model_are_put_into_todays_order_by_the_names_of_classes():
    today = SimpleNamespace(name="t", class_names=["new", "b", "a"])
    model = SimpleNamespace(name="t", class_names=["a", "gone", "b"])
    found = scores_in(today, np.array([[0.5, 0.2, 0.3]]), of=model)
    assert found.tolist() == [[0.0, 0.3, 0.5]]
