"""What every phase's operator has in common."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from structlog.contextvars import clear_contextvars, get_contextvars

from include.due.definitions import DEFINITION, definition_of
from include.due.wanted import Wanted, wanted_clean
from include.errors import ConfigError, DataContractError, ServiceUnavailable, SettingsError
from include.lake.attempts import next_token
from include.lake.frames import arrow_schema, to_arrow
from include.lake.table import Lake, LakeTable, Published, Writer
from plugins.operators.base import (
    PhaseOperator,
    asked_by_a_person,
    errors_for_airflow,
    facts_of,
    person_of,
)
from plugins.operators.partition import PartitionOperator
from tests.support.tasks import (
    FAILURES,
    OUTLET,
    Attempt,
    emitted,
    execute,
    is_small_json,
    make_context,
)

KEY = "2013-04"


def operator(**more: Any) -> PhaseOperator:
    return PhaseOperator(task_id="do", use_case="weather_regimes", **more)


# Errors


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_only_a_silent_service_is_retried(error, seen):
    with pytest.raises(seen, match=str(error)), errors_for_airflow():
        raise error


def test_a_surprise_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError), errors_for_airflow():
        1 / 0  # noqa: B018 - raises


def test_a_failure_keeps_its_cause():
    error = FAILURES[0].values[0]
    with pytest.raises(AirflowFailException) as caught, errors_for_airflow():
        raise error
    assert caught.value.__cause__ is error


# Writer


def test_the_token_rises_with_each_attempt_and_says_who():
    first, second = (operator().writer(make_context(attempt=number)) for number in (1, 2))
    assert second.token == first.token + 1
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.run_id == second.run_id == "weather_regimes__test/manual__1/do/3"
    assert first.code_version == "test"


def test_an_attempt_keeps_its_token_and_the_next_one_of_the_same_operator_takes_another():
    task, context = operator(), make_context()
    task.pre_execute(context)
    first = task.writer(context)
    assert task.writer(context) == first
    task.pre_execute(context)
    assert task.writer(context).token == first.token + 1


def test_a_late_first_attempt_cannot_overwrite_its_retry(home):
    table = Lake(str(home / "lake")).table("weather_regimes", "raw")
    first, retry = (operator().writer(make_context(attempt=number)) for number in (1, 2))

    def publish(writer: Writer, value: int) -> None:
        data = to_arrow(pd.DataFrame({"x": [value]}), arrow_schema({"x": "int64"}))
        with errors_for_airflow():
            table.publish(data, partition="2013-01", schema=data.schema, writer=writer)

    publish(retry, 22)
    with pytest.raises(AirflowSkipException, match="a later attempt was faster"):
        publish(first, 11)
    assert table.read(columns=["x"]).to_pylist() == [{"x": 22}]


# Revision


def test_a_worker_with_another_revision_does_nothing_and_says_so(tens, monkeypatch):
    tens.land(42)
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", "newer")
    with pytest.raises(
        ServiceUnavailable,
        match="runs revision test of the code, and the cluster was started with newer",
    ):
        tens.do()
    assert not tens.lake.table("weather_regimes", "clean").exists()


@pytest.mark.parametrize(("ours", "theirs"), [("", "newer"), ("test", ""), ("test", "test")])
def test_the_same_revision_works_and_one_that_nobody_names(tens, monkeypatch, ours, theirs):
    tens.land(42)
    monkeypatch.setenv("FLYWHEEL_CODE_VERSION", ours)
    monkeypatch.delenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION")
    if theirs:
        monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_CODE_VERSION", theirs)
    tens.do()
    assert tens.tens() == [4]


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


# What a run is asked for with


class NothingOperator(PhaseOperator):
    """Succeeds."""

    def execute(self, context: Any) -> str:
        """Say so."""
        return "done"


class KeylessOperator(NothingOperator):
    """Belongs to a Dag without partition keys."""

    takes_partition_key = False


def nothing(kind: type[PhaseOperator] = NothingOperator) -> PhaseOperator:
    return kind(task_id="do", use_case="weather_regimes")


def test_a_misspelt_conf_key_is_refused_with_those_that_are_known():
    context = make_context(conf={"overide": "x", "version": "2"}, version="2", override=None)
    with pytest.raises(
        AirflowFailException,
        match=r"weather_regimes__test: conf holds \['overide'\], which this Dag does not know; it "
        r"knows \['override', 'version'\]\. Start it again without them\.",
    ):
        execute(nothing(), context)


def test_conf_for_a_dag_without_a_form_is_refused():
    with pytest.raises(
        AirflowFailException,
        match=r"holds \['force'\], which this Dag does not know; it knows none",
    ):
        execute(nothing(), make_context(conf={"force": True}))


@pytest.mark.parametrize("conf", [None, {}, {"version": "2"}])
def test_conf_that_the_form_knows_is_accepted(conf):
    assert execute(nothing(), make_context(conf=conf, version="2")) == "done"


def test_each_line_that_a_task_logs_carries_its_partition():
    clear_contextvars()
    execute(nothing(KeylessOperator), make_context())
    assert "partition" not in get_contextvars()
    execute(nothing(), make_context(key=KEY))
    assert get_contextvars()["partition"] == KEY
    clear_contextvars()


def test_a_key_for_a_dag_without_keys_is_refused():
    with pytest.raises(
        AirflowFailException,
        match=r"this Dag has no partition key, got '2013-04'\. Start it again without one; its "
        r"form has \['partition'\]\.",
    ):
        execute(nothing(KeylessOperator), make_context(key=KEY, partition=None))
    with pytest.raises(AirflowFailException, match=r"its form has no fields\."):
        execute(nothing(KeylessOperator), make_context(key=KEY))


def test_a_dag_without_keys_runs_without_one():
    assert execute(nothing(KeylessOperator), make_context()) == "done"
    assert execute(nothing(KeylessOperator), make_context(key="")) == "done"


@pytest.mark.parametrize("key", [None, ""])
def test_a_run_without_a_key_says_how_to_start_one_with_it(key):
    with pytest.raises(
        ConfigError,
        match=r"the run must have a partition key, such as 2013-04, and has none\..*"
        r"`partition_key` in the form or in REST.*TriggerDagRunOperator",
    ):
        operator().checked_key(key)


@pytest.mark.parametrize("key", ["2013-4", "2013-04-01", "2013-13", "201304", "../raw", " 2013-04"])
def test_a_key_of_another_spelling_is_refused(key):
    with pytest.raises(ConfigError, match=f"must be a month like '2013-06', got {key!r}"):
        operator().checked_key(key)


@pytest.mark.parametrize(
    ("run_type", "clear_number", "asked"),
    [
        ("manual", 0, True),
        ("asset_materialization", 0, True),
        ("operator_triggered", 0, True),
        ("backfill", 0, True),
        ("asset_triggered", 0, False),
        ("scheduled", 0, False),
        ("asset_triggered", 1, True),
        ("scheduled", 2, True),
        ("asset_triggered", None, False),
    ],
)
def test_who_asks(run_type, clear_number, asked):
    from airflow.utils.types import DagRunType

    for kind in (run_type, DagRunType(run_type)):  # as text, and as Airflow's task runner gives it
        context = make_context(run_type=kind, clear_number=clear_number)
        assert asked_by_a_person(context) is asked


def test_a_retry_is_not_a_person():
    context = make_context(run_type="asset_triggered", attempt=3)
    assert not asked_by_a_person(context)


def test_the_person_is_named_and_else_the_dag():
    assert person_of(make_context(user="ann")) == "ann"
    assert person_of(make_context()) == "weather_regimes__test"


# A run owns its partition


@dataclass
class Done:
    """Facts with more in them than an event carries."""

    partition: str
    rows: int
    version: int
    changed: bool
    secret: str = "stays in XCom"


class TensOperator(PartitionOperator):
    """Publishes the tens of a number, so that another number may have the same content."""

    stage = "clean"

    def wanted(self, key: str) -> Wanted:
        """Say what the partition would be made from now."""
        return wanted_clean(self.config, self.lake, [key])

    def process(self, context: Any) -> Done:
        """Read, refuse what is negative, publish."""
        rows, read = self.lake.table(self.use_case, self.source).read_input(self.partition, ["x"])
        (number,) = rows["x"].to_pylist()
        if number < 0:
            raise DataContractError(f"x must be at least 0, got {number}. Correct the file.")
        data = pa.table({"tens": [number // 10]})
        done: Published = self.lake.table(self.use_case, self.stage).publish(
            data,
            partition=self.partition,
            schema=data.schema,
            writer=self.writer(context),
            inputs=[read],
            consumed={DEFINITION: definition_of(self.config, "clean")},
        )
        return Done(self.partition, done.rows, done.version, done.changed)


@dataclass
class Tens:
    """A lake in which numbers land, and runs of the operator, each later than the former."""

    lake: Lake
    run: int = 0
    context: dict[str, Any] = field(default_factory=dict)

    def land(self, number: int, key: str = KEY) -> None:
        """Publish a number into `raw`."""
        self.run += 1
        data = pa.table({"x": [number]})
        self.lake.table("weather_regimes", "raw").publish(
            data, partition=key, schema=data.schema, writer=Writer("land", 1, self.run, "test")
        )

    def do(self, key: str | None = KEY, *, again: bool = False, **context: Any) -> dict[str, Any]:
        """Run the operator in a new Dag run, by default started by an event.

        `again`: in the Dag run before, as another attempt.
        """
        self.run += 0 if again else 1
        how = {"run_type": "asset_triggered", "run": self.run, "key": key, **context}
        self.context = make_context(**how)
        task = TensOperator(task_id="do", use_case="weather_regimes", outlets=[OUTLET])
        return execute(task, self.context)

    @property
    def events(self) -> set[str]:
        """Keys that the last run emitted."""
        return emitted(self.context)[0]

    def tens(self) -> list[int]:
        """Read what was published."""
        return self.lake.table("weather_regimes", "clean").read()["tens"].to_pylist()

    def version(self) -> int:
        """Delta version of what was published."""
        return self.lake.table("weather_regimes", "clean").version()


BY_A_PERSON = [
    pytest.param({"run_type": "manual"}, id="by hand"),
    pytest.param({"run_type": "asset_materialization"}, id="materialize"),
    pytest.param({"run_type": "asset_triggered", "clear_number": 1}, id="cleared"),
]


@pytest.fixture
def tens(home: Path) -> Tens:
    return Tens(Lake(str(home / "lake")))


def test_the_runs_key_is_done_and_no_other(tens):
    for key in ("2013-03", "2013-04", "2013-05"):
        tens.land(42, key)
    returned = tens.do("2013-04")
    assert tens.lake.table("weather_regimes", "clean").partitions() == ["2013-04"]
    assert returned == {
        "partition": KEY, "rows": 1, "version": 0, "changed": True, "secret": "stays in XCom",
    }  # fmt: skip
    assert emitted(tens.context) == ({KEY}, {"partition": KEY, "rows": 1, "version": 0})


def test_a_run_looks_at_its_own_partition_and_no_other(tens, monkeypatch):
    """Each version that Delta is asked for is a look at its log.

    With 400 partitions it takes a run a second to look at all of them.
    """
    for key in ("2013-03", "2013-04", "2013-05"):
        tens.land(42, key)
    looked, real = [], LakeTable.partition_versions

    def partition_versions(self: LakeTable, keys: Any = None) -> Any:
        found = real(self, keys)
        looked.extend(found)
        return found

    monkeypatch.setattr(LakeTable, "partition_versions", partition_versions)
    tens.do("2013-04")
    assert set(looked) == {"2013-04"}


def test_each_outlet_gets_one_event_with_few_facts(tens):
    tens.land(42)
    other = Asset(name="weather_regimes.other")
    context = make_context(key=KEY, run=9)
    task = TensOperator(task_id="do", use_case="weather_regimes", outlets=[OUTLET, other])
    execute(task, context)
    for outlet in (OUTLET, other):
        assert emitted(context, outlet) == ({KEY}, {"partition": KEY, "rows": 1, "version": 0})


@pytest.mark.parametrize("how", [{"run_type": "asset_triggered"}, *BY_A_PERSON])
def test_a_run_without_a_key_fails_with_words_and_does_nothing(tens, how):
    tens.land(42)
    with pytest.raises(AirflowFailException, match=r"must have a partition key.*Start it with one"):
        tens.do(None, **how)
    assert not tens.lake.table("weather_regimes", "clean").exists()


def test_a_second_spelling_of_a_month_is_refused(tens):
    tens.land(42)
    with pytest.raises(AirflowFailException, match="must be a month like '2013-06', got '2013-4'"):
        tens.do("2013-4", run_type="manual")
    assert not tens.lake.table("weather_regimes", "clean").exists()


def test_an_event_for_what_is_up_to_date_is_skipped_and_says_from_what(tens):
    tens.land(42)
    tens.do()
    with pytest.raises(
        AirflowSkipException,
        match=r"^clean of 2013-04: up to date: made from weather_regimes\.raw [0-9a-f]{16}, "
        r"definition [0-9a-f]{16}\.$",
    ):
        tens.do()
    assert (tens.version(), tens.events) == (0, set())


@pytest.mark.parametrize("how", BY_A_PERSON)
def test_a_person_gets_the_work_done_though_it_is_up_to_date(tens, how):
    tens.land(42)
    tens.do()
    with pytest.raises(
        AirflowSkipException,
        match=r"clean of 2013-04 has the same content as before: nothing new was published, and "
        r"nothing is started\.",
    ):
        tens.do(**how)
    assert tens.events == set()
    assert tens.lake.table("weather_regimes", "clean").facts(KEY)["run_id"].split("/")[1] == (
        f"manual__{tens.run}"
    ), "the work was done: this run noted what the content is made from"


@pytest.mark.parametrize("how", [{}, *BY_A_PERSON])
def test_new_input_with_the_same_content_starts_nothing(tens, how):
    tens.land(42)
    tens.do()
    tens.land(47)
    with pytest.raises(AirflowSkipException, match="same content as before"):
        tens.do(**how)
    assert (tens.tens(), tens.events) == ([4], set())
    with pytest.raises(AirflowSkipException, match="up to date"):
        tens.do()


@pytest.mark.parametrize("how", [{}, *BY_A_PERSON])
def test_new_content_is_published_and_emitted(tens, how):
    tens.land(42)
    tens.do()
    tens.land(51)
    tens.do(**how)
    assert (tens.tens(), tens.events) == ([5], {KEY})


def test_an_event_ahead_of_its_input_is_skipped(tens):
    tens.land(42, "2013-03")
    with pytest.raises(
        AirflowSkipException,
        match=r"Nothing to make clean of 2013-04 from yet: Partition '2013-04' is not in "
        r"weather_regimes\.raw\. There is: 2013-03\.",
    ):
        tens.do()


@pytest.mark.parametrize("present", [[], ["2013-02", "2013-03"]])
@pytest.mark.parametrize("how", BY_A_PERSON)
def test_a_person_is_told_what_there_is(tens, present, how):
    for key in present:
        tens.land(42, key)
    said = ", ".join(present) or "nothing yet"
    with pytest.raises(
        AirflowFailException,
        match=rf"'2013-04' is not in weather_regimes\.raw\. There is: {said}\.",
    ):
        tens.do(**how)


def test_what_was_cleared_is_due_again_though_its_input_is_as_it_was(tens):
    """A partition that was retracted, and lands again with the rows that it had."""
    tens.land(42)
    tens.do()
    for stage in ("raw", "clean"):
        tens.run += 1
        token = next_token(tens.lake, "weather_regimes")
        table = tens.lake.table("weather_regimes", stage)
        table.clear(KEY, Writer("retract", 1, token, "test"))
    tens.run += 1
    data = pa.table({"x": [42]})
    tens.lake.table("weather_regimes", "raw").publish(
        data, partition=KEY, schema=data.schema, writer=Writer("land", 1, token + 1, "test")
    )
    tens.do()
    assert (tens.tens(), tens.events) == ([4], {KEY})


# Refusals


def refusals(tens: Tens) -> list[dict[str, Any]]:
    table = tens.lake.table("weather_regimes", "refusals")
    return table.read(columns=["stage", "key", "words"]).to_pylist() if table.exists() else []


def test_a_refusal_is_remembered_and_the_next_event_is_skipped(tens):
    tens.land(-1)
    with pytest.raises(AirflowFailException, match="x must be at least 0, got -1"):
        tens.do()
    words = "x must be at least 0, got -1. Correct the file."
    assert refusals(tens) == [{"stage": "clean", "key": KEY, "words": words}]
    with pytest.raises(
        AirflowSkipException,
        match=r"clean of 2013-04: refused before, and nothing has changed since: .*"
        r"Correct the input or the definition, or clear this task to try it once more\.",
    ):
        tens.do()
    assert tens.events == set()


def test_a_refused_partition_is_tried_when_its_content_changes(tens):
    tens.land(-1)
    with pytest.raises(AirflowFailException):
        tens.do()
    tens.land(-2)
    with pytest.raises(AirflowFailException, match="got -2"):
        tens.do()
    tens.land(42)
    tens.do()
    assert (tens.tens(), tens.events) == ([4], {KEY})
    tens.land(-2)  # the very input that was refused last
    with pytest.raises(AirflowSkipException, match="refused before"):
        tens.do()
    assert tens.tens() == [4], "what was good stays"


def test_a_refused_partition_is_tried_when_the_definition_changes(tens, monkeypatch):
    from include.due import wanted

    tens.land(-1)
    with pytest.raises(AirflowFailException):
        tens.do()
    monkeypatch.setattr(wanted, "definition_of", lambda use_case, stage: 77)
    with pytest.raises(AirflowFailException, match="got -1"):
        tens.do()


def test_another_definition_alone_starts_nothing_and_says_how_to_rebuild(tens, monkeypatch):
    from include.due import wanted

    tens.land(42)
    tens.do()
    monkeypatch.setattr(wanted, "definition_of", lambda use_case, stage: 77)
    with pytest.raises(
        AirflowSkipException,
        match=r"^clean of 2013-04: out of date: its input is unchanged, but it was made by "
        r"definition [0-9a-f]{16}, now 000000000000004d\. Start weather_regimes__rebuild with "
        r"phase=validate_clean, first=2013-04, last=2013-04 to make it again\.$",
    ):
        tens.do()
    assert tens.tens() == [4]
    tens.land(57)  # its input is new: it is made, by today's definition
    tens.do()
    assert tens.tens() == [5]


@pytest.mark.parametrize("how", BY_A_PERSON)
def test_a_person_tries_what_was_refused(tens, how):
    tens.land(-1)
    for context in ({}, how):
        with pytest.raises(AirflowFailException, match="got -1"):
            tens.do(**context)
    assert len(refusals(tens)) == 1


def test_a_refusal_concerns_its_own_partition(tens):
    tens.land(-1, "2013-03")
    tens.land(42, "2013-04")
    with pytest.raises(AirflowFailException):
        tens.do("2013-03")
    tens.do("2013-04")
    assert tens.events == {"2013-04"}


def test_a_service_that_is_away_is_no_refusal(tens, monkeypatch):
    tens.land(42)
    with monkeypatch.context() as away:
        away.setattr(LakeTable, "publish", _raise(ServiceUnavailable("nobody answers")))
        with pytest.raises(ServiceUnavailable, match="nobody answers"):
            tens.do()
    assert (refusals(tens), tens.events) == ([], set())
    tens.do(again=True, attempt=2)
    assert tens.events == {KEY}


def test_a_login_that_is_refused_is_no_refusal_of_the_partition(tens, monkeypatch):
    tens.land(42)
    with monkeypatch.context() as locked:
        locked.setattr(LakeTable, "publish", _raise(SettingsError("the login is refused")))
        with pytest.raises(AirflowFailException, match="the login is refused"):
            tens.do()
    assert (refusals(tens), tens.events) == ([], set())
    tens.do()
    assert tens.events == {KEY}, "once the login is right, the next event is enough"


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# Attempts and runs that cross


def die_after_publishing(tens: Tens, **how: Any) -> None:
    """Run an attempt that is killed between its commit and its event."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensOperator, "emit", _raise(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tens.do(**how)
    assert tens.events == set()


