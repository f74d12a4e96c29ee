"""Three classes through the wheel: train, judge, refit, reproduce, score, monitor, serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from include.batch_predict.predict import predict_partition
from include.deploy.compare import compare
from include.deploy.refit import refit
from include.drift_monitor.monitor import Monitored, monitor_partition
from include.errors import DataContractError
from include.lake.frames import to_pandas
from include.lake.table import Lake
from include.registry.package import ServableModel
from include.train_tune.reproduce import reproduce
from tests.support.houses import House, make_house
from tests.support.lakes import fill
from tests.support.monitored import World
from tests.support.packages import make_package, tiny_use_case
from tests.support.registries import local_registry
from tests.support.serving import served, until
from tests.support.three_classes import (
    NAMES,
    probabilities,
    three_class_rows,
    three_classes,
)
from tests.support.trainings import train

MARCH = "2024-03"
COLUMNS = [f"probability_{name}" for name in NAMES]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """January and February are in the lake, a model was trained on January."""
    where, use_case = tmp_path_factory.mktemp("house"), three_classes()
    lake = Lake(str(where / "lake"))
    for seed, month in enumerate(("2024-01", "2024-02")):
        fill(lake, use_case, month, three_class_rows(month=month, seed=seed))
    made = make_house(where, use_case=use_case, lake=lake)
    train(made, linear_only=True)
    return made


def holdout(house: House) -> pd.DataFrame:
    rows = house.lake.table("tiny", "features").read(["2024-02"]).to_pandas()
    labels = house.lake.table("tiny", "labels").read(["2024-02"], ["id", "label"]).to_pandas()
    return rows.merge(labels, on="id", validate="one_to_one")


def test_a_training_records_the_metrics_of_several_classes(house: House) -> None:
    model = house.registry.load("tiny", "1")
    rows = holdout(house)
    answer = model.predict_features(rows)
    metrics = model.facts["metrics"]
    assert set(metrics) == {"log_loss", "roc_auc", "f1_macro", "f1_weighted", "accuracy"}
    own = log_loss(rows["label"], answer[COLUMNS].to_numpy(), labels=[0, 1, 2])
    assert metrics["log_loss"] == pytest.approx(own, rel=1e-9)
    best = log_loss(rows["label"], probabilities(rows), labels=[0, 1, 2])
    assert best - 0.02 < own < best + 0.03, "the truth is linear, so the model comes close to it"
    assert model.facts["baselines"]["dummy"]["log_loss"] > own + 0.2
    assert model.facts["holdout_estimate"]["problem"] is None
    learned = house.lake.table("tiny", "labels").read(["2024-01"])["label"].to_pandas()
    rows_of = dict(zip(NAMES, learned.value_counts().sort_index().tolist(), strict=True))
    assert model.facts["class_rows"] == rows_of
    tags = house.registry.client.get_run(model.facts["run_id"]).data.tags
    assert json.loads(tags["flywheel.class_rows"]) == rows_of
    assert np.abs(answer[COLUMNS].to_numpy() - probabilities(rows)).mean() < 0.05


def test_the_gate_lets_it_serve_and_refits_it(house: House, tmp_path: Path) -> None:
    verdict = compare(house.use_case, "1", None, house.lake, house.registry)
    assert verdict.promote, verdict.reasons
    assert (verdict.metric, verdict.confidence_low is not None) == ("log_loss", True)
    done = refit(house.use_case, "1", house.lake, house.registry, tmp_path / "work")
    assert done.version is not None, done.reasons
    assert house.registry.load("tiny", done.version).facts["refit_agreement"] > 0.9
    for version in ("1", done.version):
        again = reproduce("tiny", version, house.lake, house.registry)
        assert (again.verdict, again.rows, again.classes_differing) == ("identical", 600, 0)
    newer = compare(house.use_case, "1", done.version, house.lake, house.registry)
    assert newer.reasons == [
        f"version 1 is champion already, fitted again as {done.version}: nothing to do"
    ]


def test_a_champion_of_two_classes_counts_as_none(house: House, tmp_path: Path) -> None:
    run_id = house.registry.run("tiny", "two", "two", {})
    (tmp_path / "keys").symlink_to(house.registry.signing_key.parent)
    partitions = ("2023-12", "2024-01")
    two = make_package(tmp_path, use_case=tiny_use_case(), run_id=run_id, partitions=partitions)
    version = house.registry.register("tiny", run_id, two.folder, {"as_of": "2024-01"})
    verdict = compare(house.use_case, "1", version, house.lake, house.registry)
    assert (verdict.promote, verdict.champion_version) == (True, version), verdict.reasons
    assert (
        f"champion {version} cannot score these rows, so the challenger is judged as if"
        in (verdict.reasons[0])
    )
    assert "but tells apart two classes" in verdict.reasons[0]
    with pytest.raises(DataContractError, match=r"names, two classes, but tells apart \['low'"):
        compare(tiny_use_case(), "1", None, house.lake, house.registry)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Crown a champion that has learned January."""
    lake, registry = Lake(str(tmp_path / "lake")), local_registry(tmp_path / "registry")
    made = World(tmp_path, three_classes(), lake, registry)
    made.crown(rows=three_class_rows())
    return made


def scored(world: World, month: str = MARCH, **made: Any) -> pd.DataFrame:
    rows = world.land(month, frame=three_class_rows(month=month, **made))
    predict_partition(
        world.use_case, month, world.champion, world.lake, world.registry, world.writer()
    )
    return rows


def monitored(world: World, month: str = MARCH) -> Monitored:
    return monitor_partition(
        world.use_case, month, world.lake, world.registry, world.writer(), world.where / "reports"
    )


