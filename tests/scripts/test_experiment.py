"""A configuration that is tried in a terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from include.errors import ConfigError
from include.lake.table import Lake
from include.modelling.training_set import load_training_set
from include.modelling.tuning import fit_and_compare
from include.train_tune.prepare import prepare
from scripts import experiment
from tests.support.houses import House, make_house
from tests.support.trainings import finished, searched


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make_house(tmp_path)


def test_it_chooses_and_judges_as_a_training_does(house: House) -> None:
    console = Console(file=StringIO(), width=120)
    found = experiment.run(house.use_case, house.lake, None, console)
    prepared = prepare(house.use_case, "2024-02", house.lake, house.registry, "run-1")
    trained = finished(house, prepared, searched(house, prepared))

    assert (found.choice.trial.candidate, found.choice.trial.params) == (
        trained.candidate,
        trained.params,
    )
    values = found.compared.values
    assert values["model"]["roc_auc"] == pytest.approx(trained.value, abs=1e-12)
    assert values["dummy"]["roc_auc"] == trained.dummy
    assert len(found.done) == trained.trials

    experiment.show(found, console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{trained.candidate}" in told
    assert f"{trained.value:.4f}" in told


def test_it_is_logged_and_nothing_is_registered(house: House) -> None:
    found = experiment.run(house.use_case, house.lake, "2024-02", Console(file=StringIO()))
    run_id = experiment.log(found, {"train.tuning.trials": "2"}, house.registry)

    run = house.registry.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["candidate"] == found.choice.trial.candidate
    assert run.data.params["train.tuning.trials"] == "2"
    assert run.data.metrics["holdout_roc_auc"] == found.compared.values["model"]["roc_auc"]
    assert run.data.tags["flywheel.phase"] == "experiment"
    assert "flywheel.version.tiny.features" in run.data.tags
    assert not house.registry.client.search_model_versions("name = 'tiny'")
    assert house.registry.trainings("tiny") == {}


def test_an_empty_lake_is_told(house: House, tmp_path: Path) -> None:
    empty = Lake(str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"tiny: the lake has no labelled partitions"):
        experiment.run(house.use_case, empty, None, Console(file=StringIO()))


@pytest.mark.parametrize("text", ["trials", "=5", "trials="])
def test_a_change_without_key_or_sign_is_told(text: str) -> None:
    if text == "trials=":
        assert experiment._pair(text) == ("trials", "")
        return
    with pytest.raises(ConfigError, match=r"must be KEY=VALUE"):
        experiment._pair(text)


def test_what_is_compared_are_the_models_of_the_same_rows(house: House) -> None:
    training = load_training_set(house.use_case, house.lake, "2024-02")
    compared = fit_and_compare(house.use_case, "logistic_regression", {"C": 1.0}, training)
    assert compared.values["model"] == compared.values["linear"]
