"""Weights of rows and of classes: what they do to fits and to metrics, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from include.errors import DataContractError
from include.feature.build import build_partition
from include.lake.frames import arrow_schema
from include.lake.table import Lake, Writer
from include.modelling.estimators import defaults, make
from include.modelling.fit import fit, fit_baselines
from include.modelling.kept_training_set import keep, load_kept
from include.modelling.known_rows import load_known_rows
from include.modelling.metrics import evaluate, judged
from include.modelling.out_of_fold import out_of_fold
from include.modelling.scoring import score_rows
from include.modelling.training_set import TrainingSet, load_training_set
from include.modelling.weights import fit_weight, weight_in
from include.use_cases.schema import UseCase
from tests.support.lakes import fill, publish
from tests.support.packages import TINY, tiny_use_case
from tests.support.three_classes import COLUMNS, NAMES, three_class_rows, three_classes

MONTHS = ("2024-01", "2024-02")


def rows_and_labels(use_case: UseCase, rows: int = 300) -> tuple[pd.DataFrame, pd.Series]:
    frame = three_class_rows(rows, seed=3)
    return frame[use_case.features.columns], frame["outcome"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_balanced_is_scikit_learns(classes: list[int]) -> None:
    y = pd.Series(classes)
    found = fit_weight(three_classes(class_weight="balanced"), y, None)
    np.testing.assert_allclose(found, compute_sample_weight("balanced", y))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0, 4.0])), min_size=1
    ).filter(lambda rows: any(weight for _, weight in rows))
)
def test_balanced_gives_each_class_the_same_sum_of_weights(rows: list[tuple[int, float]]) -> None:
    y, own = (pd.Series(each) for each in zip(*rows, strict=True))
    found = fit_weight(three_classes(class_weight="balanced"), y, own.to_numpy())
    sums = pd.Series(found).groupby(y).sum()
    there = own.groupby(y).sum() > 0
    np.testing.assert_allclose(sums[there], own.sum() / there.sum())
    assert (sums[~there] == 0).all()


def test_weights_by_name_multiply_those_of_rows() -> None:
    use_case = three_classes(class_weight={NAMES[2]: 3, NAMES[0]: 0.5})
    y, own = pd.Series([0, 1, 2, 2]), np.array([1.0, 1.0, 1.0, 2.0])
    assert fit_weight(use_case, y, own).tolist() == [0.5, 1.0, 3.0, 6.0]
    two = tiny_use_case(train={**TINY["train"], "class_weight": {1: 5}})
    assert fit_weight(two, pd.Series([0, 1]), None).tolist() == [1.0, 5.0]
    assert fit_weight(three_classes(), y, own) is own
    assert fit_weight(three_classes(), y, None) is None


@pytest.mark.parametrize("name", ["logistic_regression", "hist_gradient_boosting", "random_forest"])
def test_a_balanced_fit_is_scikit_learns_own(name: str) -> None:
    candidates = [{"estimator": name}]
    use_case = three_classes(class_weight="balanced", candidates=candidates)
    X, y = rows_and_labels(use_case)
    params = defaults(use_case.train.candidates[0])
    ours = fit(use_case, name, params, X, y)
    theirs = make(use_case, name, params).set_params(estimate__class_weight="balanced").fit(X, y)
    found, expected = (score_rows(model, X, use_case) for model in (ours, theirs))
    # A forest draws rows by chance, and its balanced weights multiply differently in the last bits.
    np.testing.assert_allclose(found, expected, atol=1e-6 if name != "random_forest" else 0.02)
    plain = score_rows(fit(three_classes(candidates=candidates), name, params, X, y), X, use_case)
    assert np.abs(found - plain).max() > 0.02


def test_without_weights_a_fit_is_what_it_was() -> None:
    use_case = three_classes()
    X, y = rows_and_labels(use_case)
    ours = fit(use_case, "logistic_regression", {"C": 1.0}, X, y)
    plain = make(use_case, "logistic_regression", {"C": 1.0}).fit(X, y)
    np.testing.assert_array_equal(score_rows(ours, X, use_case), score_rows(plain, X, use_case))


def test_the_dummy_knows_weights_of_rows_and_not_of_classes() -> None:
    use_case = three_classes(class_weight="balanced")
    X, y = rows_and_labels(use_case)
    weight = np.where(y == 1, 2.0, 1.0)
    models = fit_baselines(use_case, X, y, weight)
    shares = np.bincount(y, weight) / weight.sum()
    np.testing.assert_allclose(score_rows(models["dummy"], X[:1], use_case)[0], shares)
    linear = score_rows(models["linear"], X, use_case)
    assert np.abs(linear.mean(axis=0) - 1 / 3).max() < 0.05
    numbers = tiny_use_case("regression")
    at = fit_baselines(numbers, X, y.astype(float), np.where(y == 2, 1.0, 0.0))
    assert score_rows(at["dummy"], X[:1], numbers)[0] == 2.0


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> tuple[UseCase, Lake, TrainingSet]:
    use_case = three_classes(sample_weight="heft")
    lake = Lake(str(tmp_path_factory.mktemp("weights") / "lake"))
    for seed, month in enumerate(MONTHS):
        fill(lake, use_case, month, three_class_rows(month=month, seed=seed))
    return use_case, lake, load_training_set(use_case, lake, MONTHS[-1])


def hefts(X: pd.DataFrame) -> Any:
    return np.where(X["z"] > 0, 2.0, 0.5)


def test_a_training_set_has_the_weights_of_its_rows(
    weighted: tuple[UseCase, Lake, TrainingSet], tmp_path: Path
) -> None:
    use_case, lake, training = weighted
    assert "heft" not in training.train_X
    np.testing.assert_array_equal(training.train_weight, hefts(training.train_X))
    np.testing.assert_array_equal(training.holdout_weight, hefts(training.holdout_X))
    keep(training, tmp_path / "kept")
    kept = load_kept(tmp_path / "kept", lambda: pytest.fail("the lake is read"))
    np.testing.assert_array_equal(kept.train_weight, training.train_weight)
    np.testing.assert_array_equal(kept.holdout_weight, training.holdout_weight)
    known = load_known_rows(use_case, lake, {}, list(MONTHS))
    np.testing.assert_array_equal(known.weight, hefts(known.X))
    np.testing.assert_array_equal(known.to_judge([MONTHS[1]]).weight, training.holdout_weight)


def test_metrics_count_rows_by_their_weights(
    weighted: tuple[UseCase, Lake, TrainingSet],
) -> None:
    use_case, _, training = weighted
    X, y, weight = training.holdout_X, training.holdout_y, training.holdout_weight
    model = fit(use_case, "logistic_regression", {"C": 1.0}, training.train_X, training.train_y)
    found = evaluate(use_case, model, X, y, weight)
    score = score_rows(model, X, use_case)
    expected = log_loss(y, score, sample_weight=weight, labels=[0, 1, 2])
    assert found["log_loss"] == pytest.approx(expected)
    assert found["log_loss"] != pytest.approx(evaluate(use_case, model, X, y)["log_loss"])


def test_folds_learn_and_judge_with_weights(
    weighted: tuple[UseCase, Lake, TrainingSet],
) -> None:
    """Rows without weight are neither learned nor judged: other labels there change nothing."""
    use_case, _, training = weighted
    some = np.arange(len(training.train_X)) % 3 > 0
    weight = np.where(some, training.train_weight, 0.0)
    wrong = training.train_y.where(some, 2 - training.train_y)
    values = [
        out_of_fold(
            use_case, "logistic_regression", {"C": 1.0},
            replace(training, train_weight=weight, train_y=y),
        ).values
        for y in (training.train_y, wrong)
    ]  # fmt: skip
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)
    plain = out_of_fold(use_case, "logistic_regression", {"C": 1.0}, training).values
    assert np.abs(np.array(plain) - values[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ([1.0, -1.0, 2.0], r"0 or more in each row, but 1 of 3 .* first clean row 2 with -1\. "),
        ([1.0, 2.0, None], r"first clean row 3 with no value\. .* clean\.missing\.heft"),
        ([float("inf"), 1.0, 1.0], r"first clean row 1 with inf"),
        ([0.0, 0.0, 0.0], r"some rows must weigh more than 0, .* is 0 in all 3 of them"),
    ],
)
def test_what_is_no_weight_is_refused(weight: list[float | None], told: str) -> None:
    table = pa.table({"heft": pa.array(weight, pa.float64())})
    with pytest.raises(DataContractError, match=told):
        weight_in(table, three_classes(sample_weight="heft"))


def built(where: Path, rows: pd.DataFrame, **train: Any) -> pd.DataFrame:
    use_case, lake = three_classes(**train), Lake(str(where / "lake"))
    publish(lake, use_case, "clean", MONTHS[0], rows, COLUMNS)
    build_partition(use_case, MONTHS[0], lake, Writer("run", 1, 9, "test"))
    return lake.table("tiny", "features").read([MONTHS[0]]).to_pandas()


def test_the_features_table_keeps_the_weight_and_the_model_does_not_see_it(tmp_path: Path) -> None:
    rows = three_class_rows(50)
    with_weight = built(tmp_path / "a", rows, sample_weight="heft")
    assert with_weight["heft"].tolist() == rows["heft"].tolist()
    assert "heft" not in three_classes(sample_weight="heft").features.columns
    assert "heft" not in built(tmp_path / "b", rows)


def test_a_weight_that_is_missing_stops_the_features_of_its_partition(tmp_path: Path) -> None:
    rows = three_class_rows(50)
    rows.loc[6, "heft"] = np.nan
    with pytest.raises(DataContractError, match=r"first clean row 7 with no value"):
        built(tmp_path, rows, sample_weight="heft")


def test_whole_numbers_are_weights_too(tmp_path: Path) -> None:
    rows = three_class_rows(20).assign(times=np.arange(20))
    use_case = three_classes(sample_weight="times", columns={"times": "int64"})
    columns, lake = use_case.ingest.columns, Lake(str(tmp_path / "lake"))
    publish(lake, use_case, "clean", MONTHS[0], rows, columns)
    build_partition(use_case, MONTHS[0], lake, Writer("run", 1, 9, "test"))
    table = lake.table("tiny", "features").read([MONTHS[0]], arrow_schema({"times": "int64"}))
    assert weight_in(table, use_case).tolist() == list(range(20))


@pytest.mark.parametrize("rows", [50, 3000])
def test_clusterings_are_judged_on_rows_with_their_weights(rows: int) -> None:
    X = three_class_rows(rows)[["x", "z", "colour"]]
    weight = np.arange(rows, dtype=np.float64)
    seen = judged(tiny_use_case("clustering"), X, None, weight)
    assert seen.weight.tolist() == seen.X.index.tolist()
    assert len(seen.X) == min(rows, 2000)


def test_a_fold_whose_rows_all_weigh_nothing_is_told_and_no_failure_of_the_fit() -> None:
    use_case = three_classes(sample_weight="heft")
    X, y = rows_and_labels(use_case)
    with pytest.raises(DataContractError, match="all 300 rows that one fit learns from weigh 0"):
        fit(use_case, "logistic_regression", {"C": 1.0}, X, y, weight=np.zeros(300))
