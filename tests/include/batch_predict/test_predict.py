"""Predictions of a partition: whose, of what, and when they count as the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.batch_predict.predict import VOLATILE, Predicted, predict_partition
from include.due.state import states
from include.due.wanted import wanted_predictions
from include.errors import DataContractError, ServiceUnavailable
from include.lake.content import content_version
from include.registry.client import Registry
from tests.support.monitored import World, make_world


def predict(
    world: World, month: str = "2024-03", run_id: str = "run", champion: str | None = None
) -> Predicted:
    return predict_partition(
        world.use_case,
        month,
        champion or world.champion,
        world.lake,
        world.registry,
        world.writer(run_id),
    )


def due(world: World) -> list[str]:
    serves = world.ledger.current()
    wanted = wanted_predictions(
        world.use_case, world.lake, serves.holdout_partition if serves else None
    )
    found = states("tiny", "predictions", wanted, world.lake)
    return [key for key, state in found.items() if state.due]


def stored(world: World, month: str = "2024-03") -> pd.DataFrame:
    return world.lake.table("tiny", "predictions").read([month]).to_pandas()


def test_without_a_champion_nothing_is_due(tmp_path: Path):
    world = make_world(tmp_path)
    world.land("2024-03", rows=300)
    assert due(world) == []
    world.crown()
    assert due(world) == ["2024-03"]


def test_what_is_stored_is_what_the_champion_says(tmp_path: Path):
    world = make_world(tmp_path)
    version = world.crown()
    rows = world.land("2024-03", rows=300, seed=5)
    done = predict(world)
    expected = world.registry.load("tiny", version).predict_features(rows)

    found = stored(world)
    assert list(found["id"]) == list(rows["id"])
    np.testing.assert_array_equal(found["prediction"], expected["prediction"])
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert set(found["model_version"]) == {version}
    assert found["predicted_at"].nunique() == 1
    assert done == Predicted(
        partition="2024-03",
        rows=300,
        model_version=version,
        version=0,
        partition_version=done.partition_version,
        mean_score=pytest.approx(expected["score"].mean()),
        changed=True,
    )
    predictions = world.lake.table("tiny", "predictions")
    rows_now = predictions.read(columns=predictions.schema().names)
    assert done.partition_version == content_version(rows_now, VOLATILE)
    assert due(world) == []
    assert predictions.facts("2024-03")["facts"] == {"model_version": version}


@pytest.mark.parametrize("task", ["regression", "clustering"])
def test_other_tasks_have_no_score(tmp_path: Path, task: str):
    world = make_world(tmp_path, task)
    version = world.crown()
    rows = world.land("2024-03", rows=300)
    done = predict(world)
    expected = world.registry.load("tiny", version).predict_features(rows)["prediction"]
    found = stored(world)
    np.testing.assert_array_equal(found["prediction"], expected.astype(float))
    assert world.lake.table("tiny", "predictions").read()["score"].null_count == 300
    wanted = None if task == "clustering" else pytest.approx(expected.mean())
    assert done.mean_score == wanted


def test_again_changes_nothing(tmp_path: Path):
    world = make_world(tmp_path)
    world.crown()
    world.land("2024-03", rows=300)
    first, before = predict(world), stored(world)
    again = predict(world, run_id="another run")
    assert (first.changed, again.changed) == (True, False)
    assert (again.rows, again.partition_version, again.mean_score) == (
        300, first.partition_version, pytest.approx(first.mean_score),
    )  # fmt: skip
    # `predicted_at` too: that says when the predictions that stand were made.
    pd.testing.assert_frame_equal(stored(world), before)


def test_new_features_are_scored_anew(tmp_path: Path):
    world = make_world(tmp_path)
    world.crown()
    world.land("2024-03", rows=300)
    predict(world)
    assert due(world) == []
    world.land("2024-03", rows=310, seed=9)
    assert due(world) == ["2024-03"]
    assert predict(world).rows == 310
    assert len(stored(world)) == 310


def test_a_new_champion_leaves_other_partitions_predictions_alone(tmp_path: Path):
    world = make_world(tmp_path)
    first = world.crown()
    world.land("2024-03", rows=300)
    predict(world)
    second = world.crown(as_of="2024-03", holdout="2024-02", seed=3)
    world.land("2024-04", rows=300)
    assert due(world) == ["2024-04"]
    predict(world, "2024-04")
    assert set(stored(world, "2024-03")["model_version"]) == {first}
    assert set(stored(world, "2024-04")["model_version"]) == {second}
    # Asked for by name, a partition is scored with the champion of the day.
    again = predict(world, "2024-03")
    assert (again.model_version, again.changed) == (second, True)


def test_the_scores_of_another_model_are_other_predictions_even_where_they_are_equal(
    tmp_path: Path,
):
    world = make_world(tmp_path)
    first = world.crown()
    second = world.crown(as_of="2024-03", holdout="2024-02")  # trained alike
    world.land("2024-03", rows=300)
    predict(world, champion=first)
    before = stored(world)
    done = predict(world, champion=second)
    np.testing.assert_array_equal(stored(world)["score"], before["score"])
    assert (done.model_version, done.changed) == (second, True)


def test_a_model_is_not_asked_about_what_it_learned_from(tmp_path: Path):
    world = make_world(tmp_path)
    world.crown(as_of="2024-03", holdout="2024-03")
    for month in ("2024-02", "2024-03", "2024-04"):
        world.land(month, rows=300)
    assert due(world) == ["2024-04"]


def test_a_feature_that_is_gone_is_named(tmp_path: Path):
    world = make_world(tmp_path)
    version = world.crown()
    rows = world.land("2024-02", rows=300)
    fewer = make_world(tmp_path / "other")
    fewer.registry = world.registry
    fewer.publish("features", "2024-03", rows, {"id": "int64", "x": "float64", "colour": "string"})
    with pytest.raises(
        DataContractError, match=rf"champion {version} needs the features .*\['z'\]"
    ):
        predict(fewer, champion=version)


def test_a_partition_without_features_is_named(tmp_path: Path):
    world = make_world(tmp_path)
    world.crown()
    world.land("2024-03", rows=300)
    with pytest.raises(DataContractError, match=r"2024-04.*2024-03"):
        predict(world, "2024-04")


def test_a_registry_that_does_not_answer_is_worth_a_retry(tmp_path: Path):
    world = make_world(tmp_path)
    world.land("2024-03", rows=300)
    world.registry = Registry("http://127.0.0.1:9", verify_key=tmp_path / "k", cache=tmp_path)
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9"):
        predict(world, champion="1")
