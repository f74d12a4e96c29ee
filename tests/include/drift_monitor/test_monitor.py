"""Monitoring through a real lake and registry: verdicts, rows, report, and the same twice."""

from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from include.batch_predict.predict import predict_partition
from include.drift_monitor.monitor import Monitored, monitor_partition
from include.due.state import states
from include.due.wanted import wanted_monitoring
from include.errors import DataContractError
from include.lake.content import content_version
from tests.support.monitored import World, make_world

MARCH = "2024-03"


def predict(world: World, month: str = MARCH, champion: str | None = None) -> None:
    version = champion or world.champion
    predict_partition(world.use_case, month, version, world.lake, world.registry, world.writer())


def due(world: World) -> list[str]:
    found = states("tiny", "monitoring", wanted_monitoring(world.use_case, world.lake), world.lake)
    return [key for key, state in found.items() if state.status != "up to date"]


def monitor(world: World, month: str = MARCH) -> Monitored:
    return monitor_partition(
        world.use_case, month, world.lake, world.registry, world.writer(), world.where / "reports"
    )


def stored(world: World, month: str = MARCH) -> pd.DataFrame:
    rows = world.lake.table("tiny", "monitoring").read([month]).to_pandas()
    return rows.drop(columns="partition").sort_values(["kind", "name"], ignore_index=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """March is landed and scored by a champion."""
    made = make_world(tmp_path)
    made.crown()
    return made


def test_without_predictions_there_is_nothing_to_monitor(world: World):
    rows = world.land(MARCH, rows=300)
    world.land_outcomes(MARCH, rows)
    assert due(world) == []
    with pytest.raises(DataContractError, match=r"tiny\.predictions has nothing yet"):
        monitor(world)
    assert not world.lake.table("tiny", "monitoring").exists()
    world.land("2024-04", rows=300)
    predict(world, "2024-04")
    with pytest.raises(DataContractError, match=r"partition \['2024-03'\] must be .*'2024-04'"):
        monitor(world)


def test_outcomes_of_a_partition_nobody_scored_change_nothing(tmp_path: Path):
    world = make_world(tmp_path)
    rows = world.land(MARCH, rows=300)
    world.land_outcomes(MARCH, rows)
    world.crown(as_of=MARCH, holdout=MARCH)  # it learned from March, and does not score it
    assert due(world) == []


def test_the_same_as_ever_is_stable(world: World):
    world.land(MARCH, rows=400, seed=1)
    predict(world)
    found = monitor(world)
    assert (found.verdict, found.prediction_drift, found.drifted_features) == ("stable", False, [])
    assert (found.performance, found.performance_verdict) == (None, "no_labels")
    assert found.reasons[0].startswith("predictions did not drift: Jensen-Shannon distance 0.")
    assert found.reasons[1] == "no outcomes have come yet"


def test_predictions_that_moved_are_drift(world: World):
    world.land(MARCH, rows=400, seed=1, shift=1.0)
    predict(world)
    found = monitor(world)
    assert (found.verdict, found.prediction_drift) == ("drift", True)
    assert found.drifted_features == ["x"]
    assert "1 of 3 features drifted (x)" in found.reasons[0]
    rows = stored(world).set_index(["kind", "name"])
    assert set(rows["verdict"]) == {"drift"}
    assert rows["flagged"].to_dict() == {
        ("feature_drift", "colour"): False,
        ("feature_drift", "x"): True,
        ("feature_drift", "z"): False,
        ("prediction_drift", "prediction"): True,
        ("summary", "drifted_features"): True,
    }
    assert rows.loc[("summary", "drifted_features"), "value"] == pytest.approx(1 / 3)
    prediction = rows.loc[("prediction_drift", "prediction")]
    assert prediction["threshold"] == 0.1
    assert prediction["value"] >= 0.1
    assert prediction["p_value"] <= 0.05
    assert (prediction["rows_reference"], prediction["rows_current"]) == (400, 400)


def test_features_that_moved_alone_alarm_nobody(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    world.land(MARCH, rows.assign(z=rows["z"] + 3))  # the outcome is not made of z
    predict(world)
    found = monitor(world)
    assert found.drifted_features == ["z"]
    assert (found.verdict, found.prediction_drift) == ("stable", False)


def test_outcomes_that_come_true_are_stable(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    monitor(world)
    assert due(world) == []
    world.land_outcomes(MARCH, rows)
    assert due(world) == [MARCH]
    found = monitor(world)
    scores = world.lake.table("tiny", "predictions").read([MARCH]).to_pandas()["score"]
    assert found.performance == pytest.approx(roc_auc_score(rows["outcome"], scores))
    assert found.performance_reference == 0.75
    assert (found.verdict, found.performance_verdict) == ("stable", "stable")
    assert due(world) == []
    row = stored(world).set_index("kind").loc["performance"]
    assert (row["name"], row["flagged"], row["rows_current"]) == ("roc_auc", False, 400)
    assert row["value"] == found.performance
    assert row["threshold"] == pytest.approx(0.75 - 0.1 * (0.75 - 0.5)), "a tenth of the skill"


def test_outcomes_that_do_not_come_true_are_decay(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows, shuffled=True)
    found = monitor(world)
    assert (found.verdict, found.performance_verdict) == ("decay", "decay")
    assert found.prediction_drift is False
    assert found.performance == pytest.approx(0.5, abs=0.1)
    assert "0.75 on the holdout: worse by 0." in found.reasons[1]
    rows = stored(world)
    assert rows.loc[rows["kind"] == "performance", "flagged"].item()
    assert set(rows["verdict"]) == {"decay"}


def test_predictions_made_then_count_not_todays_champion(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.crown(as_of=MARCH, holdout="2024-02", seed=7)
    world.land_outcomes(MARCH, rows)
    assert monitor(world).model_version == "1"


def test_a_new_champion_that_scored_the_partition_makes_it_due(world: World):
    """The predictions of both stay; the one that scored it last is monitored."""
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows)
    first = monitor(world)
    assert due(world) == []
    second = world.crown(as_of=MARCH, holdout="2024-02", seed=7)
    predict(world)
    assert due(world) == [MARCH]

    found = monitor(world)

    assert (first.model_version, found.model_version) == ("1", second)
    scored = world.lake.table("tiny", "predictions").read([MARCH]).to_pandas()
    assert len(scored) == 800
    for version, figure in (("1", first.performance), (second, found.performance)):
        scores = scored.loc[scored["model_version"] == version, "score"]
        assert figure == pytest.approx(roc_auc_score(rows["outcome"], scores))
    assert set(stored(world)["model_version"]) == {second}, "each finding says whose it is"
    assert world.lake.table("tiny", "monitoring").facts(MARCH)["facts"]["model_version"] == second
    predict(world, champion="1")  # after a rollback
    assert due(world) == [MARCH]
    again = monitor(world)
    assert (again.model_version, again.performance) == ("1", first.performance)
    assert due(world) == []


def test_an_edited_features_py_is_no_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
):
    """A partition is held against the reference with the features of the model that has it."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "use_cases"))
    path = tmp_path / "use_cases" / "tiny" / "features.py"
    path.parent.mkdir(parents=True)
    path.write_text("def derive(frame):\n    return frame.assign(z=frame['z'] + 5)\n")
    rows = world.land(MARCH, rows=400, seed=1)
    table = world.lake.table("tiny", "features").read([MARCH]).to_pandas()
    assert table["z"].mean() == pytest.approx(rows["z"].mean() + 5)
    predict(world)
    found = monitor(world)
    assert (found.verdict, found.drifted_features) == ("stable", [])


@pytest.mark.parametrize("rows", [199, 200])
def test_too_few_rows_are_not_judged(world: World, rows: int):
    landed = world.land(MARCH, rows=rows, seed=1, shift=5.0)
    predict(world)
    world.land_outcomes(MARCH, landed)
    found = monitor(world)
    if rows == 200:
        assert found.verdict == "drift"
        return
    assert (found.verdict, found.prediction_drift) == ("too_few_rows", None)
    assert found.performance_verdict == "too_few_rows"
    assert found.reasons == [
        "too few rows to compare: 199 scored here and 400 in the reference, 200 needed of each",
        "too few outcomes: 199, 200 needed",
    ]
    assert list(stored(world)["kind"]) == ["summary"]


def test_outcomes_of_one_class_have_no_roc_auc(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows.assign(outcome=0.0))
    found = monitor(world)
    assert (found.verdict, found.performance, found.performance_verdict) == (
        "stable", None, "undefined",
    )  # fmt: skip
    assert (
        found.reasons[1]
        == "roc_auc on 400 outcomes cannot be judged: not enough data: 0 rows of class 1, 20 are "
        "needed"
    )


def test_rows_without_an_outcome_are_left_out(world: World):
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows.iloc[:300])
    monitor(world)
    row = stored(world).set_index("kind").loc["performance"]
    assert row["rows_current"] == 300


def test_regression_decays_upwards(tmp_path: Path):
    world = make_world(tmp_path, "regression")
    world.crown()
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows.assign(outcome=rows["outcome"] * 5))
    found = monitor(world)
    assert found.verdict == "decay"
    assert found.performance > found.performance_reference
    row = stored(world).set_index("kind").loc["performance"]
    assert row["threshold"] == pytest.approx(0.75 + 0.1 * (0.75 - 0.5))


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "stable"), (2.0, "drift")])
def test_clusters_drift_by_their_shares(tmp_path: Path, shift: float, verdict: str):
    world = make_world(tmp_path, "clustering")
    world.crown()
    world.land(MARCH, rows=400, seed=1, shift=shift)
    predict(world)
    found = monitor(world)
    assert (found.verdict, found.performance_verdict) == (verdict, None)
    assert len(found.reasons) == 1


def test_again_gives_the_same_rows_and_the_same_run(world: World):
    landed = world.land(MARCH, rows=400, seed=1, shift=0.4)
    predict(world)
    world.land_outcomes(MARCH, landed)
    first, before = monitor(world), stored(world)
    again, after = monitor(world), stored(world)
    pd.testing.assert_frame_equal(
        after.drop(columns="computed_at"), before.drop(columns="computed_at")
    )
    assert (first.changed, again.changed) == (True, False)
    assert again.partition_version == first.partition_version
    assert again.report_run_id == first.report_run_id
    assert again.reasons == first.reasons


def test_the_report_and_the_numbers_are_in_mlflow(world: World):
    world.land(MARCH, rows=400, seed=1, shift=1.0)
    predict(world)
    found = monitor(world)
    client = world.registry.client
    run = client.get_run(found.report_run_id)
    assert run.info.run_name == f"monitor {MARCH}"
    assert run.info.status == "FINISHED"
    tags = {key: value for key, value in run.data.tags.items() if key.startswith("flywheel.")}
    assert tags == {
        "flywheel.phase": "drift_monitor", "flywheel.partition": MARCH,
        "flywheel.use_case": "tiny", "flywheel.request": f"monitor {MARCH}",
        "flywheel.verdict": "drift", "flywheel.model_version": "1",
    }  # fmt: skip
    prediction = stored(world).set_index("kind").loc["prediction_drift"]
    assert run.data.metrics["prediction_distance"] == prediction["value"]
    assert run.data.metrics["drifted_features"] == 1
    local = client.download_artifacts(found.report_run_id, "drift.html", str(world.where))
    html = Path(local).read_text()
    for column in ("prediction", "x", "z", "colour"):
        assert f"Drift in column '{column}'" in html
    assert [artifact.path for artifact in client.list_artifacts(found.report_run_id)] == [
        "drift.html"
    ]


def test_what_is_new_is_found_by_version(world: World):
    for month in ("2024-03", "2024-04"):
        world.land(month, rows=300)
        predict(world, month)
    assert due(world) == ["2024-03", "2024-04"]
    monitor(world, "2024-03")
    assert due(world) == ["2024-04"]
    monitor(world, "2024-04")
    world.land("2024-03", rows=310)
    assert due(world) == ["2024-03"]
    monitor(world, "2024-03")
    assert due(world) == []
    predict(world, "2024-03")  # of the new features
    assert due(world) == ["2024-03"]
    monitor(world, "2024-03")
    predict(world, "2024-03")  # the same once more
    assert due(world) == []


def test_a_changed_threshold_is_judged_anew(world: World):
    world.land(MARCH, rows=400, seed=1, shift=1.0)
    predict(world)
    assert monitor(world).verdict == "drift"
    monitor_section = world.use_case.monitor.model_copy(update={"min_effect": 0.9})
    world.use_case = world.use_case.model_copy(update={"monitor": monitor_section})
    assert due(world) == [MARCH]
    found = monitor(world)
    assert (found.verdict, found.changed) == ("stable", True)
    assert due(world) == []


def test_outcomes_that_were_taken_back_are_forgotten(world: World):
    """Monitored without them, a partition is up to date until they come, also the same ones."""
    rows = world.land(MARCH, rows=400, seed=1)
    predict(world)
    world.land_outcomes(MARCH, rows)
    with_outcomes = monitor(world)
    world.lake.table("tiny", "labels").clear(MARCH, world.writer())
    assert due(world) == [MARCH]
    assert monitor(world).performance_verdict == "no_labels"
    assert due(world) == []
    world.land_outcomes(MARCH, rows)
    assert due(world) == [MARCH]
    again = monitor(world)
    assert (again.performance, again.partition_version) == (
        with_outcomes.performance, with_outcomes.partition_version,
    )  # fmt: skip
    assert due(world) == []


def test_the_version_leaves_out_when_it_was_computed(world: World):
    world.land(MARCH, rows=400, seed=1)
    predict(world)
    found = monitor(world)
    table = world.lake.table("tiny", "monitoring")
    rows = table.read([MARCH], table.schema().names)
    assert found.partition_version == content_version(rows, ("computed_at",))


def test_nothing_landed_nothing_to_monitor(tmp_path: Path):
    world = make_world(tmp_path)
    assert due(world) == []
    with pytest.raises(DataContractError, match=r"tiny\.predictions has nothing yet"):
        monitor(world)


def test_predictions_of_two_models_are_refused(world: World):
    rows = world.land(MARCH, rows=300)
    mixed = rows[["id"]].assign(
        prediction=0.0,
        score=0.5,
        model_version=["1", "2"] * 150,
        predicted_at=pd.Timestamp("2024-04-01", tz="UTC").as_unit("us"),
    )
    columns = {
        "id": "int64", "prediction": "float64", "score": "float64", "model_version": "string",
        "predicted_at": "timestamp",
    }  # fmt: skip
    world.publish("predictions", MARCH, mixed, columns)
    with pytest.raises(DataContractError, match=r"partition 2024-03: one model .*\['1', '2'\]"):
        monitor(world)
