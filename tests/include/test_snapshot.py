"""A table without a time, through the phases: snapshots of customers, with labels of text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.batch_predict.predict import predict_partition
from include.deploy.apply import promote
from include.deploy.compare import compare
from include.deploy.refit import refit
from include.drift_monitor.monitor import monitor_partition
from include.errors import DataContractError
from include.feature.build import build_partition
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from include.modelling.training_set import load_training_set
from include.use_cases.loader import load
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from tests.support.houses import House
from tests.support.registries import local_registry
from tests.support.trainings import train

FIRST, SECOND = "2024-05-01", "2024-06-01"
YAML = """
task: classification
description: Will this customer leave?
owner: churn@example.com
ingest:
  landing: customers/{partition}/*.csv
  partition: {grain: day}
  key: [customer]
  format: {null_values: [" "]}
  columns: {customer: string, plan: string, calls: int64, bill: float64}
labels:
  strategy: column
  from: left
  classes: {Yes: 1, No: 0}
  columns: {left: string}
features:
  inputs: [plan, calls, bill]
  numeric: [calls, bill]
  categorical: [plan]
train:
  metric: roc_auc
  split: {by: random, folds: 2}
  candidates:
    - estimator: logistic_regression
    - estimator: hist_gradient_boosting
      max_iter: 10
  tuning: {trials: 2}
retrain: {when: [drift, new_rows]}
"""
SUITE = """
- expectation: expect_column_values_to_not_be_null
  on_failure: quarantine
  column: customer
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    folder = tmp_path / "use_cases" / "churn"
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text(YAML)
    (folder / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    return House(
        use_case=load(folder),
        lake=Lake(str(tmp_path / "lake")),
        registry=local_registry(tmp_path / "registry", ["churn"]),
        work=tmp_path / "work",
    )


def customers(first: int = 0, count: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Make customers by number; two calls with one `first` make the same ones."""
    random = np.random.default_rng(seed + first)
    calls = random.poisson(3, count)
    plan = random.choice(["basic", "gold"], count)
    pull = 0.9 * (calls - 3) + 1.2 * (plan == "basic") - 0.6
    left = random.random(count) < 1 / (1 + np.exp(-pull))
    return pd.DataFrame(
        {
            "customer": [f"c{number:05}" for number in range(first, first + count)],
            "plan": plan,
            "calls": calls,
            "bill": np.where(random.random(count) < 0.05, " ", random.random(count).round(2)),
            "left": np.where(left, "Yes", "No"),
        }
    )


def land(house: House, tmp_path: Path, partition: str, rows: pd.DataFrame) -> None:
    """Land a snapshot, and bring it through the phases up to features and labels."""
    path = tmp_path / "landing" / "customers" / partition / "all.csv"
    path.parent.mkdir(parents=True)
    rows.to_csv(path, index=False)
    landing, writer = Landing(str(tmp_path / "landing")), Writer(partition, 1, 1, "test")
    ingest_rows(house.use_case, partition, landing, house.lake, writer)
    ingest_labels(house.use_case, partition, landing, house.lake, writer)
    validate_and_clean(house.use_case, partition, house.lake, writer)
    build_partition(house.use_case, partition, house.lake, writer)


def serve(house: House, version: str, against: str | None = None) -> str:
    """Judge, refit and promote a version; returns what serves."""
    verdict = compare(house.use_case, version, against, house.lake, house.registry)
    assert verdict.promote, verdict.reasons
    made = refit(house.use_case, version, house.lake, house.registry, house.work)
    assert made.version is not None, made.reasons
    told = (house.use_case, made.version, asdict(verdict), house.registry, house.ledger)
    promote(*told, who="ann", run_id=f"deploy {version}")
    return made.version


def test_one_snapshot_is_enough_for_a_first_model(house: House, tmp_path: Path) -> None:
    land(house, tmp_path, FIRST, customers())

    trained = train(house, FIRST)

    assert trained.value > 0.65 > trained.dummy
    assert serve(house, trained.version)


def test_the_same_customers_are_held_out_of_each_training(house: House, tmp_path: Path) -> None:
    def held_out(as_of: str) -> tuple[set[float], set[float]]:
        """Tell held-out rows and others apart by their bill, which is unlike any other."""
        training = load_training_set(house.use_case, house.lake, as_of)
        return set(training.holdout_X["bill"].dropna()), set(training.train_X["bill"].dropna())

    first = customers().assign(bill=np.arange(1200) + 0.5)
    land(house, tmp_path, FIRST, first)
    held, learned = held_out(FIRST)
    assert 0.15 < len(held) / 1200 < 0.25
    assert not held & learned

    # A month later: the first 300 are gone, 500 are new, and the labels of others may differ.
    newer = customers(count=1700).assign(bill=np.arange(1700) + 0.5).iloc[300:]
    land(house, tmp_path, SECOND, newer)
    held_later, learned_later = held_out(SECOND)
    assert not held_later & learned
    assert not held & learned_later
    # Of a customer in both snapshots the newest row counts: nobody is there twice.
    assert len(held_later) + len(learned_later) == 1700


def test_a_new_snapshot_goes_round_the_wheel(house: House, tmp_path: Path) -> None:
    land(house, tmp_path, FIRST, customers())
    champion = serve(house, train(house, FIRST).version)

    land(house, tmp_path, SECOND, customers(first=1200))
    writer = Writer("later", 1, 2, "test")
    predicted = predict_partition(
        house.use_case, SECOND, champion, house.lake, house.registry, writer
    )
    assert predicted.rows == 1200
    monitored = monitor_partition(
        house.use_case, SECOND, house.lake, house.registry, writer, tmp_path
    )
    assert not monitored.prediction_drift

    newer = train(house, SECOND, request="run-2").version
    verdict = compare(house.use_case, newer, champion, house.lake, house.registry)
    # The champion has learned its holdout; the version before its refit has not, and is asked.
    assert any("of which it is the refit, has not, and stands for it" in r for r in verdict.reasons)
    assert any(reason.startswith("freshness: ") for reason in verdict.reasons), verdict.reasons


def test_so_few_groups_that_none_is_left_are_told(house: House, tmp_path: Path) -> None:
    train_ = {**house.use_case.train.model_dump(), "split": {"by": "group:plan", "folds": 2}}
    told = {**house.use_case.model_dump(by_alias=True), "train": train_}
    house.use_case = UseCase.model_validate(told)
    land(house, tmp_path, FIRST, customers().assign(plan="basic"))
    with pytest.raises(
        DataContractError, match="Or 'group:plan' has so few units that chance left"
    ):
        load_training_set(house.use_case, house.lake, FIRST)


def test_rows_of_a_group_stay_together(house: House, tmp_path: Path) -> None:
    train_ = {**house.use_case.train.model_dump(), "split": {"by": "group:plan", "folds": 2}}
    told = {**house.use_case.model_dump(by_alias=True), "train": train_}
    house.use_case = UseCase.model_validate(told)
    rows = customers().assign(plan=[f"p{number % 40}" for number in range(1200)])
    land(house, tmp_path, FIRST, rows)

    training = load_training_set(house.use_case, house.lake, FIRST)

    assert set(training.holdout_X["plan"]).isdisjoint(set(training.train_X["plan"]))
    assert house.use_case.resample_by == "plan"