@pytest.mark.parametrize("how", [{}, {"run_type": "manual"}, {"run_type": "asset_materialization"}])
def test_a_half_done_attempt_is_finished_by_its_retry(tens, how):
    tens.land(42)
    die_after_publishing(tens, **how)
    returned = tens.do(again=True, attempt=2, **how)
    assert returned["changed"] is False, "the first attempt had published it"
    assert (tens.tens(), tens.events) == ([4], {KEY})


def test_another_runs_publish_is_not_taken_for_ones_own(tens):
    tens.land(42)
    tens.do()
    with pytest.raises(AirflowSkipException, match="up to date"):
        tens.do(attempt=2)


def test_a_cleared_run_that_had_published_emits_only_what_differs(tens):
    """Its attempts are counted on, but its event was sent: it is no half-done attempt."""
    tens.land(42)
    tens.do()
    with pytest.raises(AirflowSkipException, match="same content as before"):
        tens.do(again=True, attempt=2, clear_number=1)
    assert tens.events == set()
    tens.land(51)
    tens.do(run=tens.run, attempt=3, clear_number=2)
    assert (tens.tens(), tens.events) == ([5], {KEY})


CLOCKS = pytest.mark.parametrize("ahead", [-1, 0, 1], ids="its clock is {} h ahead".format)


