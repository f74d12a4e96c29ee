"""The three steps of a training, in the order an operator runs them, and each of them twice."""

import json
from dataclasses import asdict

import numpy as np
import optuna
import pandas as pd
import pytest

from include.errors import ConfigError, DataContractError
from include.modelling.estimators import defaults, make
from include.modelling.folds import time_folds
from include.modelling.metrics import evaluate
from include.modelling.training_set import load_training_set
from include.train_tune import trial as trial_module
from include.train_tune.finish import example_row, finish
from include.train_tune.prepare import load_pinned, prepare
from include.train_tune.trial import run_trial, threads
from tests.support.houses import make_house
from tests.support.lakes import fill
from tests.support.packages import tiny_rows


def _prepare(house, request="run-1", as_of="2024-02"):
    return asdict(prepare(house.use_case, as_of, house.lake, house.registry, request))


def _trial(house, prepared, candidate="logistic_regression", number=0):
    return run_trial(
        house.use_case, prepared, candidate, number, house.lake, house.registry, house.optuna
    )


def _finish(house, prepared):
    return finish(house.use_case, prepared, house.lake, house.registry, house.optuna, house.work)


# prepare


def test_prepare_names_every_trial_and_pins_the_lake(house):
    prepared = _prepare(house)

    assert prepared["trials"] == [
        {"candidate": "logistic_regression", "number": 0},
        {"candidate": "logistic_regression", "number": 1},
        {"candidate": "hist_gradient_boosting", "number": 0},
        {"candidate": "hist_gradient_boosting", "number": 1},
    ]
    assert prepared["inputs"] == [
        {"table": "tiny.features", "version": house.lake.table("tiny", "features").version()},
        {"table": "tiny.labels", "version": house.lake.table("tiny", "labels").version()},
    ]
    assert (prepared["partitions"], prepared["rows"]) == (["2024-01", "2024-02"], 400)
    assert json.loads(json.dumps(prepared)) == prepared
    run = house.registry.client.get_run(prepared["run_id"]).data
    assert run.params["holdout_partition"] == "2024-02"
    assert run.tags["flywheel.version.tiny.features"] == str(prepared["inputs"][0]["version"])
    assert run.tags["flywheel.lock_hash"] != ""


def test_the_same_request_is_the_same_training_even_after_the_lake_moved_on(house):
    first = _prepare(house)
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    fill(house.lake, house.use_case, "2023-12")

    assert _prepare(house) == first
    other = _prepare(house, request="run-2")
    assert other["run_id"] != first["run_id"]
    assert other["partitions"] == ["2023-12", "2024-01", "2024-02"]


