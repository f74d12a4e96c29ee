"""What a backlog starts: tasks and events grow with the number of partitions, not with its square.

The Dags, their asset expressions and their operators are real, and so is the lake; the work of a
phase is doubled by a publish of one row. Training and deploying are doubled as Dags.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pyarrow as pa
import pytest

from include.batch_predict.predict import Predicted
from include.drift_monitor.monitor import Monitored
from include.due.definitions import DEFINITION, definition_of
from include.due.state import states
from include.due.wanted import wanted_predictions
from include.feature.build import FeaturesBuilt
from include.label.report import LabelsReported
from include.lake.table import Lake, Published, Writer
from include.registry.client import Registry
from include.use_cases.loader import get
from include.validate_clean.validate import Cleaned
from plugins.operators.base import PhaseOperator
from tests.support.champions import crown
from tests.support.fan_out import Counts, Scheduler

REPO = Path(__file__).resolve().parents[2]
NAME = "flight_delays"
SOME, MANY = 4, 16
"""Days that land at once."""
FLIGHTS = (
    "year,month,day,time_hour,sched_dep_time,sched_arr_time,hour,minute,carrier,flight,tailnum,"
    "origin,dest,distance\n{y},{m},{d},{key}T06:00:00Z,600,900,6,0,UA,1,N1,EWR,BOS,200\n"
)
OUTCOMES = (
    "year,month,day,time_hour,carrier,flight,origin,arr_delay\n"
    "{y},{m},{d},{key}T06:00:00Z,UA,1,EWR,20.0\n"
)
WEATHER = (
    "origin,time_hour,temp,dewp,humid,wind_speed,precip,visib,pressure\n"
    "EWR,{key}T06:00:00Z,39.0,26.0,59.4,10.4,0.0,10.0,1012.0\n"
)


def days(count: int) -> list[str]:
    return [(date(2013, 1, 1) + timedelta(number)).isoformat() for number in range(count)]


def land(home: Path, folder: str, key: str, text: str) -> None:
    path = home / "landing" / folder / key / "file.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    year, month, day = (int(part) for part in key.split("-"))
    path.write_text(text.format(key=key, y=year, m=month, d=day))


def publish(
    lake: Lake, use_case: Any, stage: str, key: str, writer: Writer, sources: list[str], **row: Any
) -> Published:
    """Publish one row, made from what the phase is made from."""
    inputs = [lake.table(NAME, source).read_input(key)[1] for source in sources]
    data = pa.table({name: [value] for name, value in (row or {"x": 1}).items()})
    return lake.table(NAME, stage).publish(
        data, partition=key, schema=data.schema, writer=writer, inputs=inputs,
        consumed={DEFINITION: definition_of(use_case, stage)},
    )  # fmt: skip


def work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Double the work of each phase."""

    def validate(use_case: Any, key: str, lake: Lake, writer: Writer) -> Cleaned:
        p = publish(lake, use_case, "clean", key, writer, ["raw"])
        return Cleaned(
            key, 1, 0, 1, 0, 0, 0, 0, {}, p.version, p.partition_version, None, p.changed
        )

    def build(use_case: Any, key: str, lake: Lake, writer: Writer) -> FeaturesBuilt:
        p = publish(lake, use_case, "features", key, writer, ["clean", "reference_weather"])
        return FeaturesBuilt(key, 1, ["x"], p.version, p.partition_version, p.changed)

    def predict(
        use_case: Any, key: str, champion: str, lake: Lake, registry: Any, writer: Writer
    ) -> Predicted:
        p = publish(lake, use_case, "predictions", key, writer, ["features"])
        return Predicted(key, 1, champion, p.version, p.partition_version, 0.5, p.changed)

    def monitor(
        use_case: Any, key: str, lake: Lake, registry: Any, writer: Writer, folder: Path
    ) -> Monitored:
        labelled = key in lake.table(NAME, "labels").partitions()
        sources = ["features", "predictions", *(["labels"] if labelled else [])]
        p = publish(
            lake, use_case, "monitoring", key, writer, sources,
            model_version="1", kind="prediction_drift", flagged=False, labelled=labelled,
        )  # fmt: skip
        return Monitored(
            key, "stable", [], False, None, None, None, "1", 1, [], p.version,
            p.partition_version, None, p.changed,
        )  # fmt: skip

    def report(use_case: Any, key: str, lake: Lake, writer: Writer) -> LabelsReported:
        p = publish(lake, use_case, "label_quality", key, writer, ["labels", "features"])
        return LabelsReported(key, 1, {}, None, {}, None, [], p.version, p.changed)

    monkeypatch.setattr("include.label.report.report_labels", report)
    monkeypatch.setattr("include.validate_clean.validate.validate_and_clean", validate)
    monkeypatch.setattr("include.feature.build.build_partition", build)
    monkeypatch.setattr("include.batch_predict.predict.predict_partition", predict)
    monkeypatch.setattr("include.drift_monitor.monitor.monitor_partition", monitor)
    registry = create_autospec(Registry, instance=True)
    registry.trainings.return_value = {}
    monkeypatch.setattr(PhaseOperator, "registry", registry)


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Have one use case with a partition for each day, and its phases' work doubled."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("use_cases")
        shutil.copytree(REPO / "include/use_cases" / NAME, folder / NAME)
        path = folder / NAME / "use_case.yaml"
        text = path.read_text().replace("grain: month", "grain: day")
        # By days, a first training would wait for eleven of them.
        path.write_text(text.replace("\ndeploy:\n", "\ndeploy:\n  resample_by: rows\n"))
        patch.setenv("FLYWHEEL_USE_CASES", str(folder))
        patch.setenv("FLYWHEEL_CODE_VERSION", "test")
        patch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "test")
        work(patch)
        yield patch


