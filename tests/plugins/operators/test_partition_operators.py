"""The operators that process one partition: what they hand to the library, what they tell of it."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from include.batch_predict.predict import Predicted
from include.drift_monitor.monitor import Monitored
from include.feature.build import FeaturesBuilt
from include.ingest_label.ingest import LabelsIngested, RowsIngested
from include.ingest_label.landing import Landing
from include.lake.table import Lake, Writer
from include.validate_clean.validate import Cleaned
from plugins.operators.batch_predict import PredictPartitionOperator
from plugins.operators.drift_monitor import MonitorPartitionOperator
from plugins.operators.feature import BuildFeaturesOperator
from plugins.operators.ingest_label import IngestLabelsOperator, IngestRowsOperator
from plugins.operators.validate_clean import ValidateCleanOperator
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context

KEY = "2013-01"
MONITORED = Monitored(
    KEY, "drift", ["temp"], True, None, None, None, "3", 2211, ["it moved"], 5, 9, "run"
)
CASES = [
    pytest.param(
        IngestRowsOperator, "include.ingest_label.ingest.ingest_rows",
        RowsIngested(KEY, 2211, 1, 4, 9), [Landing, Lake], {"rows": 2211, "version": 4}, id="rows",
    ),
    pytest.param(
        IngestLabelsOperator, "include.ingest_label.ingest.ingest_labels",
        LabelsIngested(KEY, 26398, 606, float("nan"), 4, 9), [Landing, Lake],
        {"rows": 26398, "version": 4}, id="labels",
    ),
    pytest.param(
        ValidateCleanOperator, "include.validate_clean.validate.validate_and_clean",
        Cleaned(KEY, 10, 1, 9, 0, 0, 0, 0, {"not null (x)": 1}, 6, 9, 2), [Lake],
        {"rows_clean": 9, "version": 6}, id="validate",
    ),
    pytest.param(
        BuildFeaturesOperator, "include.feature.build.build_partition",
        FeaturesBuilt(KEY, 9, ["x", "y"], 5, 9), [Lake], {"rows": 9, "version": 5}, id="features",
    ),
    pytest.param(
        PredictPartitionOperator, "include.batch_predict.predict.predict_partition",
        Predicted(KEY, 0, reason="no champion yet"), [Lake, object],
        {"rows": 0, "version": None}, id="predict",
    ),
    pytest.param(
        MonitorPartitionOperator, "include.drift_monitor.monitor.monitor_partition",
        MONITORED, [Lake, object], {"rows": 2211, "version": 5}, id="monitor",
    ),
]  # fmt: skip


def task_of(operator: type[Any]) -> Any:
    return operator(task_id="do", use_case="flight_delays", partition=KEY, outlets=[OUTLET])


@pytest.mark.parametrize(("operator", "target", "result", "kinds", "facts"), CASES)
def test_success(stub, registry, operator, target, result, kinds, facts):
    double, context = stub(target, result), make_context()

    returned = execute(task_of(operator), context)

    (config, key, *places), _ = double.call_args
    assert (config.name, key) == ("flight_delays", KEY)
    assert all(isinstance(place, kind) for place, kind in zip(places, kinds, strict=False))
    if object in kinds:
        assert places[1] is registry
    (writer,) = [place for place in places if isinstance(place, Writer)]
    assert (writer.attempt, writer.run_id) == (1, "weather_regimes__test/manual__1/do/3")
    assert emitted(context) == ({KEY}, {"partition": KEY, **facts})
    assert returned["partition"] == KEY
    assert is_small_json(returned)


@pytest.mark.parametrize(("operator", "target", "result", "kinds", "facts"), CASES)
def test_a_rerun_asks_again_with_a_higher_token(
    stub, registry, operator, target, result, kinds, facts
):
    double = stub(target, result)
    for attempt in (1, 2):
        execute(task_of(operator), make_context(attempt=attempt))
    writers = [
        next(one for one in call.args if isinstance(one, Writer)) for call in double.mock_calls
    ]
    assert [writer.attempt for writer in writers] == [1, 2]
    assert writers[0].token < writers[1].token
    assert writers[0].run_id == writers[1].run_id


@pytest.mark.parametrize(("error", "seen"), FAILURES)
@pytest.mark.parametrize(("operator", "target", "result", "kinds", "facts"), CASES)
def test_failure(stub, registry, operator, target, result, kinds, facts, error, seen):
    stub(target, error)
    context = make_context()
    with pytest.raises(seen, match=str(error)):
        execute(task_of(operator), context)
    assert emitted(context) == (set(), {})


def test_the_key_is_templated_and_names_the_mapped_task():
    for case in CASES:
        assert case.values[0].template_fields == ("partition",)


def test_the_monitors_report_has_a_folder_that_is_gone_afterwards(stub, registry):
    seen = []

    def monitor(config, partition, lake, registry, writer, folder):
        seen.append((folder, folder.is_dir()))
        return MONITORED

    stub("include.drift_monitor.monitor.monitor_partition", MONITORED).side_effect = monitor
    execute(task_of(MonitorPartitionOperator), make_context())
    ((folder, was_there),) = seen
    assert was_there
    assert not folder.exists()


def test_each_finder_asks_its_own_phase(stub, registry):
    from plugins.operators.batch_predict import FindUnscoredOperator
    from plugins.operators.drift_monitor import FindUnmonitoredOperator
    from plugins.operators.feature import FindUnbuiltOperator

    names = {"task_id": "find", "use_case": "flight_delays", "source": "features", "target": "x"}
    unscored = stub("include.batch_predict.find.unscored", ["2013-02"])
    unmonitored = stub("include.drift_monitor.monitor.unmonitored", ["2013-03"])
    unbuilt = stub("include.feature.build.unprocessed_partitions", ["2013-04"])

    assert execute(FindUnscoredOperator(**names), make_context()) == ["2013-02"]
    assert execute(FindUnmonitoredOperator(**names), make_context()) == ["2013-03"]
    assert execute(FindUnbuiltOperator(**names), make_context()) == ["2013-04"]
    unscored.assert_called_once_with(ANY, ANY, registry)
    for double in (unscored, unmonitored, unbuilt):
        assert double.call_args.args[0].name == "flight_delays"
        assert isinstance(double.call_args.args[1], Lake)
