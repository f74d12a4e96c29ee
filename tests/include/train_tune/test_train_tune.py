"""The three steps of a training, in the order an operator runs them, and each of them twice."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.due.definitions import definition_of
from include.errors import ConfigError, DataContractError
from include.modelling import out_of_fold as folds_module
from include.modelling.estimators import defaults, make
from include.modelling.fit import threads
from include.modelling.folds import time_folds
from include.modelling.metrics import evaluate
from include.modelling.out_of_fold import out_of_fold
from include.modelling.search import Trial, with_failed
from include.modelling.training_set import load_training_set
from include.provenance import environment
from include.registry.packing import example_row
from include.train_tune import trial as trial_module
from include.train_tune.prepare import DIGEST, FILE, SIGNATURE, load_pinned, prepare, recall
from include.train_tune.request import close, is_finished, training_name
from include.train_tune.trial import run_trial, scores_of
from include.use_cases.loader import get
from tests.support.houses import make_house
from tests.support.lakes import fill
from tests.support.packages import TINY, tiny_rows, tiny_use_case
from tests.support.trainings import finished, run, searched, trial_of


def _prepare(house, request="run-1", as_of="2024-02"):
    return prepare(house.use_case, as_of, house.lake, house.registry, request)


def _trial(house, prepared, candidate="logistic_regression", number=0):
    return run(house, prepared, trial_of(house, candidate, number))


def _linear(house, prepared):
    return [_trial(house, prepared, number=number) for number in (0, 1)]


# prepare


def test_prepare_draws_the_first_round_and_pins_the_lake(house):
    prepared = _prepare(house)

    assert [(one["candidate"], one["number"]) for one in prepared.trials] == [
        ("logistic_regression", 0),
        ("logistic_regression", 1),
        ("hist_gradient_boosting", 0),
        ("hist_gradient_boosting", 1),
    ]
    assert prepared.trials[0]["params"] == defaults(house.use_case.train.candidates[0])
    assert prepared.inputs == [
        {"table": f"tiny.{stage}", "version": table.version(), "table_id": table.pin().table_id}
        for stage in ("features", "labels", "clean")
        for table in [house.lake.table("tiny", stage)]
    ]
    assert prepared.definitions == {
        stage: {f"{definition_of(house.use_case, stage):016x}": ["2024-01", "2024-02"]}
        for stage in ("clean", "features", "labels")
    }
    assert (prepared.partitions, prepared.rows) == (["2024-01", "2024-02"], 400)
    assert recall(house.registry, prepared.run_id) == prepared
    run = house.registry.client.get_run(prepared.run_id).data
    assert run.params["holdout_partition"] == "2024-02"
    assert run.tags["flywheel.version.tiny.features"] == str(prepared.inputs[0]["version"])
    assert run.tags["flywheel.table_id.tiny.clean"] == prepared.inputs[2]["table_id"]
    assert run.tags["flywheel.lock_hash"] != ""
    assert house.registry.trainings("tiny") == {"2024-02": "RUNNING"}


def test_the_lake_is_read_once_a_training_and_elsewhere_gives_the_same_rows(house, monkeypatch):
    kept, loads = house.work / "trainings", []

    def counted(*arguments):
        loads.append(arguments)
        return load_training_set(*arguments)

    monkeypatch.setattr("include.train_tune.prepare.load_training_set", counted)
    monkeypatch.setattr("include.modelling.training_set.load_training_set", counted)
    prepared = prepare(house.use_case, "2024-02", house.lake, house.registry, "once", kept_in=kept)
    here = run_trial("tiny", prepared, trial_of(house), house.lake, house.registry, kept)
    near = load_pinned(house.use_case, prepared, house.lake, kept)
    assert len(loads) == 1
    elsewhere = load_pinned(house.use_case, prepared, house.lake, kept / "another machine")
    assert len(loads) == 2
    pd.testing.assert_frame_equal(near.train_X, elsewhere.train_X)
    again = out_of_fold(house.use_case, "logistic_regression", here.params, elsewhere)
    assert here.value == np.mean(again.values)


def test_the_same_request_is_the_same_training_even_after_the_lake_moved_on(house):
    first = _prepare(house)
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    fill(house.lake, house.use_case, "2023-12")

    assert _prepare(house) == first
    other = _prepare(house, request="run-2")
    assert other.run_id != first.run_id
    assert other.partitions == ["2023-12", "2024-01", "2024-02"]


def test_a_run_whose_attempt_died_before_it_was_prepared_is_taken_up(house, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(house.registry.client._client, "log_text", _dies)
        with pytest.raises(KeyboardInterrupt):
            _prepare(house)
    died = house.registry.find_run("tiny", "train run-1")

    assert _prepare(house).run_id == died


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

    (nested,) = nested_runs(house, prepared)
    assert (nested.info.status, nested.info.run_name) == ("FINISHED", "logistic_regression 1")
    assert nested.data.metrics["mean_roc_auc"] == done.value
    assert float(nested.data.params["C"]) == done.params["C"]


def nested_runs(house, prepared):
    found = house.registry.client.search_runs(
        [house.registry.experiment("tiny")], f"tags.`mlflow.parentRunId` = '{prepared.run_id}'"
    )
    return list(found)


def test_a_trial_that_is_run_again_gives_the_same_and_is_logged_once(house):
    prepared = _prepare(house)
    assert _trial(house, prepared) == _trial(house, prepared)
    assert len(nested_runs(house, prepared)) == 1


def test_a_number_that_was_drawn_anew_is_another_trial(house):
    """Its parameters cannot be written over those of the first in MLflow."""
    prepared, first = _prepare(house), trial_of(house)
    run(house, prepared, first)
    run(house, prepared, replace(first, params={"C": 2.0}))
    tried = sorted(float(one.data.params["C"]) for one in nested_runs(house, prepared))
    assert tried == [pytest.approx(0.1), 2.0]


def test_scores_are_kept_beside_the_training_set_and_made_again_elsewhere(house, monkeypatch):
    kept = house.work / "trainings"
    prepared = prepare(house.use_case, "2024-02", house.lake, house.registry, "once", kept_in=kept)
    trial = trial_of(house)
    run_trial("tiny", prepared, trial, house.lake, house.registry, kept)
    training = load_pinned(house.use_case, prepared, house.lake, kept)
    again = scores_of(house.use_case, trial, training)
    (file,) = (kept / prepared.run_id).glob("*.npy")

    with monkeypatch.context() as patch:
        patch.setattr(trial_module, "out_of_fold", _dies)
        here = scores_of(house.use_case, trial, training, kept / prepared.run_id)
    file.write_bytes(file.read_bytes()[:50])
    mended = scores_of(house.use_case, trial, training, kept / prepared.run_id)

    for found in (here, mended):
        np.testing.assert_array_equal(found, again, strict=True)


def test_an_edit_of_the_use_case_while_trials_run_changes_nothing(house, tmp_path, monkeypatch):
    """What is on disk now, under the use case's name, is not looked at: it would be refused."""
    prepared = _prepare(house)
    before = _trial(house, prepared)
    root = tmp_path / "use_cases" / "tiny"
    root.mkdir(parents=True)
    (root / "use_case.yaml").write_text("this: is no use case any more\n")
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(root.parent))
    with pytest.raises(ConfigError):
        get("tiny")

    after = _trial(house, prepared, "hist_gradient_boosting")
    trained = finished(house, prepared, [before, after])

    assert trained.candidate == max((before, after), key=lambda one: one.value).candidate
    assert house.registry.load("tiny", trained.version).use_case == house.use_case


