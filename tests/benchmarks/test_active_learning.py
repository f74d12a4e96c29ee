"""The benchmark of active learning: when a policy is done, what it asks for, and its exit code."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest

from benchmarks import active_learning
from benchmarks.active_learning import NEVER, ROUND, Compared, Course, compare, main, told


def needing(*labels: int) -> list[Course]:
    """Courses that keep the target in the three rounds that end with so many labels."""
    return [Course([one - 40, one - 20, one], [0.95, 0.96, 0.97]) for one in labels]


def given(random: list[Course], active: list[Course]) -> Compared:
    return Compared("any", {"random": random, "active": active})


@pytest.mark.parametrize(
    ("accuracy", "needed"),
    [
        ([0.95, 0.95, 0.95], 30),
        ([0.95, 0.95, 0.949, 0.96, 0.96, 0.96], 60),
        ([0.96, 0.96], NEVER),
        ([0.96, 0.90, 0.96, 0.90, 0.96], NEVER),
    ],
)
def test_three_consecutive_rounds_count(accuracy, needed):
    labels = list(range(10, 10 * len(accuracy) + 10, 10))
    assert Course(labels, accuracy).needed == needed


@pytest.mark.parametrize(
    ("random", "active", "code"),
    [
        (needing(400, 500, 600), needing(300, 350, 700), 0),
        (needing(400, 500, 600), needing(100, 360, 360), 1),
        ([Course([20], [0.5])], [Course([20], [0.5])], 1),
    ],
)
def test_the_exit_code_follows_the_ratio_of_the_medians(random, active, code, capsys):
    assert main([], lambda model: given(random, active)) == code
    assert "ratio of the medians" in capsys.readouterr().out


def test_seeds_that_never_got_there_are_told():
    lines = "\n".join(told(given([*needing(400, 420), Course([20], [0.1])], needing(100, 100))))
    assert "median 420" in lines
    assert "never in 1 seeds" in lines


def test_both_policies_share_start_holdout_and_model_and_active_needs_fewer_labels():
    found = compare("logistic_regression", seeds=4)
    for by_chance, active in zip(found.courses["random"], found.courses["active"], strict=True):
        assert by_chance.accuracy[0] == active.accuracy[0]
        assert np.diff(by_chance.labels).tolist() == [ROUND] * (len(by_chance.labels) - 1)
        assert by_chance.needed == by_chance.labels[-1] < NEVER
        assert active.needed == active.labels[-1] < NEVER
    assert found.ratio < 0.8


def test_a_picture_is_drawn(tmp_path):
    to = tmp_path / "curve.png"
    active_learning.draw([given(needing(400, 420), needing(100, 120))], to)
    assert to.read_bytes().startswith(b"\x89PNG")


def test_the_curves_are_logged_with_the_labels_as_steps(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(active_learning, "MODELS", {"any": {}})
    made = given(needing(400, 420), needing(100, 100))
    main(["--experiment", "curves"], lambda model: made)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("curves")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {"any random", "any active"}
    active = runs["any active"]
    assert active.data.metrics["labels_needed"] == 100
    history = client.get_metric_history(active.info.run_id, "accuracy")
    assert sorted((one.step, one.value) for one in history) == [
        (60, 0.95), (80, 0.96), (100, 0.97),
    ]  # fmt: skip
