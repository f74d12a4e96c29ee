"""Prepare, finish, close: what the operators hand over and pass on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.errors import DataContractError
from include.lake.table import Lake, LakeTable
from include.modelling.search import TrialDone
from include.train_tune.finish import Trained
from include.train_tune.prepare import Prepared
from plugins.operators.train_tune import (
    CloseTrainingOperator,
    FinishTrainingOperator,
    PrepareTrainingOperator,
)
from plugins.operators.trials import RunTrialOperator
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

MONTHS = ["2013-01", "2013-02"]
TRIALS = [
    {"candidate": "kmeans", "number": 0, "params": {"n_clusters": 4}},
    {"candidate": "gaussian_mixture", "number": 0, "params": {"n_components": 4}},
]
DONE = [TrialDone(**one, value=0.25) for one in TRIALS]
ROUNDS = [("prepare", "trial"), ("draw_2", "trial_2")]
PREPARED = Prepared(
    run_id="abc",
    as_of="2013-02",
    partitions=MONTHS,
    holdout_partition="2013-02",
    inputs=[{"table": "weather_regimes.features", "version": 3, "table_id": "f-1"}],
    trials=TRIALS,
    rows=2211,
    configuration="task: clustering",
    python=[],
    definitions={},
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
    trials=8,
    trials_completed=7,
    choice=["kmeans 0 is kept"],
)


@pytest.fixture
def features(monkeypatch):
    """Say which partitions have features."""
    table = create_autospec(LakeTable, instance=True)
    table.partitions.return_value = MONTHS
    monkeypatch.setattr(Lake, "table", lambda self, use_case, stage: table)
    return table


@pytest.fixture(autouse=True)
def recall(stub):
    """Give what was prepared, as the training's MLflow run holds it."""
    return stub("include.train_tune.prepare.recall", PREPARED)


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


def event(key: str | None = "2013-02", **more: Any) -> dict[str, Any]:
    """Make the context of a run that an asset event started."""
    return make_context(key=key, run_type="asset_triggered", trials=None, **more)


def test_prepare_lists_the_trials_and_pushes_the_training(library, registry):
    context = event("2013-01")
    assert prepare(context) == TRIALS
    assert context["ti"].pushed == {"run_id": "abc"}
    assert is_small_json(context["ti"].pushed)
    (config, as_of, lake, given, name), _ = library["prepare"].call_args
    assert (config.name, as_of, name) == ("weather_regimes", "2013-01", "name")
    assert given is registry
    assert isinstance(lake, Lake)


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered", "asset_materialization"])
def test_as_of_is_the_runs_key(library, run_type):
    prepare(make_context(key="2013-01", run_type=run_type))
    assert library["prepare"].call_args.args[1] == "2013-01"
    assert library["name"].call_args.args[1] == "2013-01"


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_run_without_a_key_does_not_guess_one(library, run_type):
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        prepare(make_context(run_type=run_type))
    library["prepare"].assert_not_called()


def test_a_finished_training_is_not_done_again_for_an_event(library):
    library["finished"].return_value = True
    context = event()
    with pytest.raises(
        AirflowSkipException, match=r"^up to date: training name as of 2013-02 is done\.$"
    ):
        prepare(context)
    words = "up to date: training name as of 2013-02 is done."
    assert context["ti"].pushed == {"up_to_date": words}, "later tasks tell it from a failure"
    library["prepare"].assert_not_called()


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ({"run_type": "manual"}, "name-manual__1-0"),
        ({"run_type": "asset_materialization"}, "name-manual__1-0"),
        ({"run_type": "asset_triggered", "clear_number": 2}, "name-manual__1-2"),
    ],
)
def test_a_person_gets_a_training_of_this_run_alone(library, context, name):
    """Also when the same one is done; its retry finds it again, and clearing the run does not."""
    library["finished"].return_value = True
    for attempt in (1, 2):
        prepare(make_context(key="2013-02", attempt=attempt, **context))
        assert library["prepare"].call_args.args[4] == name


def test_the_form_changes_the_number_of_trials(library):
    prepare(make_context(key="2013-02", trials=2))
    assert library["prepare"].call_args.args[0].train.tuning.trials == 2
    assert library["name"].call_args.args[0].train.tuning.trials == 2, "another training"


def test_the_form_left_empty_changes_nothing(library):
    prepare(make_context(key="2013-02", trials=None))
    assert library["prepare"].call_args.args[0].train.tuning.trials == 4, "as configured"


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_an_unknown_as_of_says_what_there_is(library, run_type):
    with pytest.raises(
        AirflowFailException,
        match=r"'2014-01' is not in weather_regimes\.features\. There is: 2013-01, 2013-02\.",
    ):
        prepare(make_context(key="2014-01", run_type=run_type))


def test_nothing_to_train_on_says_so(library, features):
    features.partitions.return_value = []
    with pytest.raises(AirflowFailException, match=r"features\. There is: nothing yet\."):
        prepare(event())


def test_a_refused_training_is_remembered_so_that_it_does_not_count_as_asked(library, stub):
    refuse = stub("include.due.state.refuse", None)
    stub("include.due.wanted.wanted_training", {"2013-02": {"training_set": 7}})
    library["prepare"].side_effect = DataContractError("too few labelled partitions")
    with pytest.raises(AirflowFailException, match="too few labelled partitions"):
        prepare(event())
    use_case, stage, key, sources, words, _, writer = refuse.call_args.args
    assert (use_case, stage, key) == ("weather_regimes", "training", "2013-02")
    assert (list(sources), words) == (["training_set"], "too few labelled partitions")
    assert writer.attempt == 1


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_preparing_fails_in_airflows_words(library, stub, error, seen):
    stub("include.due.state.refuse", None)
    stub("include.due.wanted.wanted_training", {"2013-02": {"training_set": 7}})
    library["prepare"].side_effect = error
    with pytest.raises(seen, match=str(error)):
        prepare(event())


