"""The command lines of `make lineage` and `make reproduce`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.settings import Settings
from scripts import lineage, reproduce
from scripts.deployment import Deployment, named
from tests.support.houses import House, make_house
from tests.support.trainings import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Make a house with one trained model version."""
    house = make_house(tmp_path_factory.mktemp("house"))
    train(house, linear_only=True)
    return house


@pytest.fixture
def deployed(trained: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name the house."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.registry.tracking_uri)
    monkeypatch.setenv("FLYWHEEL_LAKE_URI", trained.lake.uri)
    monkeypatch.setenv("FLYWHEEL_VERIFY_KEY", str(trained.registry.verify_key))
    monkeypatch.setenv("FLYWHEEL_HOME", str(trained.work))


@pytest.mark.usefixtures("deployed")
def test_a_model_is_traced_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert lineage.main(["--model", "tiny/1"]) == 0
    assert capsys.readouterr().out.startswith("tiny, model version 1: logistic_regression\n")
    assert lineage.main(["--model", "tiny/1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["prepared"]["partitions"] == ["2024-01", "2024-02"]
    assert {step["table"] for step in told["sources"]} == {
        "tiny.features", "tiny.labels", "tiny.clean",
    }  # fmt: skip


@pytest.mark.usefixtures("deployed")
def test_a_partition_is_traced(capsys: pytest.CaptureFixture[str]) -> None:
    assert lineage.main(["--partition", "tiny/2024-01"]) == 0
    assert "version 1 as of 2024-02, as training" in capsys.readouterr().out
    assert lineage.main(["--partition", "tiny/2024-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["version"] == "1"


@pytest.mark.usefixtures("deployed")
def test_a_model_is_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--model", "tiny/1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny/1: identical. All 400 holdout rows are equal bit for bit.\n")
    assert "roc_auc" in out
    assert reproduce.main(["--model", "tiny/1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "identical"


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (lineage, ["--model", "tiny/9"], "tiny/9: the registry has no such model version"),
        (lineage, ["--partition", "tiny/1999-01"], "no table of the lake has this partition"),
        (lineage, ["--model", "tiny"], "MODEL: must be <use case>/<which one>"),
        (reproduce, ["--model", "tiny/9"], "tiny version 9: no such version"),
        (reproduce, ["--model", "/2"], "MODEL: must be <use case>/<which one>"),
    ],
)
def test_what_is_not_there_is_said_in_words(
    command: object, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 1  # type: ignore[attr-defined]
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


@pytest.mark.parametrize("text", ["", "tiny", "tiny/", "/2", "a/b/c"])
def test_a_name_that_is_no_name_says_how_it_goes(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Start it again with MODEL=flight_delays/2\.$"):
        named(text, "MODEL", "flight_delays/2")


def test_without_an_address_it_is_the_stack_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(os.environ)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    try:
        found = Deployment.of_environment().settings
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert isinstance(found, Settings)
    assert (found.home, found.tracking_uri) == (tmp_path, "http://127.0.0.1:5000")
