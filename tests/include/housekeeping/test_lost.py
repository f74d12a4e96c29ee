"""Each kind of loss in a real small lake: what is named, and that the phase named ends it."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.batch_predict.predict import predict_partition
from include.drift_monitor.monitor import monitor_partition
from include.due.state import refuse
from include.due.wanted import wanted_clean, wanted_training
from include.errors import DataContractError
from include.feature.build import build_partition
from include.housekeeping.lost import Lost, find_lost
from include.housekeeping.outdated import find_out_of_date
from include.housekeeping.survey import Survey
from include.ingest_label.ingest import ingest_labels, ingest_rows
from include.ingest_label.landing import Landing
from include.registry.ledger import Ledger
from include.retrain_trigger.gather import decide
from include.retrain_trigger.records import record
from include.train_tune.prepare import prepare
from include.train_tune.request import close, training_name
from include.use_cases.schema import UseCase
from include.validate_clean.validate import validate_and_clean
from tests.support.monitored import World, make_world
from tests.support.packages import TINY, make_package, tiny_rows
from tests.support.registries import make_champion

SUITE = "- {expectation: expect_column_values_to_not_be_null, column: x, on_failure: refuse}\n"
STRICTER = (
    "- {expectation: expect_column_values_to_be_between, column: x, min_value: -9, "
    "on_failure: refuse}\n"
)


class Wheel:
    """The phases of one use case as functions, each for one month."""

    def __init__(self, where: Path, **changes: Any) -> None:
        self.world: World = make_world(where, **changes)
        self.where = where
        self.landing = Landing(str(where / "landing"))
        self.registry = self.world.registry
        self.lake = self.world.lake
        self.use_case: UseCase = self.world.use_case

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def land(self, month: str, seed: int = 0, outcomes: bool = True, rows: bool = True) -> None:
        frame = tiny_rows(month=month, rows=300, seed=seed)
        frame["at"] = frame["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        if rows:
            self._write(f"tiny/{month}/rows.csv", frame.drop(columns="outcome"))
        if outcomes:
            self._write(f"tiny_outcomes/{month}/outcomes.csv", frame[["id", "at", "outcome"]])

    def _write(self, name: str, frame: pd.DataFrame) -> None:
        path = self.where / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)

    def ingest_label(self, month: str) -> None:
        for ingest in (ingest_rows, ingest_labels):
            ingest(self.use_case, month, self.landing, self.lake, self.world.writer())

    def validate_clean(self, month: str) -> None:
        validate_and_clean(self.use_case, month, self.lake, self.world.writer())

    def feature(self, month: str) -> None:
        build_partition(self.use_case, month, self.lake, self.world.writer())

    def batch_predict(self, month: str) -> None:
        version = self.world.champion
        writer = self.world.writer()
        predict_partition(self.use_case, month, version, self.lake, self.registry, writer)

    def drift_monitor(self, month: str) -> None:
        writer, reports = self.world.writer(), self.where / "reports"
        monitor_partition(self.use_case, month, self.lake, self.registry, writer, reports)

    def retrain_trigger(self, month: str, ask: bool | None = None) -> bool:
        champion = self.ledger.current()
        made = decide(self.use_case, month, self.lake, self.registry, champion)
        if ask is not None:
            made = replace(made, ask=ask, as_of=month)
        record(self.use_case, made, self.lake, self.world.writer(f"run {time.monotonic_ns()}"))
        return made.ask

    def begin_training(self, month: str) -> dict[str, Any]:
        name = training_name(self.use_case, month, self.lake)
        return asdict(prepare(self.use_case, month, self.lake, self.registry, name))

    def train_tune(self, month: str) -> str:
        """Train without trials: any model will do here."""
        prepared = self.begin_training(month)
        folder = self.where / "packages" / prepared["run_id"]
        folder.mkdir(parents=True)
        (folder / "keys").symlink_to(self.where / "registry" / "keys")
        made = make_package(folder, use_case=self.use_case, run_id=prepared["run_id"])
        tags = {"as_of": month, "known_up_to": prepared["holdout_partition"]}
        version = self.registry.register("tiny", prepared["run_id"], made.folder, tags)
        self.registry.client.set_terminated(prepared["run_id"])
        return version

    def deploy(self, version: str) -> None:
        make_champion(self.registry, self.lake, version)

    def lost(self) -> list[Lost]:
        return list(find_lost(self.survey(), self.registry))

    def survey(self) -> Survey:
        return Survey(self.use_case, self.lake, self.landing, self.ledger.current())

    def out_of_date(self, phase: str | None = None) -> dict[str, list[str]]:
        """Return the partitions that are out of date, by table."""
        return {one.stage: one.keys for one in find_out_of_date(self.survey(), phase)}

    def named(self) -> dict[tuple[str, str], list[str]]:
        """Return the keys of what is lost by asset and phase."""
        return {(one.asset, one.phase): sorted(one.because) for one in self.lost()}


@pytest.fixture
def young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """Give a wheel with two months of features and labels, and no decision yet."""
    folder = tmp_path / "use_cases" / "tiny"
    folder.mkdir(parents=True)
    (folder / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    wheel = Wheel(tmp_path)
    for month in ("2024-01", "2024-02"):
        wheel.land(month)
        for phase in (wheel.ingest_label, wheel.validate_clean, wheel.feature):
            phase(month)
    return wheel


@pytest.fixture
def wheel(young: Wheel) -> Wheel:
    """Give a wheel with a champion that has scored March; all is done and well."""
    assert young.retrain_trigger("2024-02")
    young.deploy(young.train_tune("2024-02"))
    young.land("2024-03")
    for phase in (
        young.ingest_label,
        young.validate_clean,
        young.feature,
        young.batch_predict,
        young.drift_monitor,
        young.retrain_trigger,
    ):
        phase("2024-03")
    return young


def test_nothing_is_lost_before_anything_landed(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    assert Wheel(tmp_path).lost() == []


def test_nothing_is_lost_when_all_is_well(wheel):
    assert wheel.lost() == []


def test_looking_writes_nothing(wheel):
    wheel.land("2024-04")
    wheel.ingest_label("2024-04")
    files = {path: path.stat().st_mtime_ns for path in Path(wheel.lake.uri).rglob("*")}
    assert wheel.lost() == wheel.lost() != []
    assert {path: path.stat().st_mtime_ns for path in Path(wheel.lake.uri).rglob("*")} == files


# From the landing to the monitor


def test_each_phase_that_was_not_started_is_named_until_it_has_run(wheel):
    """A month goes through the wheel without a single event."""
    steps = [
        ("landing", "ingest_label", [""]),
        ("raw", "validate_clean", ["2024-04"]),
        ("clean", "feature", ["2024-04"]),
        ("features", "batch_predict", ["2024-04"]),
        ("predictions", "drift_monitor", ["2024-04"]),
        ("drift", "retrain_trigger", ["2024-04"]),
    ]
    wheel.land("2024-04")
    for asset, phase, keys in steps:
        assert wheel.named() == {(asset, phase): keys}
        getattr(wheel, phase)("2024-04")
    assert wheel.lost() == []


def test_what_landed_is_named_with_its_stage(wheel):
    wheel.land("2024-04", outcomes=False)
    wheel.land("2024-03", seed=1, rows=False)  # corrected outcomes
    (lost,) = wheel.lost()
    assert lost.because == {"": "2 landed and not ingested: raw 2024-04, labels 2024-03"}


def test_of_much_that_landed_the_first_five_are_named(wheel):
    for month in range(4, 11):
        wheel.land(f"2024-{month:02}", outcomes=False)
    (lost,) = wheel.lost()
    assert lost.because[""].startswith("7 landed and not ingested: raw 2024-04, raw 2024-05")
    assert "2024-09" not in lost.because[""]


def test_outcomes_that_come_late_are_news_for_the_monitor(wheel):
    wheel.land("2024-03", seed=1, rows=False)
    wheel.ingest_label("2024-03")
    assert wheel.named() == {("predictions", "drift_monitor"): ["2024-03"]}
    wheel.drift_monitor("2024-03")
    assert wheel.named() == {("drift", "retrain_trigger"): ["2024-03"]}


def test_corrected_rows_go_through_all_phases_and_equal_ones_through_none(wheel):
    wheel.land("2024-03", seed=5)
    wheel.ingest_label("2024-03")
    assert wheel.named()[("raw", "validate_clean")] == ["2024-03"]
    wheel.land("2024-03", seed=0)  # back to what they were
    wheel.ingest_label("2024-03")
    assert wheel.lost() == []


def test_several_losses_are_told_in_the_order_of_the_wheel(wheel):
    for month in ("2024-04", "2024-05", "2024-06"):
        wheel.land(month)
    wheel.ingest_label("2024-04")
    wheel.ingest_label("2024-05")
    wheel.validate_clean("2024-04")
    wheel.registry.client.delete_model_version_tag("tiny", "1", "verdict")
    assert [(one.phase, sorted(one.because)) for one in wheel.lost()] == [
        ("ingest_label", [""]),
        ("validate_clean", ["2024-05"]),
        ("feature", ["2024-04"]),
        ("deploy", ["2024-02"]),
    ]


def test_what_was_refused_is_not_lost_until_it_changes(wheel):
    wheel.land("2024-04")
    wheel.ingest_label("2024-04")
    sources = wanted_clean(wheel.use_case, wheel.lake)["2024-04"]
    refuse("tiny", "clean", "2024-04", sources, "bad batch", wheel.lake, wheel.world.writer())
    assert wheel.lost() == []
    wheel.land("2024-04", seed=1)
    wheel.ingest_label("2024-04")
    assert wheel.named() == {("raw", "validate_clean"): ["2024-04"]}


def test_an_edit_of_what_a_phase_does_puts_its_partitions_out_of_date_and_starts_nothing(wheel):
    suite = wheel.where / "use_cases" / "tiny" / "expectations.yaml"
    suite.write_text(SUITE + STRICTER)
    months = ["2024-01", "2024-02", "2024-03"]
    assert wheel.lost() == []
    assert wheel.out_of_date() == wheel.out_of_date("validate_clean") == {"clean": months}
    assert wheel.out_of_date("feature") == {}
    wheel.validate_clean("2024-02")
    assert wheel.out_of_date() == {"clean": ["2024-01", "2024-03"]}
    for month in ("2024-01", "2024-03"):
        wheel.validate_clean(month)
    assert wheel.lost() == [], "the same rows are as clean as before"
    assert wheel.out_of_date() == {}


def test_a_rebuild_that_gives_other_rows_starts_what_follows(wheel):
    """The next phases have new input then: the chain needs no rebuild of its own."""
    suite = wheel.where / "use_cases" / "tiny" / "expectations.yaml"
    limit = STRICTER.replace("min_value: -9", "min_value: 0")
    suite.write_text(SUITE + limit.replace("on_failure: refuse", "on_failure: quarantine"))
    wheel.use_case = changed(wheel.use_case, "validation", max_quarantined_share=1.0)
    wheel.validate_clean("2024-03")
    assert wheel.named() == {("clean", "feature"): ["2024-03"]}
    assert wheel.out_of_date() == {"clean": ["2024-01", "2024-02"]}


def test_what_landed_is_out_of_date_after_an_edit_of_the_label_rule(wheel):
    """Housekeeping names the months; one that was taken in again is not among them."""
    wheel.use_case = changed(wheel.use_case, "labels", rule="< 1")
    months = ["2024-01", "2024-02", "2024-03"]
    assert wheel.lost() == []
    assert wheel.out_of_date() == {"labels": months}
    wheel.ingest_label("2024-03")
    assert wheel.out_of_date() == {"labels": ["2024-01", "2024-02"]}
    assert wheel.named() == {("predictions", "drift_monitor"): ["2024-03"]}, "other labels"


def test_decisions_are_never_out_of_date(wheel):
    """They were taken; a changed rule holds from the next report on."""
    wheel.use_case = changed(wheel.use_case, "retrain", cooldown=timedelta(days=3))
    assert wheel.lost() == []
    assert wheel.out_of_date() == {}


def test_a_refused_partition_is_tried_again_by_a_corrected_definition(wheel):
    """It has no result that could be out of date."""
    wheel.land("2024-04")
    wheel.ingest_label("2024-04")
    sources = wanted_clean(wheel.use_case, wheel.lake)["2024-04"]
    refuse("tiny", "clean", "2024-04", sources, "bad batch", wheel.lake, wheel.world.writer())
    suite = wheel.where / "use_cases" / "tiny" / "expectations.yaml"
    suite.write_text(SUITE + STRICTER)
    assert wheel.named() == {("raw", "validate_clean"): ["2024-04"]}
    assert wheel.out_of_date() == {"clean": ["2024-01", "2024-02", "2024-03"]}


def test_a_phase_is_looked_at_when_those_before_it_are_dealt_with(wheel):
    """So what is found first is sent first, and a lake that fails later loses none of it."""
    wheel.land("2024-04")
    wheel.ingest_label("2024-04")
    found = find_lost(wheel.survey(), wheel.registry)
    assert next(found).phase == "validate_clean"
    wheel.validate_clean("2024-04")  # what follows is looked up after this only
    assert next(found).phase == "feature"


# What mixes definitions in one training


def test_a_training_on_two_label_rules_is_refused_once_and_tried_after_the_rebuild(young):
    """One month was taken in again by another rule; the first training would mix them."""
    young.use_case = changed(young.use_case, "labels", rule="< 1")
    young.ingest_label("2024-02")
    assert young.retrain_trigger("2024-02")
    with pytest.raises(DataContractError, match=r"labels of 2024-01 \(made by definition") as error:
        young.begin_training("2024-02")
    assert (
        "Start tiny__rebuild with phase=ingest_label, first=2024-01, last=2024-01 to make it again"
    ) in str(error.value)
    assert young.registry.trainings("tiny") == {}, "a refused training leaves no run"
    refuse_training(young)
    assert young.lost() == [], "refused once, not at every look"
    assert not young.retrain_trigger("2024-02")

    young.ingest_label("2024-01")
    assert ("training_request", "train_tune") in young.named()
    assert young.begin_training("2024-02")["mixed_definitions"] == []


def test_a_refused_training_is_tried_again_when_a_rebuild_gives_the_very_same_rows(young):
    """The training set has not changed then; what made it has."""
    suite = young.where / "use_cases" / "tiny" / "expectations.yaml"
    assert young.retrain_trigger("2024-02")
    suite.write_text(SUITE + STRICTER)
    with pytest.raises(DataContractError, match=r"clean of 2024-01, 2024-02 \(made by"):
        young.begin_training("2024-02")
    refuse_training(young)
    assert young.lost() == []
    for month in ("2024-01", "2024-02"):
        young.validate_clean(month)
    assert young.named() == {("training_request", "train_tune"): ["2024-02"]}
    young.train_tune("2024-02")


def changed(use_case: UseCase, section: str, **values: Any) -> UseCase:
    part = getattr(use_case, section).model_copy(update=values)
    return use_case.model_copy(update={section: part})


def test_months_that_the_champion_has_learned_from_are_not_scored(wheel):
    """January and February have features, and no predictions: that is no loss."""
    assert wheel.ledger.current().known_up_to == "2024-02"
    assert wheel.lake.table("tiny", "predictions").partitions() == ["2024-03"]
    assert wheel.lost() == []


def test_features_that_wait_for_a_reference_are_not_lost(tmp_path, monkeypatch):
    """Its arrival starts the phase."""
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    weather = {
        "landing": "weather/{partition}/*.csv",
        "key": ["colour"],
        "columns": {"colour": "string", "rain": "float64"},
    }
    ingest = {**TINY["ingest"], "references": {"weather": weather}}
    features = {**TINY["features"], "references": ["weather"]}
    wheel = Wheel(tmp_path, ingest=ingest, features=features)
    columns = wheel.use_case.ingest.columns
    wheel.world.publish("clean", "2024-01", tiny_rows(), columns)
    assert wheel.lost() == []

    rain = pd.DataFrame({"colour": pd.Series(["red"], dtype="str"), "rain": [1.0]})
    wheel.world.publish("reference_weather", "2024-01", rain, weather["columns"])
    assert wheel.named() == {("clean", "feature"): ["2024-01"]}


# Decisions


def test_a_first_training_that_nobody_asked_for_is_named_with_its_reasons(young):
    (lost,) = young.lost()
    assert lost == Lost(
        "unscored",
        "retrain_trigger",
        {"2024-02": "no champion yet; 2 labelled partitions up to 2024-02, 2 needed"},
    )
    assert young.retrain_trigger("2024-02")
    assert young.named() == {("training_request", "train_tune"): ["2024-02"]}


def test_a_first_training_that_waits_for_what_has_landed_is_not_lost(young):
    young.land("2024-01", seed=9)
    young.ingest_label("2024-01")
    assert young.named() == {("raw", "validate_clean"): ["2024-01"]}


def test_too_little_for_a_first_training_is_no_loss(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    wheel = Wheel(tmp_path)
    rows = wheel.world.land("2024-01")
    assert wheel.lost() == []
    wheel.world.land_outcomes("2024-01", rows)
    assert wheel.lost() == []


# Trainings


@pytest.mark.parametrize(
    ("begun", "closed", "words"),
    [
        (False, False, "a training was asked for, and is not begun"),
        (True, False, "a training was asked for, and is RUNNING"),
        (True, True, "a training was asked for, and is FAILED"),
    ],
)
def test_a_training_that_was_asked_for_and_is_not_finished_is_named(young, begun, closed, words):
    young.retrain_trigger("2024-02")
    if begun:
        prepared = young.begin_training("2024-02")
    if closed:
        close(young.registry, prepared["run_id"])
    of_training = [one for one in young.lost() if one.phase == "train_tune"]
    assert of_training == [Lost("training_request", "train_tune", {"2024-02": words})]


def test_a_training_that_was_refused_is_not_lost(young):
    young.retrain_trigger("2024-02")
    refuse_training(young)
    assert young.lost() == []


@pytest.fixture
def asked(young: Wheel) -> Wheel:
    """Ask for the first training."""
    assert young.retrain_trigger("2024-02")
    return young


def refuse_training(wheel: Wheel) -> None:
    sources = wanted_training(wheel.use_case, wheel.lake, "2024-02")["2024-02"]
    words = "the holdout has no labels"
    refuse("tiny", "training", "2024-02", sources, words, wheel.lake, wheel.world.writer())


def test_a_first_training_that_fails_each_time_is_not_decided_anew_at_every_look(asked):
    """The decision is made; only its training may be sent again, which ends after three times."""
    close(asked.registry, asked.begin_training("2024-02")["run_id"])
    assert asked.named() == {("training_request", "train_tune"): ["2024-02"]}


def test_a_first_training_that_stands_refused_is_left_until_its_data_change(asked):
    refuse_training(asked)
    assert asked.lost() == []
    asked.land("2024-01", seed=5)
    for phase in (asked.ingest_label, asked.validate_clean, asked.feature):
        phase("2024-01")
    # With other data it is another decision, and the training may go well.
    assert ("training_request", "train_tune") in asked.named()


def test_a_training_refused_with_other_data_is_refused_no_more(young):
    """A person tried too early; later it is asked for, and the event is lost."""
    refuse("tiny", "training", "2024-02", {"training_set": 1}, "too few", young.lake,
           young.world.writer())  # fmt: skip
    young.retrain_trigger("2024-02")
    assert young.named() == {("training_request", "train_tune"): ["2024-02"]}
    young.registry.reject("tiny", young.train_tune("2024-02"), ["not better"])
    assert young.lost() == [], "what is done is not asked for again"


def test_corrected_labels_after_a_rejected_first_challenger_ask_for_another_training(asked):
    """Also when the event of the second request is lost: the first training is another one."""
    asked.registry.reject("tiny", asked.train_tune("2024-02"), ["not better"])
    assert asked.lost() == []
    asked.land("2024-02", seed=7, rows=False)
    ingest_labels(asked.use_case, "2024-02", asked.landing, asked.lake, asked.world.writer())
    assert asked.named() == {("unscored", "retrain_trigger"): ["2024-02"]}
    assert asked.retrain_trigger("2024-02")
    words = "a training was asked for, and is not begun"
    assert asked.lost() == [Lost("training_request", "train_tune", {"2024-02": words})]
    asked.registry.reject("tiny", asked.train_tune("2024-02"), ["not better"])
    assert asked.lost() == []


def test_a_version_that_a_person_registered_does_not_stop_the_look(asked):
    asked.registry.client.create_registered_model("tiny")
    asked.registry.client.create_model_version("tiny", "runs:/elsewhere")
    assert asked.named() == {("training_request", "train_tune"): ["2024-02"]}


def test_only_the_newest_training_that_was_asked_for_is_named(wheel):
    """An older one would learn less than what serves."""
    for month in ("2024-01", "2024-03"):
        wheel.retrain_trigger(month, ask=True)
    assert wheel.named() == {("training_request", "train_tune"): ["2024-03"]}


def test_a_training_that_was_done_under_another_key_is_not_lost(wheel):
    """Its run is skipped because the very same training is done: it would be named for ever."""
    wheel.train_tune("2024-03")
    wheel.registry.reject("tiny", "2", ["not better"])
    wheel.land("2024-04", outcomes=False)
    ingest_rows(wheel.use_case, "2024-04", wheel.landing, wheel.lake, wheel.world.writer())
    for phase in (
        wheel.validate_clean,
        wheel.feature,
        wheel.batch_predict,
        wheel.drift_monitor,
    ):
        phase("2024-04")
    wheel.retrain_trigger("2024-04", ask=True)  # a person asks; no label is newer than March's
    assert wheel.lost() == []


# Deploying


def test_a_version_that_was_not_judged_is_named_by_its_partition(wheel):
    version = wheel.train_tune("2024-03")
    (lost,) = wheel.lost()
    words = {"2024-03": f"model version {version} has not been judged"}
    assert lost == Lost("candidate", "deploy", words)


@pytest.mark.parametrize("promoted", [True, False])
def test_a_version_that_was_judged_is_not_lost(wheel, promoted):
    version = wheel.train_tune("2024-03")
    if promoted:
        wheel.deploy(version)
    else:
        wheel.registry.reject("tiny", version, ["not better"])
    assert ("candidate", "deploy") not in wheel.named()


def test_a_new_champion_has_to_score_only_what_nobody_has_scored(wheel):
    wheel.land("2024-04")
    for phase in (wheel.ingest_label, wheel.validate_clean, wheel.feature):
        phase("2024-04")
    wheel.deploy(wheel.train_tune("2024-03"))
    assert wheel.named() == {("features", "batch_predict"): ["2024-04"]}
