"""Predictions of a partition: whose, of what, and when they count as the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include import model_features
from include.batch_predict.predict import VOLATILE, Predicted, predict_partition
from include.due.state import states
from include.due.wanted import wanted_predictions
from include.errors import DataContractError, ServiceUnavailable, SettingsError
from include.lake.content import content_version
from include.model_features import features_for
from include.registry.client import Registry
from tests.support.monitored import World, make_world
from tests.support.packages import TINY, tiny_rows, tiny_use_case


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
    wanted = wanted_predictions(world.use_case, world.lake, serves.known_up_to if serves else None)
    found = states("tiny", "predictions", wanted, world.lake)
    return [key for key, state in found.items() if state.due]


def stored(world: World, month: str = "2024-03", version: str | None = None) -> pd.DataFrame:
    rows = world.lake.table("tiny", "predictions").read([month]).to_pandas()
    if version is not None:
        rows = rows[rows["model_version"] == version].reset_index(drop=True)
    return rows


def features_py(where: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Write `features.py` of the working tree."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(where / "use_cases"))
    folder = where / "use_cases" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.py").write_text(text)


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


# Each model version keeps what it predicted


def test_another_champion_keeps_what_the_first_predicted(tmp_path: Path):
    world = make_world(tmp_path)
    first = world.crown()
    rows = world.land("2024-03", rows=300)
    predict(world)
    before = stored(world)
    second = world.crown(as_of="2024-03", holdout="2024-02", seed=3)
    assert predict(world).changed

    pd.testing.assert_frame_equal(stored(world, version=first), before)
    expected = world.registry.load("tiny", second).predict_features(rows)
    np.testing.assert_array_equal(stored(world, version=second)["score"], expected["score"])
    assert len(stored(world)) == 600


def test_back_to_the_first_model_writes_nothing_and_makes_it_current(tmp_path: Path):
    world = make_world(tmp_path)
    first = world.crown()
    world.land("2024-03", rows=300)
    one = predict(world)
    second = world.crown(as_of="2024-03", holdout="2024-02", seed=3)
    two = predict(world)
    before = stored(world).sort_values(["model_version", "id"], ignore_index=True)

    again = predict(world, champion=first)  # a rollback, and a run by hand

    after = stored(world).sort_values(["model_version", "id"], ignore_index=True)
    pd.testing.assert_frame_equal(after, before)  # `predicted_at` too
    assert (one.changed, two.changed, again.changed) == (True, True, True)
    assert again.partition_version == one.partition_version != two.partition_version
    table = world.lake.table("tiny", "predictions")
    assert table.made_from({"2024-03": ["model_version"]})["2024-03"]["model_version"] == int(first)
    assert predict(world, champion=first).changed is False
    assert set(after["model_version"]) == {first, second}


def test_a_rebuild_with_other_rows_replaces_what_this_version_predicted_alone(tmp_path: Path):
    world = make_world(tmp_path)
    first = world.crown()
    world.land("2024-03", rows=300)
    predict(world)
    before = stored(world)
    second = world.crown(as_of="2024-03", holdout="2024-02", seed=3)
    predict(world)
    world.land("2024-03", rows=310, seed=9)
    assert due(world) == ["2024-03"]
    predict(world)
    pd.testing.assert_frame_equal(stored(world, version=first), before)
    assert len(stored(world, version=second)) == 310
    assert due(world) == []


# A model does not score what it knows


@pytest.mark.parametrize(
    ("partition", "how"), [("2024-01", "trained on"), ("2024-02", "judged by")]
)
def test_what_the_model_was_trained_on_or_judged_by_is_refused(
    tmp_path: Path, partition: str, how: str
):
    world = make_world(tmp_path)
    version = world.crown(partitions=["2024-01", "2024-02"])
    world.land(partition, rows=300)
    with pytest.raises(DataContractError, match=f"version {version} was {how} {partition}, so"):
        predict(world, partition)
    assert not world.lake.table("tiny", "predictions").exists()


# The model's own features


TWICE = "def derive(frame):\n    return frame.assign(z=frame['x'] * 2)\n"
THRICE = "def derive(frame):\n    return frame.assign(z=frame['x'] * 3)\n"


def test_an_edited_features_py_changes_nothing_in_what_a_model_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    features_py(tmp_path, monkeypatch, TWICE)
    world = make_world(tmp_path)
    version = world.crown()  # with a copy of it
    world.land("2024-03", rows=300)
    predict(world)
    before = stored(world)
    features_py(tmp_path, monkeypatch, THRICE)
    world.land("2024-03", rows=300)  # the table is rebuilt, with the edited definition
    table = world.lake.table("tiny", "features").read(["2024-03"]).to_pandas()
    np.testing.assert_array_equal(table["z"], table["x"] * 3)

    again = predict(world)

    assert again.changed is False
    pd.testing.assert_frame_equal(stored(world), before)
    rows = tiny_rows(300, "2024-03").assign(z=lambda frame: frame["x"] * 2)
    expected = world.registry.load("tiny", version).predict_features(rows)["score"]
    np.testing.assert_array_equal(before["score"], expected)
    assert due(world) == []


def test_the_stored_features_are_used_where_nothing_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    features_py(tmp_path, monkeypatch, TWICE)
    world = make_world(tmp_path)
    version = world.crown()
    world.land("2024-03", rows=300)
    built = []
    real = model_features.build_features
    monkeypatch.setattr(
        model_features, "build_features", lambda *given: built.append(1) or real(*given)
    )
    predict(world)
    assert built == []
    by_table = stored(world)["score"]
    features_py(tmp_path, monkeypatch, THRICE)
    world.land("2024-03", rows=300)
    predict(world, run_id="another")
    assert built == [1]
    np.testing.assert_array_equal(stored(world, version=version)["score"], by_table)


def test_two_versions_score_a_partition_each_with_its_own_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = make_world(tmp_path)
    features_py(tmp_path, monkeypatch, TWICE)
    first = world.crown()
    features_py(tmp_path, monkeypatch, THRICE)
    second = world.crown(as_of="2024-03", holdout="2024-02")
    rows = world.land("2024-03", rows=300)
    for version, factor in ((first, 2), (second, 3)):
        predict(world, champion=version)
        own = rows.assign(z=rows["x"] * factor)
        expected = world.registry.load("tiny", version).predict_features(own)["score"]
        np.testing.assert_array_equal(stored(world, version=version)["score"], expected)


def test_features_that_are_built_come_from_the_rows_that_the_table_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Newer clean rows are not features yet: their keys would not be those of the table."""
    world = make_world(tmp_path)
    features_py(tmp_path, monkeypatch, TWICE)
    version = world.crown()
    features_py(tmp_path, monkeypatch, THRICE)
    world.land("2024-03", rows=300)
    newer = tiny_rows(350, "2024-03", seed=8)
    world.publish("clean", "2024-03", newer, dict(world.use_case.ingest.columns))
    done = features_for(world.registry.load("tiny", version), "2024-03", world.lake)
    assert (len(done.frame), done.stored) == (300, False)
    assert [one.table for one in done.inputs] == ["tiny.features", "tiny.clean"]
    assert done.inputs[1].version == 0


