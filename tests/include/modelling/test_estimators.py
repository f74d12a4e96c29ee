import numpy as np
import pandas as pd
import pytest

from include.algorithms import ALGORITHMS
from include.algorithms.hist_gradient_boosting import HistGradientBoosting
from include.algorithms.kmeans import KMeans
from include.algorithms.logistic_regression import LogisticRegression
from include.algorithms.ridge import Ridge
from include.errors import ConfigError
from include.modelling import estimators
from include.modelling.fit import fit
from include.modelling.scoring import score_rows
from include.use_cases.spaces import ESTIMATORS, Span
from tests.support.packages import TINY, tiny_rows, tiny_use_case

SMALL = {"max_iter": 10, "n_estimators": 10}


def _space(task: str, name: str):
    fixed = {key: value for key, value in SMALL.items() if (key == "max_iter") == (name[0] == "h")}
    keys = {"hist_gradient_boosting": fixed, "random_forest": fixed}.get(name, {})
    metric = {"classification": "roc_auc", "regression": "rmse", "clustering": "silhouette"}[task]
    section = {
        "metric": metric,
        "split": {"by": "at", "folds": 2},
        "candidates": [{"estimator": name, **keys}],
    }
    use_case = tiny_use_case(task, train=section)
    return use_case, use_case.train.candidates[0]


def _data(use_case, gaps: bool = True):
    rows = tiny_rows()
    X = rows[use_case.features.columns].copy()
    if gaps:
        X.loc[X.index[:40], "z"] = np.nan
        X.loc[X.index[:20], "colour"] = "missing"
    return X, None if use_case.task == "clustering" else rows["outcome"]


def test_a_logarithmic_range_begins_above_0():
    for low in (0.0, -1.0):
        with pytest.raises(ValueError, match="log needs a low above 0"):
            Span(low=low, high=1.0, log=True)


def test_trees_see_a_category_as_its_mean_label_shrunk_to_the_mean_of_all():
    """Closed form for many rows of each category: the shrinkage vanishes."""
    use_case, space = _space("classification", "hist_gradient_boosting")
    X = pd.DataFrame({"x": 0.0, "z": 0.0, "colour": ["red"] * 4000 + ["blue"] * 4000})
    y = pd.Series([1, 1, 1, 0] * 1000 + [1, 0, 0, 0] * 1000)
    model = estimators.make(use_case, "hist_gradient_boosting", estimators.defaults(space)).fit(
        X, y
    )

    new = pd.DataFrame({"x": 0.0, "z": 0.0, "colour": ["red", "blue", "octarine"]})
    rates = model.named_steps["prepare"].transform(new)[:, 2]

    np.testing.assert_allclose(rates, [0.75, 0.25, 0.5], atol=0.001)


def test_rare_categories_share_a_one_hot_column():
    use_case, space = _space("classification", "logistic_regression")
    X, y = _data(use_case)
    X["colour"] = pd.Series([f"c{row}" for row in range(len(X))], dtype="str")
    model = estimators.make(use_case, "logistic_regression", estimators.defaults(space)).fit(X, y)
    assert model.named_steps["prepare"].transform(X).shape[1] == 2 + estimators.MAX_CATEGORIES


def test_a_column_that_is_missing_whole_is_survived():
    use_case, space = _space("classification", "logistic_regression")
    X, y = _data(use_case)
    X["z"] = np.nan
    model = estimators.make(use_case, "logistic_regression", estimators.defaults(space)).fit(X, y)
    assert np.corrcoef(score_rows(model, X, use_case), X["x"])[0, 1] > 0.7


def test_the_dummies_ignore_the_features():
    for task, expected in [("classification", 0.25), ("regression", 0.25)]:
        use_case = tiny_use_case(task)
        X, _ = _data(use_case)
        y = pd.Series([0.0, 0.0, 0.0, 1.0] * 100)  # rmse is the metric: the mean, not the median
        scores = score_rows(estimators.dummy(use_case).fit(X, y), X, use_case)
        np.testing.assert_allclose(scores, expected)