FEATURES = """\
from .helpers import FACTOR

def derive(frame):
    return frame.assign(z=frame.z * FACTOR)
"""
FILES = {
    "use_case.yaml": "not: looked at\n",
    "expectations.yaml": "- {expectation: expect_column_to_exist, column: x, on_failure: refuse}\n",
    "features.py": FEATURES,
    "helpers.py": "FACTOR = 2.0\n",
}
EDITS = {
    "use_case.yaml": "labels: {rule: '>= 5'}\n",
    "expectations.yaml": "[]\n",
    "features.py": FEATURES.replace("FACTOR)", "FACTOR + 1)"),
    "helpers.py": "FACTOR = 7.0\n",
}


@pytest.mark.parametrize("file", FILES)
def test_an_edit_of_any_file_while_trials_run_changes_nothing(file, tmp_path, monkeypatch):
    """The same training, in a folder that stays and in one that is edited, gives the same."""
    answers = []
    for edited in (False, True):
        where = tmp_path / f"edited {edited}"
        folder = where / "use_cases" / "tiny"
        folder.mkdir(parents=True)
        monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
        for name, text in FILES.items():
            (folder / name).write_text(text)
        house = make_house(where)
        prepared = _prepare(house)
        if edited:
            (folder / file).write_text(EDITS[file])
        prepared = recall(house.registry, prepared.run_id)
        done = _linear(house, prepared)
        model = house.registry.load("tiny", finished(house, prepared, done).version)
        rows = tiny_rows(rows=20, month="2024-03")
        answers.append((done, model.python.files, model.predict(rows, {})["score"].tolist()))
        assert dict(model.python.files) == {
            "features.py": FEATURES,
            "helpers.py": "FACTOR = 2.0\n",
        }

    assert answers[0] == answers[1]


