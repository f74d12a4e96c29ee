"""What every phase's operator has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest.mock import create_autospec

import pandas as pd
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from include.errors import ServiceUnavailable
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, LakeTable, Writer
from plugins.operators.base import (
    FindPartitionsOperator,
    PartitionOperator,
    PhaseOperator,
    facts_of,
    failures_in_airflows_words,
    requested_key,
)
from tests.support.tasks import FAILURES, OUTLET, emitted, execute, is_small_json, make_context


def operator(**more: Any) -> PhaseOperator:
    return PhaseOperator(task_id="do", use_case="weather_regimes", **more)


# Errors


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_only_a_silent_service_is_retried(error, seen):
    with pytest.raises(seen, match=str(error)), failures_in_airflows_words():
        raise error


def test_a_surprise_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError), failures_in_airflows_words():
        1 / 0  # noqa: B018 - raises


def test_a_failure_keeps_its_cause():
    error = FAILURES[0].values[0]
    with pytest.raises(AirflowFailException) as caught, failures_in_airflows_words():
        raise error
    assert caught.value.__cause__ is error


# Writer


def test_the_token_rises_with_each_attempt_and_says_who():
    first, second = (operator().writer(make_context(attempt=number)) for number in (1, 2))
    assert second.token - first.token == 10_000, "milliseconds; attempts start 10 s apart"
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.run_id == second.run_id == "weather_regimes__test/manual__1/do/3"
    assert first.code_version == "test"


def test_a_late_first_attempt_cannot_overwrite_its_retry(home):
    columns = {"x": "int64"}
    table = Lake(str(home / "lake")).table("weather_regimes", "raw")

    def publish(attempt: int, value: int) -> None:
        data = to_arrow(pd.DataFrame({"x": [value]}), arrow_schema(columns))
        writer = operator().writer(make_context(attempt=attempt))
        with failures_in_airflows_words():
            table.publish(data, partition="2013-01", schema=data.schema, writer=writer)

    publish(attempt=2, value=22)
    with pytest.raises(AirflowFailException, match="a later attempt was faster"):
        publish(attempt=1, value=11)
    assert table.read(columns=["x"]).to_pylist() == [{"x": 22}]


# Facts


@dataclass
class Facts:
    """What a phase may return."""

    value: float | None
    nested: dict[str, Any] = field(default_factory=dict)
    many: list[float] = field(default_factory=list)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_what_strict_json_cannot_hold_travels_as_none(odd):
    facts = facts_of(Facts(odd, {"deep": {"er": odd}, "fine": 1.5}, [odd, 2.0]))
    assert facts == {
        "value": None,
        "nested": {"deep": {"er": None}, "fine": 1.5},
        "many": [None, 2.0],
    }
    assert is_small_json(facts)


def test_facts_that_json_holds_are_left():
    facts = Facts(0.5, {"text": "x", "no": None, "yes": True, "whole": 3}, [1.0])
    assert facts_of(facts) == {
        "value": 0.5,
        "nested": {"text": "x", "no": None, "yes": True, "whole": 3},
        "many": [1.0],
    }


# Partitions of a run


@pytest.mark.parametrize(
    ("run_type", "key", "requested"),
    [
        ("manual", "2013-01", "2013-01"),
        ("manual", None, None),
        ("asset_triggered", "2013-01", None),
        ("scheduled", "2013-01", None),
    ],
)
def test_only_a_key_given_by_hand_is_a_request(run_type, key, requested):
    assert requested_key(make_context(key=key, run_type=run_type)) == requested


def test_run_types_as_airflow_writes_them():
    from airflow.utils.types import DagRunType

    assert requested_key(make_context(key="k", run_type=DagRunType.MANUAL)) == "k"
    assert requested_key(make_context(key="k", run_type=DagRunType.ASSET_TRIGGERED)) is None


def find() -> FindPartitionsOperator:
    return FindPartitionsOperator(
        task_id="find", use_case="weather_regimes", source="raw", target="clean"
    )


PRESENT, UNPROCESSED = ["2013-01", "2013-02", "2013-03"], ["2013-02", "2013-03"]


@pytest.mark.parametrize(
    ("context", "chosen"),
    [
        pytest.param({}, ["2013-02", "2013-03"], id="no key: all that is unprocessed"),
        pytest.param({"key": "2013-02"}, ["2013-02"], id="key: that one"),
        pytest.param({"key": "2013-01"}, [], id="key of what is processed: nothing"),
        pytest.param({"key": "2013-01", "force": True}, ["2013-01"], id="key and force"),
        pytest.param({"force": True}, ["2013-03"], id="force alone: the latest"),
        pytest.param(
            {"key": "2013-01", "run_type": "asset_triggered"},
            ["2013-02", "2013-03"],
            id="event: all that is unprocessed, whatever its key",
        ),
        pytest.param(
            {"key": "2014-01", "run_type": "asset_triggered"},
            ["2013-02", "2013-03"],
            id="event of a partition that is gone",
        ),
    ],
)
def test_choose(context, chosen):
    assert find().choose(make_context(**context), PRESENT, UNPROCESSED) == chosen


def test_choose_finds_nothing_in_an_empty_lake():
    assert find().choose(make_context(), [], []) == []
    assert find().choose(make_context(force=True), [], []) == []


@pytest.mark.parametrize(
    ("present", "said"),
    [(PRESENT, "There is: 2013-01, 2013-02, 2013-03"), ([], "There is: nothing yet")],
)
@pytest.mark.parametrize("force", [False, True])
def test_an_unknown_key_by_hand_says_what_there_is(monkeypatch, present, said, force):
    table = create_autospec(LakeTable, instance=True)
    table.partitions.return_value = present
    monkeypatch.setattr(Lake, "table", lambda self, use_case, stage: table)
    monkeypatch.setattr(FindPartitionsOperator, "unprocessed", lambda self: [])
    with pytest.raises(
        AirflowFailException, match=f"'2013-13' is not in weather_regimes.raw. {said}"
    ):
        execute(find(), make_context(key="2013-13", force=force))


def test_find_reads_the_lake_and_writes_nothing(home):
    lake = Lake(str(home / "lake"))

    def publish(stage: str, month: str, token: int) -> None:
        data = to_arrow(pd.DataFrame({"x": [1]}), arrow_schema({"x": "int64"}))
        inputs = []
        if stage == "clean":
            inputs = [lake.table("weather_regimes", "raw").read_input(month)[1]]
        lake.table("weather_regimes", stage).publish(
            data,
            partition=month,
            schema=data.schema,
            writer=Writer("r", 1, token, "test"),
            inputs=inputs,
        )

    assert execute(find(), make_context()) == []
    publish("raw", "2013-01", 1)
    publish("raw", "2013-02", 2)
    publish("clean", "2013-01", 3)
    assert execute(find(), make_context()) == ["2013-02"]
    assert execute(find(), make_context()) == ["2013-02"], "a rerun finds the same"
    publish("raw", "2013-01", 4)
    assert execute(find(), make_context()) == ["2013-01", "2013-02"], "landed anew: due again"
    assert lake.table("weather_regimes", "clean").version() == 0


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_find_tells_failures_in_airflows_words(monkeypatch, error, seen):
    def fail(self: LakeTable) -> list[str]:
        raise error

    monkeypatch.setattr(LakeTable, "partitions", fail)
    with pytest.raises(seen, match=str(error)):
        execute(find(), make_context())


# Processing a partition


@dataclass
class Done:
    """Facts with more in them than an event carries."""

    partition: str
    rows: int
    version: int
    secret: str = "stays in XCom"


class DoOperator(PartitionOperator):
    """Does nothing, and says so."""

    def process(self, context: Any) -> Done:
        """Return facts."""
        return Done(self.partition, 7, 3)


def test_each_outlet_gets_one_event_with_few_facts():
    other = Asset(name="weather_regimes.other")
    context = make_context()
    task = DoOperator(
        task_id="do", use_case="weather_regimes", partition="2013-01", outlets=[OUTLET, other]
    )
    returned = execute(task, context)
    assert returned["secret"] == "stays in XCom"
    for outlet in (OUTLET, other):
        facts = {"partition": "2013-01", "rows": 7, "version": 3}
        assert emitted(context, outlet) == ({"2013-01"}, facts)


def test_a_failure_emits_nothing(monkeypatch):
    def fail(self: DoOperator, context: Any) -> Done:
        raise ServiceUnavailable("nobody answers")

    monkeypatch.setattr(DoOperator, "process", fail)
    context = make_context()
    task = DoOperator(
        task_id="do", use_case="weather_regimes", partition="2013-01", outlets=[OUTLET]
    )
    with pytest.raises(ServiceUnavailable):
        execute(task, context)
    assert emitted(context) == (set(), {})


def test_the_use_case_is_read_anew_by_each_task(monkeypatch, tmp_path):
    assert operator().config.name == "weather_regimes"
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="weather_regimes"):
        _ = operator().config