def test_the_dummy_of_an_absolute_error_is_the_median():
    train = {"metric": "mae", "split": {"by": "at"}, "candidates": [{"estimator": "ridge"}]}
    use_case = tiny_use_case("regression", train=train)
    X, _ = _data(use_case)
    model = estimators.dummy(use_case).fit(X, pd.Series([0.0, 0.0, 0.0, 1.0] * 100))
    np.testing.assert_array_equal(score_rows(model, X, use_case), 0.0)


def test_the_dummy_clustering_is_chance_and_repeats_itself():
    use_case = tiny_use_case("clustering")
    X, _ = _data(use_case)
    model = estimators.dummy(use_case).fit(X)
    first, second = (score_rows(model, X, use_case) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert 150 < first.sum() < 250  # of 400 rows, p < 1e-6 otherwise


@pytest.mark.parametrize("task", sorted(ESTIMATORS))
def test_the_linear_baseline_learns(task):
    use_case = tiny_use_case(task)
    X, y = _data(use_case)
    score = score_rows(estimators.linear(use_case).fit(X, y), X, use_case)
    assert abs(np.corrcoef(score, X["x"])[0, 1]) > 0.4


def test_defaults_are_the_geometric_middle_of_logarithmic_ranges():
    space = HistGradientBoosting(
        estimator="hist_gradient_boosting",
        learning_rate={"low": 0.01, "high": 1.0, "log": True},
        max_leaf_nodes={"low": 10, "high": 40, "log": True},
        l2_regularization={"low": 0.0, "high": 3.0},
        max_iter=77,
    )
    assert estimators.defaults(space) == {
        "learning_rate": pytest.approx(0.1),
        "max_leaf_nodes": 20,
        "l2_regularization": 1.5,
        "max_iter": 77,
    }


def test_suggestions_stay_in_their_ranges_and_whole_numbers_stay_whole():
    import optuna

    space = HistGradientBoosting(estimator="hist_gradient_boosting", max_iter=77)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        params = estimators.suggest(study.ask(), space)
        assert 0.03 <= params["learning_rate"] <= 0.3
        assert isinstance(params["max_leaf_nodes"], int)
        assert 15 <= params["max_leaf_nodes"] <= 63
        assert params["max_iter"] == 77


def test_fixed_trials_and_defaults_have_the_same_keys():
    space = LogisticRegression(estimator="logistic_regression")
    assert estimators.defaults(space) == {"C": pytest.approx(0.1)}


def test_an_unknown_estimator_is_named():
    with pytest.raises(ConfigError, match="tiny: estimator 'oracle' is not known"):
        estimators.make(tiny_use_case(), "oracle", {})


def test_a_small_space_of_whole_numbers_is_walked_through_whole():
    space = KMeans(estimator="kmeans", n_clusters={"low": 2, "high": 5})
    tried = [point["n_clusters"] for point in estimators.fixed_trials(space, trials=4)]
    assert sorted(tried) == [2, 3, 4, 5]
    assert tried[0] == estimators.defaults(space)["n_clusters"]


def test_a_space_larger_than_the_trials_is_left_to_the_sampler():
    space = KMeans(estimator="kmeans", n_clusters={"low": 2, "high": 5})
    assert estimators.fixed_trials(space, trials=3) == [estimators.defaults(space)]
    ridge = Ridge(estimator="ridge")
    assert estimators.fixed_trials(ridge, trials=500) == [estimators.defaults(ridge)]


@pytest.mark.parametrize("name", [name for name, one in ALGORITHMS.items() if one.for_the_median])
def test_judged_by_mae_a_regression_predicts_the_median_of_skewed_labels(name: str) -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"x": draw.normal(size=2000), "z": draw.normal(size=2000), "colour": "red"})
    y = pd.Series(draw.exponential(size=2000))
    train = {**TINY["train"], "candidates": [{"estimator": name}]}
    predicted = {}
    for metric in ("mae", "rmse"):
        use_case = tiny_use_case("regression", train={**train, "metric": metric})
        predicted[metric] = fit(use_case, name, {}, X, y).predict(X).mean()
    assert predicted["mae"] == pytest.approx(np.log(2), abs=0.1)  # the median of the exponential
    assert predicted["rmse"] == pytest.approx(1, abs=0.1)