def started(monkeypatch: pytest.MonkeyPatch, hours_ahead: dict[int, int]) -> None:
    """Let runs start as the clocks of their workers say, which are some hours ahead."""

    def start_date(ti: Attempt) -> datetime:
        begun: datetime = vars(ti).setdefault("begun", datetime.now(UTC))
        return begun + timedelta(hours=hours_ahead.get(ti.run, 0))

    monkeypatch.setattr(Attempt, "start_date", property(start_date), raising=False)


@CLOCKS
def test_an_attempt_that_was_overtaken_is_skipped(tens, monkeypatch, ahead):
    """Run 2 has begun; run 3, by another worker, begins after it and ends before it."""
    tens.land(42)
    started(monkeypatch, {2: ahead})
    real, meanwhile = TensOperator.process, []

    def process(self: TensOperator, context: Any) -> Done:
        if not meanwhile:
            meanwhile.append(self.lake.table("weather_regimes", "raw").read_input(KEY, ["x"]))
            tens.land(99)
            tens.do(run=3)
            monkeypatch.setattr(LakeTable, "read_input", lambda *_: meanwhile[0])
        return real(self, context)

    monkeypatch.setattr(TensOperator, "process", process)
    with pytest.raises(
        AirflowSkipException, match=r"a later attempt was faster.*its result stands"
    ):
        tens.do(run=2)
    assert tens.tens() == [9], "made from what the later run read"