def test_a_batch_has_a_probability_for_each_class(world: World) -> None:
    rows = scored(world, seed=5)
    stored = world.lake.table("tiny", "predictions").read([MARCH]).to_pandas()
    stored = stored.sort_values("id", ignore_index=True)
    expected = world.registry.load("tiny", world.champion).predict_features(rows)
    np.testing.assert_array_equal(stored[COLUMNS], expected[COLUMNS])
    np.testing.assert_allclose(stored[COLUMNS].sum(axis=1), 1.0)
    assert stored["predicted_class"].tolist() == expected["predicted_class"].tolist()
    likeliest = stored[COLUMNS].to_numpy().argmax(axis=1)
    assert stored["prediction"].tolist() == likeliest.tolist()
    assert stored["predicted_class"].tolist() == [NAMES[number] for number in likeliest]
    assert stored["score"].isna().all()


def test_the_monitor_compares_predicted_classes_and_late_outcomes(world: World) -> None:
    rows = scored(world, rows=900, seed=1)
    calm = monitored(world)
    assert (calm.verdict, calm.prediction_drift, calm.performance_verdict) == (
        "stable", False, "no_labels",
    )  # fmt: skip
    world.land_outcomes(MARCH, rows)
    judged = monitored(world)
    stored = to_pandas(world.lake.table("tiny", "predictions").read([MARCH]))
    both = stored.merge(rows[["id", "outcome"]], on="id")
    own = log_loss(both["outcome"], both[COLUMNS].to_numpy(), labels=[0, 1, 2])
    assert judged.performance == pytest.approx(own, rel=1e-9)
    world.land_outcomes(MARCH, rows, shuffled=True)
    assert monitored(world).performance_verdict == "decay"


def test_late_outcomes_are_judged_with_the_weights_of_rows(world: World) -> None:
    world.use_case = three_classes(sample_weight="heft")
    rows = scored(world, rows=900, seed=1)
    world.land_outcomes(MARCH, rows)
    found = monitored(world)
    both = to_pandas(world.lake.table("tiny", "predictions").read([MARCH])).merge(rows, on="id")
    truth, score = both["outcome"], both[COLUMNS].to_numpy()
    own = log_loss(truth, score, labels=[0, 1, 2], sample_weight=both["heft"])
    assert found.performance == pytest.approx(own, rel=1e-9)
    assert abs(own - log_loss(truth, score, labels=[0, 1, 2])) > 1e-4


def test_predicted_classes_that_moved_are_drift(world: World) -> None:
    scored(world, rows=900, seed=1, shift=1.5)
    found = monitored(world)
    assert (found.verdict, found.prediction_drift) == ("drift", True)


def test_a_class_that_was_added_has_no_chance_with_an_older_model(world: World) -> None:
    world.use_case = three_classes(classes=["new one", *reversed(NAMES)])
    rows = scored(world, seed=2)
    stored = to_pandas(world.lake.table("tiny", "predictions").read([MARCH]))
    stored = stored.sort_values("id", ignore_index=True)
    expected = world.registry.load("tiny", world.champion).predict_features(rows)
    assert (stored["probability_new one"] == 0.0).all()
    np.testing.assert_array_equal(stored[COLUMNS], expected[COLUMNS])
    assert stored["predicted_class"].tolist() == expected["predicted_class"].tolist()
    assert stored["prediction"].tolist() == (3 - expected["prediction"]).tolist()
    renumbered = rows.assign(outcome=3 - rows["outcome"])
    world.land_outcomes(MARCH, renumbered)
    found = monitored(world)
    own = log_loss(rows["outcome"], expected[COLUMNS].to_numpy(), labels=[0, 1, 2])
    assert found.performance == pytest.approx(own, rel=1e-9)
    assert found.prediction_drift is False


def test_a_model_of_two_classes_is_refused_with_words(world: World) -> None:
    world.land(MARCH, frame=three_class_rows(month=MARCH))
    two = tiny_use_case()
    world.use_case = two
    with pytest.raises(DataContractError, match=r"tells apart \['low', .*Train again"):
        predict_partition(two, MARCH, world.champion, world.lake, world.registry, world.writer())


@pytest.fixture
def model(tmp_path: Path) -> ServableModel:
    use_case = three_classes()
    return make_package(tmp_path, use_case=use_case, rows=three_class_rows()).load()


def test_an_answer_names_the_class_and_the_probability_of_each(
    model: ServableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"x": 3.0, "z": 0.0, "colour": "blue"}, {"x": -3.0, "z": 0.0, "colour": "red"}]
    expected = model.predict_features(pd.DataFrame(rows))
    with served(model, tmp_path / "serving", monkeypatch) as client:
        reply = client.post("/tiny/invocations", json={"instances": rows})
        assert reply.status_code == 200
        answer = reply.json()
        assert answer == {
            "predictions": ["mid range", 'höchst "special"'],
            "probabilities": [
                dict(zip(NAMES, values, strict=True)) for values in expected[COLUMNS].to_numpy()
            ],
        }
        described = client.get("/openapi.json").json()
    ok = described["paths"]["/{use_case}/invocations"]["post"]["responses"]["200"]
    properties = ok["content"]["application/json"]["schema"]["properties"]
    assert properties.keys() >= answer.keys()
    table = Lake(f"{tmp_path}/serving/home/lake").table("tiny", "requests")
    until(lambda: table.exists() and table.read().num_rows == 2)
    logged = table.read().to_pandas().sort_values("row")
    assert logged["predicted_class"].tolist() == answer["predictions"]
    assert logged["prediction"].tolist() == [1.0, 2.0]
    assert [json.loads(text) for text in logged["probabilities"]] == answer["probabilities"]
    assert logged["score"].isna().all()
