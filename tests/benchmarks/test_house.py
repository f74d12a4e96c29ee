"""What the measurements' own stack does with the environment of who calls it."""

from __future__ import annotations

import json
import os

from benchmarks import house
from include.use_cases.loader import load_all


def test_a_callers_lake_and_registry_are_out_of_reach_and_back_afterwards(monkeypatch):
    own = {
        "FLYWHEEL_LAKE_URI": "s3://production/lake",
        "MLFLOW_TRACKING_URI": "http://production:5000",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    before = dict(os.environ)
    with house.nobodys_environment():
        assert not set(own) & set(os.environ)
        assert os.environ["AWS_REGION"] == "eu-central-1"
        os.environ["FLYWHEEL_HOME"] = "/elsewhere"
    assert dict(os.environ) == before


def test_variables_are_set_and_put_back_also_after_an_error(monkeypatch):
    monkeypatch.setenv("KNOWN", "old")
    monkeypatch.delenv("NEW", raising=False)
    try:
        with house.variables({"KNOWN": "changed", "NEW": "there"}):
            assert (os.environ["KNOWN"], os.environ["NEW"]) == ("changed", "there")
            raise KeyError
    except KeyError:
        pass
    assert os.environ["KNOWN"] == "old"
    assert "NEW" not in os.environ


class FakeStack:
    """Stands for a stack: notes what it is told."""

    told: tuple[str, ...] = ()

    def __init__(self, settings, say):
        self.settings = settings

    def up(self):
        FakeStack.told += ("up",)
        FakeStack.use_cases = set(load_all().use_cases)
        bundles = json.loads(os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        FakeStack.bundles = {bundle["name"]: bundle["kwargs"]["path"] for bundle in bundles}

    def down(self):
        FakeStack.told += ("down",)


def test_the_stack_has_one_use_case_both_dag_folders_and_is_stopped_whatever_happens(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(house, "Stack", FakeStack)
    try:
        with house.one_use_case(tmp_path, print) as home:
            assert home.stack.settings.home == tmp_path / "home"
            raise OSError
    except OSError:
        pass
    assert FakeStack.told == ("up", "down")
    assert FakeStack.use_cases == {house.USE_CASE}
    assert FakeStack.bundles == {
        "dags-folder": str(house.REPO / "dags"),
        "benchmarks": str(house.REPO / "benchmarks" / "dags"),
    }