def test_the_package_learns_from_the_clean_rows_that_were_pinned(house):
    prepared = _prepare(house)
    before = house.lake.table("tiny", "clean").read(["2024-01"], ["x"])["x"].to_numpy()
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77, shift=1000.0))
    trained = finished(house, prepared, _linear(house, prepared))

    seen = house.registry.load("tiny", trained.version).request_seen["x"]

    assert seen.range == (before.min(), before.max())


@pytest.mark.parametrize("stage", ["features", "labels", "clean"])
def test_a_table_that_was_made_anew_is_not_read_at_an_old_pin(house, stage):
    prepared = _prepare(house)
    old = next(pin for pin in prepared.inputs if pin["table"] == f"tiny.{stage}")
    shutil.rmtree(Path(house.lake.uri) / "tiny" / stage)
    for month in ("2024-01", "2024-02"):
        fill(house.lake, house.use_case, month, tiny_rows(month=month, seed=99))
    new = house.lake.table("tiny", stage).pin()
    assert new.version == old["version"], "the version alone would not tell"

    with pytest.raises(
        DataContractError,
        match=rf"tiny\.{stage}: version \d+ was pinned in the table with the id {old['table_id']}, "
        rf"but the table in .* has the id {new.table_id}",
    ):
        _trial(house, prepared)


def test_the_configuration_travels_whole(each_house):
    run_id = _prepare(each_house).run_id
    assert recall(each_house.registry, run_id).use_case("tiny") == each_house.use_case


def test_what_was_prepared_is_not_used_when_somebody_changed_it(house):
    """It holds Python that finish signs and serving runs."""
    prepared = _prepare(house)
    planted = replace(prepared, python=[["features.py", "print('theirs')"]])
    house.registry.client.log_text(prepared.run_id, json.dumps(asdict(planted)), FILE)

    with pytest.raises(DataContractError, match=r"must have the sha256 .* Nothing of it was used"):
        recall(house.registry, prepared.run_id)
    with pytest.raises(DataContractError, match="must have the sha256"):
        _prepare(house)


def test_what_was_prepared_is_not_used_when_its_digest_was_changed_too(house):
    """Who may write into MLflow may change tags as well as artifacts, and copy those of a run."""
    prepared, other = _prepare(house), _prepare(house, request="run-2")
    client = house.registry.client
    planted = json.dumps(asdict(replace(prepared, python=[["features.py", "print('theirs')"]])))
    client.log_text(prepared.run_id, planted, FILE)
    client.set_tag(prepared.run_id, DIGEST, hashlib.sha256(planted.encode()).hexdigest())
    theirs = client.get_run(other.run_id).data.tags[SIGNATURE]
    for signature in ("", "no hex", theirs):
        client.set_tag(prepared.run_id, SIGNATURE, signature)
        with pytest.raises(DataContractError, match=r"must be signed with our key"):
            recall(house.registry, prepared.run_id)