def pulled(run_id: str | None = "abc", **more: Any) -> dict[str, Any]:
    """Make the context of a task after `prepare_training`, with both rounds done."""
    found: dict[Any, Any] = {
        ("prepare", "return_value"): TRIALS,
        ("trial", "return_value"): [asdict(one) for one in DONE],
        ("draw_2", "return_value"): [],
    }
    return make_context(pulled=found | ({"run_id": run_id} if run_id else {}) | more)


def finish(context: dict[str, Any]) -> dict[str, Any]:
    task = FinishTrainingOperator(
        task_id="f", use_case="weather_regimes", rounds=ROUNDS, outlets=[OUTLET]
    )
    return execute(task, context)


def test_the_training_set_is_kept_for_all_steps_and_removed_at_the_end(stub, library, home):
    trial = stub("include.train_tune.trial.run_trial", DONE[0])
    close = stub("include.train_tune.request.close", "FINISHED")
    prepare(event("2013-01"))
    execute(
        RunTrialOperator(
            task_id="t",
            use_case="weather_regimes",
            run_id=PREPARED.run_id,
            trial=TRIALS[0],
        ),
        make_context(key="2013-02"),
    )
    kept = home / "trainings"
    assert library["prepare"].call_args.kwargs == trial.call_args.kwargs == {"kept_in": kept}
    (kept / PREPARED.run_id).mkdir(parents=True)
    closing = CloseTrainingOperator(
        task_id="c", use_case="weather_regimes", prepare_task_id="prepare"
    )
    execute(closing, pulled())
    assert close.called
    assert list(kept.iterdir()) == []


def test_finish_emits_the_candidate(stub, registry, home):
    folders = []

    def library(use_case, prepared, done, lake, registry, work_dir, kept_in):
        assert kept_in == home / "trainings"
        assert (use_case, prepared) == ("weather_regimes", PREPARED)
        assert done == DONE
        folders.append((work_dir, work_dir.is_dir()))
        return TRAINED

    double = stub("include.train_tune.finish.finish", TRAINED)
    double.side_effect = library
    context = pulled()

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
    context = pulled()
    with pytest.raises(seen, match=str(error)):
        finish(context)
    assert emitted(context) == (set(), {})


def test_without_a_preparation_there_is_nothing_to_finish(stub, registry):
    double = stub("include.train_tune.finish.finish", TRAINED)
    with pytest.raises(AirflowFailException, match="prepare failed: there is no training"):
        finish(pulled(None))
    double.assert_not_called()


def test_a_training_that_is_not_needed_is_not_finished(stub, registry):
    double = stub("include.train_tune.finish.finish", TRAINED)
    with pytest.raises(AirflowSkipException, match=r"^up to date: it is done\.$"):
        finish(pulled(None, up_to_date="up to date: it is done."))
    double.assert_not_called()


def test_without_one_of_its_rounds_a_search_is_not_finished(stub, registry):
    """Its result would be another one than that of the same data and seed."""
    double = stub("include.train_tune.finish.finish", TRAINED)
    context = pulled()
    del context["ti"].pulled["draw_2", "return_value"]
    with pytest.raises(AirflowFailException, match="draw_2 failed: the search cannot go on"):
        finish(context)
    double.assert_not_called()
    assert emitted(context) == (set(), {})


def test_a_trial_whose_task_failed_is_told_as_failed(stub, registry):
    double = stub("include.train_tune.finish.finish", TRAINED)
    context = pulled()
    context["ti"].pulled["trial", "return_value"] = [asdict(DONE[1])]
    finish(context)
    told = double.call_args.args[2]
    assert [(one.candidate, one.value) for one in told] == [
        ("gaussian_mixture", 0.25),
        ("kmeans", None),
    ]


def close(context: dict[str, Any]) -> None:
    task = CloseTrainingOperator(
        task_id="close", use_case="weather_regimes", prepare_task_id="prepare"
    )
    assert execute(task, context) is None


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_the_training_run_is_closed(stub, registry, status):
    double = stub("include.train_tune.request.close", status)
    close(pulled())
    double.assert_called_once_with(registry, "abc")


@pytest.mark.parametrize(
    ("status", "terminated"), [("FINISHED", 0), ("RUNNING", 1), ("FAILED", 1), ("SCHEDULED", 1)]
)
def test_what_is_finished_stays_so_and_all_else_has_failed(registry, status, terminated):
    registry.client = Mock()
    registry.client.get_run.return_value.info.status = status
    close(pulled())
    assert registry.client.set_terminated.call_count == terminated
    if terminated:
        registry.client.set_terminated.assert_called_with("abc", "FAILED")


def test_a_training_that_was_not_begun_is_not_closed(stub, registry):
    double = stub("include.train_tune.request.close", "FAILED")
    with pytest.raises(AirflowSkipException, match="No training was begun"):
        close(pulled(None))
    double.assert_not_called()


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_closing_fails_in_airflows_words(stub, registry, error, seen):
    stub("include.train_tune.request.close", error)
    with pytest.raises(seen, match=str(error)):
        close(pulled())
