"""The operators that make one partition: what they hand to the library, what they tell of it.

The lake is real and small; the library's work is doubled.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.batch_predict.predict import Predicted
from include.drift_monitor.monitor import Monitored
from include.due.stages import STAGES
from include.errors import DataContractError
from include.feature.build import FeaturesBuilt
from include.lake.table import Lake, Writer
from include.validate_clean.validate import Cleaned
from plugins.operators.base import PARTITION_KEY, PhaseOperator
from plugins.operators.batch_predict import PredictPartitionOperator, ReportUnscoredOperator
from plugins.operators.drift_monitor import MonitorPartitionOperator
from plugins.operators.feature import BuildFeaturesOperator
from plugins.operators.validate_clean import ValidateCleanOperator
from tests.support.champions import crown
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

USE_CASE = "flight_delays"
KEY = "2013-01"
CLEANED = Cleaned(KEY, 10, 1, 9, 0, 0, 0, 0, {"not null (x)": 1}, 6, 9, 2, True)
BUILT = FeaturesBuilt(KEY, 9, ["x", "y"], 5, 9, True)
PREDICTED = Predicted(KEY, 9, "1", 7, 9, float("nan"), True)
MONITORED = Monitored(
    KEY, "drift", ["temp"], True, None, None, None, "3", 2211, ["it moved"], 5, 9, "run", True
)
CASES = [
    pytest.param(
        ValidateCleanOperator, "include.validate_clean.validate.validate_and_clean", CLEANED,
        {"rows_clean": 9, "version": 6}, id="validate",
    ),
    pytest.param(
        BuildFeaturesOperator, "include.feature.build.build_partition", BUILT,
        {"rows": 9, "version": 5}, id="features",
    ),
    pytest.param(
        PredictPartitionOperator, "include.batch_predict.predict.predict_partition", PREDICTED,
        {"rows": 9, "version": 7}, id="predict",
    ),
    pytest.param(
        MonitorPartitionOperator, "include.drift_monitor.monitor.monitor_partition", MONITORED,
        {"rows": 2211, "version": 5}, id="monitor",
    ),
]  # fmt: skip
TOKENS = count(1)


def put(home: Path, stage: str, key: str = KEY, number: int = 1) -> None:
    """Publish something into a table of the lake."""
    data = pa.table({"x": [number]})
    writer = Writer("test", 1, next(TOKENS), "test")
    Lake(str(home / "lake")).table(USE_CASE, stage).publish(
        data, partition=key, schema=data.schema, writer=writer
    )


@pytest.fixture
def ready(home: Path) -> Path:
    """Make the key due in every phase: its input is there, and there is a champion."""
    for stage in ("raw", "clean", "reference_weather", "features", "predictions"):
        put(home, stage)
    put(home, "reference_planes", "all")
    crown(home, USE_CASE)
    return home


def task_of(operator: type[PhaseOperator]) -> PhaseOperator:
    return operator(task_id="do", use_case=USE_CASE, outlets=[OUTLET])


def event(key: str | None = KEY, **more: Any) -> dict[str, Any]:
    """Make the context of a run that an asset event started."""
    return make_context(key=key, run_type="asset_triggered", **more)


@pytest.mark.parametrize("context", [{"run_type": "asset_triggered"}, {"run_type": "manual"}])
@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES)
def test_success(stub, registry, ready, operator, target, result, facts, context):
    double, context = stub(target, result), make_context(key=KEY, **context)

    returned = execute(task_of(operator), context)

    (config, key, *places), _ = double.call_args
    assert (config.name, key) == (USE_CASE, KEY), "the run's key, rendered"
    assert [place.uri for place in places if isinstance(place, Lake)] == [str(ready / "lake")]
    if operator in (PredictPartitionOperator, MonitorPartitionOperator):
        assert registry in places
    if operator is PredictPartitionOperator:
        assert places[0] == "1", "the champion"
    (writer,) = [place for place in places if isinstance(place, Writer)]
    assert (writer.attempt, writer.run_id) == (1, "weather_regimes__test/manual__1/do/3")
    assert emitted(context) == ({KEY}, {"partition": KEY, **facts})
    assert returned["partition"] == KEY
    assert is_small_json(returned), "a NaN travels as None"


@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES)
def test_a_retry_comes_with_a_higher_token(stub, registry, ready, operator, target, result, facts):
    double = stub(target, result)
    for attempt in (1, 2):
        execute(task_of(operator), event(attempt=attempt))
    writers = [
        next(one for one in call.args if isinstance(one, Writer)) for call in double.mock_calls
    ]
    assert [writer.attempt for writer in writers] == [1, 2]
    assert writers[0].token < writers[1].token
    assert writers[0].run_id == writers[1].run_id


@pytest.mark.parametrize(("error", "seen"), FAILURES)
@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES)
def test_failure(stub, registry, ready, operator, target, result, facts, error, seen):
    stub(target, error)
    context = event()
    with pytest.raises(seen, match=str(error)):
        execute(task_of(operator), context)
    assert emitted(context) == (set(), {})


@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES[2:])
def test_what_a_model_cannot_do_is_tried_with_the_next_model(
    stub, registry, ready, operator, target, result, facts
):
    double = stub(target, DataContractError("the package is not what was signed"))
    with pytest.raises(AirflowFailException):
        execute(task_of(operator), event())
    double.side_effect, double.return_value = None, result
    context = event(run=2)
    execute(task_of(operator), context)
    assert emitted(context)[0] == {KEY}


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES)
def test_a_run_without_a_key_fails_with_words(
    stub, registry, ready, operator, target, result, facts, run_type
):
    double = stub(target, result)
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        execute(task_of(operator), make_context(run_type=run_type))
    double.assert_not_called()


@pytest.mark.parametrize(("operator", "target", "result", "facts"), CASES)
def test_an_unknown_key_by_hand_says_what_there_is(
    stub, registry, ready, operator, target, result, facts
):
    double = stub(target, result)
    source = STAGES[operator.stage].made_from[0]
    said = rf"Partition '2014-01' is not in flight_delays\.{source}\. There is: 2013-01\."
    with pytest.raises(AirflowFailException, match=said):
        execute(task_of(operator), make_context(key="2014-01"))
    with pytest.raises(AirflowSkipException, match=said):
        execute(task_of(operator), event("2014-01"))
    double.assert_not_called()


def test_the_key_is_templated_and_is_the_runs():
    for case in CASES:
        assert case.values[0].template_fields == ("partition",)
        assert task_of(case.values[0]).partition == PARTITION_KEY


def test_tables_are_made_along_the_wheel():
    pairs = [(task_of(case.values[0]).source, case.values[0].stage) for case in CASES]
    assert pairs == [
        ("raw", "clean"),
        ("clean", "features"),
        ("features", "predictions"),
        ("predictions", "monitoring"),
    ]


# Features


def test_features_wait_for_the_weather_of_their_own_month(stub, home):
    double = stub("include.feature.build.build_partition", BUILT)
    put(home, "clean")
    put(home, "reference_weather", "2012-12")
    put(home, "reference_planes", "all")
    with pytest.raises(
        AirflowSkipException,
        match=r"Features of 2013-01 wait for flight_delays\.reference_weather, which has not been "
        r"ingested for it\. Its landing starts this again\.",
    ):
        execute(task_of(BuildFeaturesOperator), event())
    double.assert_not_called()

    put(home, "reference_weather")
    execute(task_of(BuildFeaturesOperator), event())
    double.assert_called_once()


def test_a_person_who_does_not_wait_gets_the_librarys_words(stub, home):
    put(home, "clean")
    double = stub("include.feature.build.build_partition", DataContractError("need 'weather'"))
    with pytest.raises(AirflowFailException, match="need 'weather'"):
        execute(task_of(BuildFeaturesOperator), make_context(key=KEY))
    double.assert_called_once()


# Predictions


def predict(context: dict[str, Any]) -> dict[str, Any]:
    return execute(task_of(PredictPartitionOperator), context)


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_without_a_champion_nothing_is_scored(stub, registry, home, run_type):
    double = stub("include.batch_predict.predict.predict_partition", PREDICTED)
    put(home, "features")
    with pytest.raises(
        AirflowSkipException, match=r"There is no champion yet that could score 2013-01\."
    ):
        predict(make_context(key=KEY, run_type=run_type))
    double.assert_not_called()


@pytest.mark.parametrize("holdout", ["2013-01", "2013-02"])
def test_what_the_champion_has_learned_from_is_not_scored(stub, registry, home, holdout):
    double = stub("include.batch_predict.predict.predict_partition", PREDICTED)
    put(home, "features")
    crown(home, USE_CASE, version="4", known_up_to=holdout)
    with pytest.raises(
        AirflowSkipException,
        match=f"Champion 4 was trained and tested on partitions up to {holdout}: scoring 2013-01 "
        "would overstate its performance",
    ):
        predict(event())
    double.assert_not_called()


def test_of_what_a_person_asks_for_the_library_refuses_what_the_model_knows(stub, registry, home):
    refusal = DataContractError("model version 4 was trained on 2013-01")
    double = stub("include.batch_predict.predict.predict_partition", refusal)
    put(home, "features")
    crown(home, USE_CASE, version="4", known_up_to="2013-02")
    with pytest.raises(AirflowFailException, match="model version 4 was trained on 2013-01"):
        predict(make_context(key=KEY))
    double.side_effect, double.return_value = None, PREDICTED  # it did not use this partition
    context = make_context(key=KEY, run=2)
    predict(context)
    assert emitted(context)[0] == {KEY}


def test_a_ledger_entry_that_is_not_signed_by_us_is_not_believed(registry, ready):
    for name in ("signing.pem", "verify.pem"):
        (ready / "keys" / name).unlink()
    crown(ready / "elsewhere", USE_CASE)
    (ready / "keys" / "verify.pem").write_bytes(
        (ready / "elsewhere" / "keys" / "verify.pem").read_bytes()
    )
    with pytest.raises(AirflowFailException, match="must be signed with the private half"):
        predict(event())


def report(context: dict[str, Any]) -> set[str]:
    task = ReportUnscoredOperator(task_id="report", use_case=USE_CASE, outlets=[OUTLET])
    assert execute(task, context) is None
    return emitted(context)[0]


def test_what_there_is_no_champion_for_is_reported(home):
    assert report(event()) == {KEY}
    assert report(make_context(key="2013-02")) == {"2013-02"}


def test_the_last_of_a_backlog_reports_for_all(home):
    for key in (KEY, "2013-02"):
        put(home, "raw", key)
    put(home, "features")
    with pytest.raises(AirflowSkipException, match=r"such as 2013-02: the last of them reports"):
        report(event())
    put(home, "features", "2013-02")
    assert report(make_context(key="2013-02")) == {"2013-02"}


def test_a_refused_partition_is_not_waited_for(home):
    from include.due.state import refuse
    from include.due.wanted import wanted_clean
    from include.use_cases.loader import get

    for key in (KEY, "2013-02"):
        put(home, "raw", key)
    put(home, "features")
    lake = Lake(str(home / "lake"))
    sources = wanted_clean(get(USE_CASE), lake)["2013-02"]
    refuse(USE_CASE, "clean", "2013-02", sources, "bad", lake, Writer("t", 1, next(TOKENS), "t"))
    assert report(event()) == {KEY}


def test_with_a_champion_nothing_is_reported(home):
    crown(home, USE_CASE)
    with pytest.raises(AirflowSkipException, match="There is a champion: nothing to report"):
        report(event())


def test_a_report_without_a_key_fails_with_words(home):
    with pytest.raises(AirflowFailException, match="the run must have a partition key"):
        report(event(None))


# The monitor


@pytest.mark.parametrize("stage", ["features", "labels"])
@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_what_was_not_predicted_is_not_monitored(stub, registry, home, stage, run_type):
    double = stub("include.drift_monitor.monitor.monitor_partition", MONITORED)
    put(home, stage)
    with pytest.raises(
        AirflowSkipException, match="Nothing was predicted for 2013-01: nothing to monitor"
    ):
        execute(task_of(MonitorPartitionOperator), make_context(key=KEY, run_type=run_type))
    double.assert_not_called()


def test_the_monitors_report_has_a_folder_that_is_gone_afterwards(stub, registry, ready):
    seen = []

    def monitor(config, partition, lake, registry, writer, folder):
        seen.append((folder, folder.is_dir()))
        return MONITORED

    stub("include.drift_monitor.monitor.monitor_partition", MONITORED).side_effect = monitor
    execute(task_of(MonitorPartitionOperator), event())
    ((folder, was_there),) = seen
    assert was_there
    assert not folder.exists()
