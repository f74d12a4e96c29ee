"""ONNX graphs score as the fitted pipelines do, or are not used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.algorithms import ALGORITHMS
from include.modelling import estimators
from include.modelling.scoring import score_rows
from include.runtime import graphs, scorer
from include.runtime.encoding import encoding_of
from include.runtime.scorer import ONNX, SCIKIT_LEARN, OnnxPipeline, convert
from include.use_cases.schema import UseCase
from tests.support.packages import tiny_rows, tiny_use_case
from tests.support.three_classes import three_class_rows, three_classes

GRAPHS = {
    "classification": {"hist_gradient_boosting", "logistic_regression", "random_forest"},
    "regression": {"hist_gradient_boosting", "ridge", "random_forest"},
    "clustering": set(),
}
CASES = [(task, name) for name, each in ALGORITHMS.items() for task in sorted(each.tasks)]


def fitted(use_case: UseCase, name: str, rows: pd.DataFrame, **params: Any) -> Any:
    space = ALGORITHMS[name](estimator=name)
    some = {"max_iter": 20, "n_estimators": 20}
    known = {key: value for key, value in some.items() if key in space.space} | params
    model = estimators.make(use_case, name, estimators.defaults(space) | known)
    y = None
    if use_case.task != "clustering":
        y = rows["outcome"].astype("int64" if use_case.task == "classification" else "float64")
    return model.fit(rows[use_case.features.columns], y)


def with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    rows.loc[::7, "z"] = np.nan
    rows.loc[::11, "colour"] = "missing"
    return rows


def others(use_case: UseCase, count: int = 300) -> pd.DataFrame:
    """Make rows that no fit has seen, some of them strange."""
    rng = np.random.default_rng(9)
    rows = with_gaps(tiny_rows(count, seed=5))[use_case.features.columns]
    rows.loc[rng.random(count) < 0.2, "x"] = np.nan
    rows.loc[rng.random(count) < 0.2, "x"] *= 1e9
    rows["colour"] = rows["colour"].where(rng.random(count) < 0.8, "never seen").astype("str")
    return rows


@pytest.mark.parametrize(("task", "name"), CASES)
def test_each_algorithm_has_a_graph_that_agrees_or_says_why_not(task: str, name: str) -> None:
    use_case = tiny_use_case(task)
    rows = with_gaps(tiny_rows())
    pipeline = fitted(use_case, name, rows)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    if name not in GRAPHS[task]:
        assert graph is None
        assert parity.runtime == SCIKIT_LEARN
        assert "no graph" in str(parity.reason)
        return
    assert graph is not None
    assert (parity.runtime, parity.reason) == (ONNX, None)
    X = others(use_case)
    found = score_rows(OnnxPipeline(pipeline, graph), X, use_case)
    np.testing.assert_allclose(found, score_rows(pipeline, X, use_case), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "logistic_regression"])
@pytest.mark.parametrize("seen", [[0, 1, 2], [0, 2]])
def test_several_classes_one_of_which_may_be_unseen(name: str, seen: list[int]) -> None:
    use_case, rows = three_classes(), three_class_rows()
    rows = rows[rows["outcome"].isin(seen)].reset_index(drop=True)
    pipeline = fitted(use_case, name, rows)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    assert graph is not None, parity.reason
    X = others(use_case)
    found = score_rows(OnnxPipeline(pipeline, graph), X, use_case)
    assert found.shape == (len(X), 3)
    np.testing.assert_allclose(found, score_rows(pipeline, X, use_case), rtol=1e-9, atol=1e-12)


def test_a_forest_of_several_classes_is_scikit_learns() -> None:
    use_case, rows = three_classes(), three_class_rows()
    graph, parity = convert(
        fitted(use_case, "random_forest", rows), use_case, rows[use_case.features.columns]
    )
    assert graph is None
    assert "a forest of more than two classes" in str(parity.reason)


@pytest.mark.parametrize("kept", [{"numeric": ["x", "z"]}, {"categorical": ["colour"]}])
@pytest.mark.parametrize("name", ["hist_gradient_boosting", "logistic_regression"])
def test_features_of_one_kind_alone(kept: dict[str, list[str]], name: str) -> None:
    inputs = [each for names in kept.values() for each in names]
    features = {"inputs": inputs, "numeric": [], "categorical": [], **kept}
    use_case, rows = tiny_use_case(features=features), tiny_rows()
    pipeline = fitted(use_case, name, rows)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    assert graph is not None, parity.reason


def test_a_column_that_was_empty_in_the_fit() -> None:
    use_case, rows = tiny_use_case(), tiny_rows().assign(z=np.nan)
    for name in ("hist_gradient_boosting", "logistic_regression"):
        pipeline = fitted(use_case, name, rows)
        graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
        assert graph is not None, parity.reason
        X = others(use_case)
        found = score_rows(OnnxPipeline(pipeline, graph), X, use_case)
        np.testing.assert_allclose(found, score_rows(pipeline, X, use_case), rtol=1e-9)


def test_rare_categories_share_a_column() -> None:
    use_case, rows = tiny_use_case(), tiny_rows(2_000)
    many = np.arange(2_000) % 400
    rows["colour"] = pd.Series([f"c{number}" for number in many], dtype="str")
    prepare = fitted(use_case, "logistic_regression", rows).named_steps["prepare"]
    X = pd.concat([rows.head(500), rows.head(1).assign(colour="never seen")])
    X = X[use_case.features.columns]
    expected = np.asarray(prepare.transform(X).todense())
    features = {name: X[name].to_numpy() for name in X.columns}
    np.testing.assert_array_equal(encoding_of(prepare).matrix(features), expected)


def test_trees_that_are_a_leaf_alone() -> None:
    use_case, rows = tiny_use_case("regression"), tiny_rows().assign(outcome=3.5)
    pipeline = fitted(use_case, "hist_gradient_boosting", rows)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    assert graph is not None, parity.reason
    X = rows[use_case.features.columns]
    assert set(score_rows(OnnxPipeline(pipeline, graph), X, use_case)) == {3.5}


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "random_forest"])
def test_thresholds_of_single_precision_are_found_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = graphs._Trees.node

    def rounded(self: Any, column: int, split: float, missing_left: bool) -> int:
        return node(self, column, float(np.float32(split)), missing_left)

    monkeypatch.setattr(graphs._Trees, "node", rounded)
    use_case, rows = tiny_use_case("regression"), tiny_rows()
    # Of what forests compare only the threshold is of double precision: rounding it up matters.
    rows["x"] = rows["x"].astype("float32" if name == "random_forest" else "float64")
    pipeline = fitted(use_case, name, rows)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    if name == "random_forest" and graph is not None:
        pytest.skip("no threshold of this forest rounds past a value of single precision")
    assert graph is None
    assert "differ by up to" in str(parity.reason)
    assert parity.max_difference is not None
    assert parity.max_difference > 1e-3


@pytest.mark.parametrize("wrong", ["missing", "unseen"])
def test_a_wrong_turn_of_rare_rows_is_found_out(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case, rows = tiny_use_case(), with_gaps(tiny_rows())
    pipeline = fitted(use_case, "hist_gradient_boosting", rows)
    if wrong == "missing":
        node = graphs._Trees.node
        monkeypatch.setattr(
            graphs._Trees,
            "node",
            lambda self, c, s, missing_left: node(self, c, s, not missing_left),
        )
    else:
        encoding = scorer.encoding_of

        def worse(prepare: Any) -> Any:
            made = encoding(prepare)
            made.categories[0].table[-1] += 10
            return made

        monkeypatch.setattr(scorer, "encoding_of", worse)
    graph, parity = convert(pipeline, use_case, rows[use_case.features.columns])
    assert graph is None
    assert "differ by up to" in str(parity.reason)
