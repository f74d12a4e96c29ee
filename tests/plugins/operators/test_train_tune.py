"""Prepare, try, finish: what the operators hand over and pass on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from unittest.mock import create_autospec

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.lake.table import Lake, LakeTable
from include.train_tune.finish import Trained
from include.train_tune.prepare import Prepared
from include.train_tune.trial import TrialDone
from plugins.operators.train_tune import (
    FinishTrainingOperator,
    PrepareTrainingOperator,
    RunTrialOperator,
)
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

MONTHS = ["2013-01", "2013-02"]
TRIALS = [{"candidate": "kmeans", "number": 0}, {"candidate": "gaussian_mixture", "number": 0}]
PREPARED = Prepared(
    run_id="abc",
    as_of="2013-02",
    partitions=MONTHS,
    holdout_partition="2013-02",
    inputs=[{"table": "weather_regimes.features", "version": 3}],
    trials=TRIALS,
    rows=2211,
)
TRAINED = Trained(
    version="4",
    run_id="abc",
    as_of="2013-02",
    candidate="kmeans",
    params={"n_clusters": 5},
    metric="silhouette",
    value=float("nan"),  # one cluster in the holdout
    dummy=0.0,
    linear=0.1,
    holdout_partition="2013-02",
    package_sha256="f" * 64,
)


@pytest.fixture
def features(monkeypatch):
    """Say which partitions have features."""
    table = create_autospec(LakeTable, instance=True)
    table.partitions.return_value = MONTHS
    monkeypatch.setattr(Lake, "table", lambda self, use_case, stage: table)
    return table


@pytest.fixture
def library(stub, features, registry):
    """Put doubles in the place of what preparing calls."""
    return {
        "prepare": stub("include.train_tune.prepare.prepare", PREPARED),
        "name": stub("include.train_tune.request.training_name", "name"),
        "finished": stub("include.train_tune.request.is_finished", False),
    }


def prepare(context: dict[str, Any]) -> list[dict[str, Any]]:
    return execute(PrepareTrainingOperator(task_id="p", use_case="weather_regimes"), context)


def test_prepare_lists_the_trials_and_pushes_the_training(library, registry):
    context = make_context(key="2013-01")
    assert prepare(context) == TRIALS
    assert context["ti"].pushed == {"prepared": asdict(PREPARED)}
    assert is_small_json(context["ti"].pushed)
    (config, as_of, lake, given, name), _ = library["prepare"].call_args
    assert (config.name, as_of, name) == ("weather_regimes", "2013-01", "name")
    assert given is registry
    assert isinstance(lake, Lake)


@pytest.mark.parametrize(
    ("key", "run_type", "as_of"),
    [
        (None, "manual", "2013-02"),
        ("2013-01", "manual", "2013-01"),
        ("2013-01", "asset_triggered", "2013-01"),
    ],
)
def test_as_of_is_the_runs_key_or_the_latest(library, key, run_type, as_of):
    prepare(make_context(key=key, run_type=run_type))
    assert library["prepare"].call_args.args[1] == as_of
    assert library["name"].call_args.args[1] == as_of


def test_a_finished_training_has_no_trials_left(library):
    library["finished"].return_value = True
    context = make_context()
    assert prepare(context) == []
    assert "prepared" in context["ti"].pushed, "what is mapped over is still rendered"


def test_the_form_changes_the_number_of_trials(library):
    prepare(make_context(trials=2))
    assert library["prepare"].call_args.args[0].train.tuning.trials == 2
    assert library["name"].call_args.args[0].train.tuning.trials == 2, "another training"


def test_again_names_a_training_of_this_run_alone(library):
    prepare(make_context(again=True))
    assert library["prepare"].call_args.args[4] == "name-manual__1"


def test_an_unknown_as_of_says_what_there_is(library):
    with pytest.raises(
        AirflowFailException,
        match=r"'2014-01' is not in weather_regimes\.features\. There is: 2013-01, 2013-02\.",
    ):
        prepare(make_context(key="2014-01"))


def test_nothing_to_train_on_says_what_to_do(library, features):
    features.partitions.return_value = []
    with pytest.raises(
        AirflowFailException, match=r"has nothing yet.*weather_regimes__ingest_label"
    ):
        prepare(make_context())


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_preparing_fails_in_airflows_words(library, error, seen):
    library["prepare"].side_effect = error
    with pytest.raises(seen, match=str(error)):
        prepare(make_context())


def trial(number: Any = 1) -> dict[str, Any]:
    task = RunTrialOperator(
        task_id="t",
        use_case="weather_regimes",
        prepared=asdict(PREPARED),
        candidate="kmeans",
        number=number,
    )
    return execute(task, make_context())


def test_a_trial(stub, registry, home):
    done = TrialDone("kmeans", 1, 0.25, {"n_clusters": 4})
    double = stub("include.train_tune.trial.run_trial", done)
    assert trial() == asdict(done)
    (config, prepared, candidate, number, lake, given, storage), _ = double.call_args
    assert (config.name, prepared, candidate, number) == (
        "weather_regimes",
        asdict(PREPARED),
        "kmeans",
        1,
    )
    assert isinstance(lake, Lake)
    assert given is registry
    assert storage == f"sqlite:///{home}/optuna.db"


def test_a_templated_number_is_a_number_again(stub, registry):
    double = stub("include.train_tune.trial.run_trial", TrialDone("kmeans", 2, None, {}))
    assert trial("2")["value"] is None
    assert double.call_args.args[3] == 2


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_a_trial_fails_in_airflows_words(stub, registry, error, seen):
    stub("include.train_tune.trial.run_trial", error)
    with pytest.raises(seen, match=str(error)):
        trial()


def finish(context: dict[str, Any]) -> dict[str, Any]:
    task = FinishTrainingOperator(
        task_id="f", use_case="weather_regimes", prepared=asdict(PREPARED), outlets=[OUTLET]
    )
    return execute(task, context)


def test_finish_emits_the_candidate(stub, registry):
    folders = []

    def library(use_case, prepared, lake, registry, optuna_storage, work_dir):
        folders.append((work_dir, work_dir.is_dir()))
        return TRAINED

    double = stub("include.train_tune.finish.finish", TRAINED)
    double.side_effect = library
    context = make_context()

    returned = finish(context)

    assert returned["version"] == "4"
    assert returned["value"] is None, "not defined, and strict JSON has no NaN"
    assert is_small_json(returned)
    assert emitted(context) == ({"2013-02"}, {"partition": "2013-02", "model_version": "4"})
    ((folder, was_there),) = folders
    assert was_there
    assert not folder.exists()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_finish_fails_in_airflows_words_and_emits_nothing(stub, registry, error, seen):
    stub("include.train_tune.finish.finish", error)
    context = make_context()
    with pytest.raises(seen, match=str(error)):
        finish(context)
    assert emitted(context) == (set(), {})