def test_a_run_whose_attempt_died_before_it_was_prepared_is_taken_up(house, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(house.registry.client._client, "log_dict", _dies)
        with pytest.raises(KeyboardInterrupt):
            _prepare(house)
    died = house.registry.find_run("tiny", "train run-1")

    assert _prepare(house)["run_id"] == died


def _dies(*_args, **_kwargs):
    raise KeyboardInterrupt


def test_too_little_to_train_on_leaves_no_run(house):
    with pytest.raises(
        DataContractError, match="needs at least 2 labelled partitions up to 2024-01"
    ):
        _prepare(house, as_of="2024-01")
    assert house.registry.find_run("tiny", "train run-1") is None


# trials


def test_a_trial_is_the_mean_over_folds_in_order_of_time(house):
    prepared = _prepare(house)
    done = _trial(house, prepared)

    training = load_training_set(house.use_case, house.lake, "2024-02")
    expected = []
    for learn, judge in time_folds(training.train_times, 2):
        model = make(
            house.use_case, "logistic_regression", defaults(house.use_case.train.candidates[0])
        )
        model.fit(training.train_X.iloc[learn], training.train_y.iloc[learn])
        X, y = training.train_X.iloc[judge], training.train_y.iloc[judge]
        expected.append(evaluate(house.use_case, model, X, y)["roc_auc"])
    assert done.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert done.params == {"C": pytest.approx(0.1)}


def test_a_trial_is_a_run_nested_in_its_training(house):
    prepared = _prepare(house)
    done = _trial(house, prepared, number=1)

    run_id = house.registry.find_run("tiny", f"trial {prepared['run_id']} logistic_regression 1")
    run = house.registry.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == prepared["run_id"]
    assert run.data.metrics["mean_roc_auc"] == done.value
    assert float(run.data.params["C"]) == done.params["C"]


def test_a_completed_trial_is_not_run_again(house, monkeypatch):
    prepared = _prepare(house)
    first = _trial(house, prepared)
    monkeypatch.setattr(trial_module, "fold_values", _dies)
    assert _trial(house, prepared) == first


def test_a_killed_trial_is_run_again(house, monkeypatch):
    prepared = _prepare(house)
    with monkeypatch.context() as patch:
        patch.setattr(trial_module, "fold_values", _dies)
        with pytest.raises(KeyboardInterrupt):
            _trial(house, prepared)

    done = _trial(house, prepared)

    study = optuna.load_study(
        study_name=f"tiny-{prepared['run_id']}-logistic_regression", storage=house.optuna
    )
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert study.best_value == done.value


def test_a_clustering_that_finds_one_cluster_is_a_failed_trial_and_no_error(tmp_path, monkeypatch):
    house = make_house(tmp_path, "clustering")
    prepared = _prepare(house)
    monkeypatch.setattr(trial_module, "score_rows", lambda _model, X, _use_case: np.zeros(len(X)))

    assert _trial(house, prepared, "kmeans").value is None
    with pytest.raises(
        DataContractError, match=r"at least one completed trial.*silhouette was not defined"
    ):
        _finish(house, prepared)


def test_a_candidate_that_is_gone_from_the_use_case_is_named(house):
    with pytest.raises(ConfigError, match=r"trials are of train.candidates .* got 'ridge'"):
        _trial(house, _prepare(house), "ridge")


def test_a_trial_keeps_to_the_threads_it_is_given(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3


# finish


def test_a_training_ends_with_a_signed_challenger_that_beats_chance(each_house):
    house, prepared = each_house, _prepare(each_house)
    values = {
        (one["candidate"], one["number"]): _trial(
            house, prepared, one["candidate"], one["number"]
        ).value
        for one in prepared["trials"]
    }

    trained = _finish(house, prepared)

    json.dumps(asdict(trained), allow_nan=False)
    metric = house.use_case.train.metric
    sign = -1 if metric == "rmse" else 1
    winner = max(values, key=lambda one: sign * values[one])
    assert trained.candidate == winner[0]
    assert sign * trained.value > sign * trained.dummy
    assert house.registry.version_of("tiny", "challenger") == trained.version
    model = house.registry.load("tiny", trained.version)
    training = load_pinned(house.use_case, prepared, house.lake)
    again = evaluate(house.use_case, model.estimator, training.holdout_X, training.holdout_y)
    assert again[metric] == pytest.approx(trained.value)
    assert model.facts["metrics"][metric] == trained.value
    assert model.facts["baselines"]["dummy"][metric] == trained.dummy
    assert model.facts["inputs"] == prepared["inputs"]
    assert model.predict(_rows_of(model), {}).shape[0] == 1


def _rows_of(model):
    return pd.DataFrame([model.example])


def test_finishing_twice_makes_one_version(house):
    prepared = _prepare(house)
    _trial(house, prepared)

    first, second = _finish(house, prepared), _finish(house, prepared)

    assert first == second
    assert (
        house.registry.details("tiny", first.version)["tags"]["candidate"] == "logistic_regression"
    )
    assert not any(house.work.iterdir())
    run = house.registry.client.get_run(prepared["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["holdout_roc_auc"] == first.value
    assert run.data.metrics["linear_roc_auc"] == first.linear


def test_without_a_completed_trial_there_is_nothing_to_choose(house):
    with pytest.raises(DataContractError, match="needs at least one completed trial"):
        _finish(house, _prepare(house))


def test_the_example_is_a_row_without_gaps_in_json(house):
    rows = tiny_rows(month="2024-02")
    rows.loc[0, "z"] = float("nan")
    fill(house.lake, house.use_case, "2024-02", rows)

    example = example_row(house.use_case, "2024-02", house.lake)

    assert example == {name: rows[name][1] for name in ("x", "z", "colour")}