def test_a_run_that_was_not_prepared_says_so(house):
    run_id = house.registry.run("tiny", "train run-9", "train", {})
    with pytest.raises(
        DataContractError, match=rf"{run_id}: must have been prepared \(tag {DIGEST}"
    ):
        recall(house.registry, run_id)


def test_a_configuration_that_cannot_be_read_names_its_training(house):
    prepared = replace(_prepare(house), configuration="task: nonsense")
    with pytest.raises(ConfigError, match=f"training run {prepared.run_id}"):
        _trial(house, prepared)


def test_a_clustering_that_finds_one_cluster_is_a_failed_trial_and_no_error(tmp_path, monkeypatch):
    house = make_house(tmp_path, "clustering")
    prepared = _prepare(house)
    monkeypatch.setattr(folds_module, "score_rows", lambda _model, X, _use_case: np.zeros(len(X)))
    done = _trial(house, prepared, "kmeans")

    assert done.value is None
    with pytest.raises(
        DataContractError, match=r"at least 1 of 2 trials must complete.*silhouette was not defined"
    ):
        finished(house, prepared, [done])


def test_a_trial_keeps_to_the_threads_it_is_given(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3


# finish


def test_a_training_ends_with_a_signed_challenger_that_beats_chance(each_house):
    house, prepared = each_house, _prepare(each_house)
    done = searched(house, prepared)

    trained = finished(house, prepared, done)

    json.dumps(asdict(trained), allow_nan=False)
    metric = house.use_case.train.metric
    sign = -1 if metric == "rmse" else 1
    best = max(done, key=lambda one: sign * one.value)
    assert (trained.candidate, trained.params) == (best.candidate, best.params)
    assert trained.trials_completed == trained.trials == len(done)
    assert sign * trained.value > sign * trained.dummy
    assert house.registry.version_of("tiny", "challenger") == trained.version
    model = house.registry.load("tiny", trained.version)
    training = load_pinned(house.use_case, prepared, house.lake)
    again = evaluate(house.use_case, model.estimator, training.holdout_X, training.holdout_y)
    assert again[metric] == pytest.approx(trained.value)
    assert model.facts["metrics"][metric] == trained.value
    assert model.facts["baselines"]["dummy"][metric] == trained.dummy
    assert model.facts["inputs"] == prepared.inputs
    assert model.facts["definitions"] == prepared.definitions
    assert {name: model.facts[name] for name in environment()} == environment()
    tags = house.registry.details("tiny", trained.version)["tags"]
    assert tags["flywheel.table_id.tiny.features"] == prepared.inputs[0]["table_id"]
    assert tags["flywheel.version.tiny.features"] == str(prepared.inputs[0]["version"])
    assert model.predict(_rows_of(model), {}).shape[0] == 1
    assert model.rows_apart is True, "it was tried on rows of the holdout"


def _rows_of(model):
    return pd.DataFrame([model.example])


def test_finishing_twice_makes_one_version(house):
    prepared = _prepare(house)
    done = _linear(house, prepared)

    first, second = finished(house, prepared, done), finished(house, prepared, done)

    assert first == second
    assert (
        house.registry.details("tiny", first.version)["tags"]["candidate"] == "logistic_regression"
    )
    assert not any(house.work.iterdir())
    run = house.registry.client.get_run(prepared.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["holdout_roc_auc"] == first.value
    assert run.data.metrics["linear_roc_auc"] == first.linear


def test_without_a_completed_trial_there_is_nothing_to_choose(house):
    with pytest.raises(DataContractError, match=r"at least 2 of 4 trials must complete.* 0 did"):
        finished(house, _prepare(house), [])


@pytest.mark.parametrize(
    ("share", "failing", "enough"),
    [
        (0.5, 1, True),  # 3 of 4, above
        (0.5, 2, True),  # 2 of 4, exactly the share
        (0.5, 3, False),  # 1 of 4, below
        (0.75, 1, True),
        (0.75, 2, False),
        (0.6, 2, False),  # 2.4 of 4 needed
        (1.0, 0, True),
        (1.0, 1, False),
        (0.01, 3, True),
        (0.01, 4, False),  # nothing to choose from
    ],
)
def test_a_training_goes_on_without_failed_trials_if_enough_completed(
    house, share, failing, enough
):
    tuning = {"trials": 2, "min_completed_share": share}
    house.use_case = tiny_use_case(train={**TINY["train"], "tuning": tuning})
    prepared = _prepare(house)
    trials = [Trial(**one) for one in prepared.trials]
    done = [run(house, prepared, trial) for trial in trials[failing:]]

    if not enough:
        with pytest.raises(DataContractError) as refused:
            finished(house, prepared, with_failed(trials, done))
        assert str(refused.value).startswith(
            f"tiny: at least {share * 4:g} of 4 trials must complete "
            f"(train.tuning.min_completed_share), {4 - failing} did in training run"
        )
        assert house.registry.versions("tiny") == []
        return
    trained = finished(house, prepared, with_failed(trials, done))
    assert (trained.trials_completed, trained.trials) == (4 - failing, 4)
    assert trained.candidate == max(done, key=lambda one: one.value).candidate


# names, and how a training ends


def test_a_training_is_named_by_its_data_and_configuration(house, tmp_path, monkeypatch):
    def name(as_of="2024-02", **changes):
        use_case = tiny_use_case(**changes)
        return training_name(use_case, as_of, house.lake)

    first = name()
    assert name() == first
    with monkeypatch.context() as patch:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "features.py").write_text("def derive(frame):\n    return frame\n")
        patch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
        assert name() != first, "the package would carry other Python"
    assert name("2024-03") == first, "the same labelled partitions"
    assert name("2024-01") != first
    tuning = {"trials": 3}
    assert name(train={**TINY["train"], "tuning": tuning}) != first
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=1))
    assert name() == first, "the same rows again"
    fill(house.lake, house.use_case, "2024-01", tiny_rows(month="2024-01", seed=77))
    assert name() != first