@CLOCKS
def test_a_run_that_begins_after_another_one_has_ended_is_not_refused(tens, monkeypatch, ahead):
    tens.land(42)
    started(monkeypatch, {2: ahead})
    tens.do(run=2)
    tens.land(99)
    tens.do(run=3)
    assert (tens.tens(), tens.events) == ([9], {KEY})


def test_two_runs_of_one_key_at_once_end_in_one_result(tens, monkeypatch):
    """Both find it due, both do the work; the partition is there once."""
    tens.land(42)
    both_found_it_due, real = Barrier(2), TensOperator.process

    def process(self: TensOperator, context: Any) -> Done:
        both_found_it_due.wait(10)
        return real(self, context)

    monkeypatch.setattr(TensOperator, "process", process)
    contexts = [make_context(key=KEY, run=n, run_type="asset_triggered") for n in (8, 9)]

    def run(context: dict[str, Any]) -> str:
        task = TensOperator(task_id="do", use_case="weather_regimes", outlets=[OUTLET])
        try:
            execute(task, context)
        except AirflowSkipException as skipped:
            return str(skipped)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, contexts))

    assert "done" in ended, ended
    assert all("same content" in one or "faster" in one for one in ended if one != "done")
    assert tens.tens() == [4]
    assert sum(len(emitted(context)[0]) for context in contexts) == ended.count("done") == 1
    with pytest.raises(AirflowSkipException, match="up to date"):
        tens.do(run=10)


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_a_failure_is_translated_and_emits_nothing(tens, monkeypatch, error, seen):
    tens.land(42)
    monkeypatch.setattr(TensOperator, "process", _raise(error))
    with pytest.raises(seen, match=str(error)):
        tens.do()
    assert emitted(tens.context) == (set(), {})


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_looking_fails_in_airflows_words(tens, monkeypatch, error, seen):
    monkeypatch.setattr(LakeTable, "partition_versions", _raise(error))
    with pytest.raises(seen, match=str(error)):
        tens.do()


def test_the_use_case_is_read_anew_by_each_task(monkeypatch, tmp_path):
    assert operator().config.name == "weather_regimes"
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="weather_regimes"):
        _ = operator().config