def test_features_are_not_built_from_another_table_in_the_place_of_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = make_world(tmp_path)
    features_py(tmp_path, monkeypatch, TWICE)
    world.crown()
    features_py(tmp_path, monkeypatch, THRICE)
    rows = world.land("2024-03", rows=300)
    (tmp_path / "lake" / "tiny" / "clean").rename(tmp_path / "away")
    world.publish("clean", "2024-03", rows.assign(x=99.0), world.use_case.ingest.columns)
    with pytest.raises(DataContractError, match=r"table tiny\.clean: version 0 was pinned in"):
        predict(world)


def test_a_store_that_refuses_is_no_refusal_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As one it would let the gate put the dummy in the champion's place."""
    world = make_world(tmp_path)
    features_py(tmp_path, monkeypatch, TWICE)
    world.crown()
    features_py(tmp_path, monkeypatch, THRICE)
    world.land("2024-03", rows=300)

    def refused(*_args: object) -> None:
        raise SettingsError("403 Forbidden")

    monkeypatch.setattr(model_features, "load_references", refused)
    with pytest.raises(SettingsError):
        predict(world)


def test_what_the_models_python_raises_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = make_world(tmp_path)
    features_py(tmp_path, monkeypatch, "def derive(frame):\n    return frame['nothing']\n")
    world.crown()
    features_py(tmp_path, monkeypatch, TWICE)
    world.land("2024-03", rows=300)
    with pytest.raises(DataContractError, match="model version 1 needs them: KeyError: 'nothing'"):
        predict(world)


# Other models


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
    np.testing.assert_array_equal(stored(world, version=second)["score"], before["score"])
    assert (done.model_version, done.changed) == (second, True)


def test_a_model_is_not_asked_about_what_it_learned_from(tmp_path: Path):
    world = make_world(tmp_path)
    world.crown(as_of="2024-03", holdout="2024-03")
    for month in ("2024-02", "2024-03", "2024-04"):
        world.land(month, rows=300)
    assert due(world) == ["2024-04"]


def test_what_the_model_needs_and_is_gone_is_named(tmp_path: Path):
    """A column that the use case has no more: the model is older than the table."""
    world = make_world(tmp_path)
    version = world.crown()
    columns = {name: kind for name, kind in TINY["ingest"]["columns"].items() if name != "z"}
    world.use_case = tiny_use_case(
        ingest={**TINY["ingest"], "columns": columns},
        features={"inputs": ["x", "colour"], "numeric": ["x"], "categorical": ["colour"]},
    )
    world.land("2024-03", rows=300)
    with pytest.raises(
        DataContractError,
        match=rf"2024-03 cannot be built as model version {version} needs them: .*without \['z'\]",
    ):
        predict(world)


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