@pytest.fixture(scope="module")
def dags(patched: pytest.MonkeyPatch) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPO / "dags"))
    assert {dag_id.partition("__")[0] for dag_id in bag.dags} == {NAME}, bag.import_errors
    return dict(bag.dags)


def backlog(home: Path, dags: dict[str, Any], count: int) -> list[Counts]:
    """Let three waves land, and count what each starts.

    Days at once, of which the older half has outcomes; then the outcomes of the others; then
    corrected weather of a quarter of the days, with which the features come out as they were.
    """
    use_case, lake, keys = get(NAME), Lake(str(home / "lake")), days(count)
    half = count // 2

    def train(key: str) -> list[tuple[str, str]]:
        return [(f"{NAME}.candidate", key)]

    def deploy(key: str) -> list[tuple[str, str]]:
        crown(home, NAME, as_of=key, known_up_to=key)
        found = states(NAME, "predictions", wanted_predictions(use_case, lake, key), lake)
        return [(f"{NAME}.champion", due) for due, state in found.items() if state.due]

    def land_all(folder: str, text: str, landed: list[str]) -> None:
        for key in landed:
            land(home, folder, key, text)

    (home / "landing/planes").mkdir(parents=True)
    (home / "landing/planes/planes.csv").write_text("tailnum,year,seats\nN1,1999,100\n")
    land_all("flights", FLIGHTS, keys)
    land_all("weather", WEATHER, keys)
    land_all("flight_outcomes", OUTCOMES, keys[:half])

    scheduler = Scheduler(dags, {"train_tune": train, "deploy": deploy})
    waves = []
    for landed in (
        lambda: None,
        lambda: land_all("flight_outcomes", OUTCOMES, keys[half:]),
        lambda: land_all("weather", WEATHER.replace("39.0", "139.0"), keys[: count // 4]),
    ):
        landed()
        scheduler.counts = Counts()
        scheduler.emit(f"{NAME}.landing", None)
        scheduler.run_all()
        waves.append(scheduler.counts)
    for stage, expected in {
        "raw": keys, "labels": keys, "clean": keys, "features": keys,
        "predictions": keys[half:], "monitoring": keys[half:],
    }.items():  # fmt: skip
        assert lake.table(NAME, stage).partitions() == expected, stage
    return waves


@pytest.fixture(scope="module")
def counted(
    dags: dict[str, Any], patched: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, list[Counts]]:
    found = {}
    for count in (SOME, MANY):
        home = tmp_path_factory.mktemp(f"days{count}")
        patched.setenv("FLYWHEEL_HOME", str(home))
        found[count] = backlog(home, dags, count)
    return found


@pytest.mark.parametrize("count", [SOME, MANY])
def test_a_backlog_starts_each_phase_once_for_each_event(counted, count):
    first = counted[count][0]
    half = count // 2
    assert dict(first.runs) == {
        "ingest_label": 1,
        "validate_clean": count,
        "feature": count,  # its weather landed with it: that starts nothing of its own
        "batch_predict": count + half,  # its features, and the first champion
        "drift_monitor": half,  # labels that come with their rows start nothing
        # Unscored, and drift. Here a phase ends before the next begins: none waits for features.
        "retrain_trigger": count + half,
        "train_tune": 1,
        "deploy": 1,
    }


@pytest.mark.parametrize("count", [SOME, MANY])
def test_a_backlog_emits_one_event_for_each_partition(counted, count):
    first = counted[count][0]
    half = count // 2
    assert dict(first.events) == {
        "landing": 1, "raw": count, "labels": 1, "references": 1, "clean": count,
        "features": count, "unscored": count, "training_request": 1, "candidate": 1,
        "champion": half, "predictions": half, "drift": half,
    }  # fmt: skip


@pytest.mark.parametrize("count", [SOME, MANY])
def test_each_partition_is_worked_on_once(counted, count):
    first = counted[count][0]
    half = count // 2
    worked = {"validate_clean": count, "feature": count, "drift_monitor": half}
    assert {phase: first.worked[phase] for phase in worked} == worked
    assert first.worked["batch_predict"] == half + count, "scored, and reported as unscored"


@pytest.mark.parametrize("count", [SOME, MANY])
def test_late_labels_touch_only_their_own_partitions(counted, count):
    second = counted[count][1]
    half = count // 2
    assert dict(second.events) == {"landing": 1, "labels": half, "drift": half}
    assert dict(second.runs) == {
        "ingest_label": 1,
        "label": half,  # reports on them, and starts nothing
        "drift_monitor": half,
        "retrain_trigger": half + half,  # labels, which wait for the monitor, and drift
    }


@pytest.mark.parametrize("count", [SOME, MANY])
def test_a_correction_that_changes_nothing_ends_there(counted, count):
    corrected = counted[count][2]
    assert dict(corrected.events) == {"landing": 1, "references": count // 4}
    assert dict(corrected.runs) == {"ingest_label": 1, "feature": count // 4}


@pytest.mark.parametrize("wave", [0, 1, 2], ids=["backlog", "late labels", "correction"])
@pytest.mark.parametrize("what", ["runs", "worked", "skipped", "events"])
def test_what_is_started_grows_with_the_partitions(counted, wave, what):
    some, many = (getattr(counted[count][wave], what) for count in (SOME, MANY))
    factor = MANY // SOME
    assert set(some) == set(many)
    for name in many:
        # Of all decisions one asks for a training, however many there are: hence the 1.
        assert many[name] <= factor * (some[name] + 1), (
            f"{what} of {name}: {some[name]} for {SOME} days and {many[name]} for {MANY}: a run "
            "must do its own key only, and emit no other"
        )