def test_a_training_is_finished_when_its_model_is_registered(house):
    assert not is_finished(house.registry, "tiny", "run-1")
    prepared = _prepare(house)
    done = _linear(house, prepared)
    assert not is_finished(house.registry, "tiny", "run-1")
    finished(house, prepared, done)
    assert is_finished(house.registry, "tiny", "run-1")
    assert close(house.registry, prepared.run_id) == "FINISHED"
    assert house.registry.trainings("tiny") == {"2024-02": "FINISHED"}


def test_a_training_that_did_not_finish_is_closed_as_failed_and_is_under_way_when_begun_again(
    house,
):
    """A training under way must count as asked for, or it would be asked for once more."""
    prepared = _prepare(house)
    for _ in range(2):
        assert close(house.registry, prepared.run_id) == "FAILED"
    assert house.registry.trainings("tiny") == {"2024-02": "FAILED"}
    assert not is_finished(house.registry, "tiny", "run-1")

    assert _prepare(house) == prepared
    assert house.registry.trainings("tiny") == {"2024-02": "RUNNING"}
    finished(house, prepared, _linear(house, prepared))
    assert _prepare(house) == prepared
    assert house.registry.trainings("tiny") == {"2024-02": "FINISHED"}


def test_the_example_is_a_row_without_gaps_in_json(house):
    rows = tiny_rows(month="2024-02")
    rows.loc[0, "z"] = float("nan")
    fill(house.lake, house.use_case, "2024-02", rows)

    example = example_row(house.use_case, "2024-02", house.lake)

    assert example == {name: rows[name][1] for name in ("x", "z", "colour")}
