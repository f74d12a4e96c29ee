"""Starting one run for each partition of a range."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.due.definitions import DEFINITION, definition_of
from include.due.stages import REBUILT
from include.lake.table import Lake, Writer
from include.use_cases.loader import get
from plugins.hooks.airflow_api import AirflowApiHook
from plugins.operators import rebuild as operators
from plugins.operators.rebuild import RebuildOperator
from tests.support.tasks import FAILURES, execute, is_small_json, make_context

USE_CASE = "weather_regimes"
KEYS = ["2012-12", "2013-01", "2013-02", "2013-03", "2013-04"]


@pytest.fixture
def api(monkeypatch) -> Mock:
    double: Mock = create_autospec(AirflowApiHook, instance=True)
    monkeypatch.setattr(operators, "AirflowApiHook", lambda: double)
    return double


@pytest.fixture
def lake(home: Path) -> Lake:
    """Put five partitions into `raw`, and the first into `clean`."""
    lake = Lake(str(home / "lake"))
    for token, (stage, key) in enumerate([*(("raw", key) for key in KEYS), ("clean", KEYS[0])]):
        data = pa.table({"x": [1]})
        lake.table(USE_CASE, stage).publish(
            data, partition=key, schema=data.schema, writer=Writer("t", 1, token, "t")
        )
    return lake


def rebuild(attempt: int = 1, clear_number: int = 0, **form: Any) -> list[str]:
    form = {
        "phase": "validate_clean", "first": "2013-01", "last": "2013-03", "most": 31,
        "only": "all", **form,
    }  # fmt: skip
    task = RebuildOperator(task_id="start_runs", use_case=USE_CASE)
    return execute(task, make_context(attempt=attempt, clear_number=clear_number, **form))


def started(api: Mock) -> list[tuple[Any, ...]]:
    return [one.args for one in api.start_run.mock_calls]


def test_one_run_for_each_partition_of_the_range_newest_first(api, lake):
    keys = rebuild()
    assert keys == ["2013-03", "2013-02", "2013-01"]
    assert is_small_json(keys)
    dag_id = "weather_regimes__validate_clean"
    assert started(api) == [(dag_id, key, f"manual__1__{key}") for key in keys]


def test_at_most_so_many_from_the_newest_on(api, lake):
    assert rebuild(first="2000-01", last="2099-12", most=2) == ["2013-04", "2013-03"]


def test_a_range_of_one(api, lake):
    assert rebuild(first="2012-12", last="2012-12") == ["2012-12"]


def test_a_cleared_run_starts_them_again(api, lake):
    """Under their old ids Airflow would answer 409, and nothing would be done."""
    rebuild(first="2013-03")
    rebuild(first="2013-03", clear_number=1)
    assert [run_id for _, _, run_id in started(api)] == [
        "manual__1__2013-03",
        "manual__1__1__2013-03",
    ]


def test_a_retry_names_the_same_runs(api, lake):
    """Airflow answers 409 for those that exist, which the hook takes for done."""
    api.start_run.return_value = False
    rebuild()
    first = started(api)
    rebuild(attempt=2)
    assert started(api) == first * 2


def test_what_can_be_rebuilt_is_what_makes_partitions_from_what_there_is():
    assert REBUILT == (
        "ingest_label",
        "validate_clean",
        "label",
        "feature",
        "batch_predict",
        "drift_monitor",
    )


def test_ingestion_is_started_with_the_partition_in_its_form(api, home):
    """It has no partition key. The partitions are those that have landed."""
    for key in ("2013-01", "2013-02"):
        path = home / "landing" / "weather" / key / "weather.csv"
        path.parent.mkdir(parents=True)
        path.write_text("x\n1\n")
    assert rebuild(phase="ingest_label", last="2013-12") == ["2013-02", "2013-01"]
    assert started(api) == [
        ("weather_regimes__ingest_label", "", f"manual__1__{key}", {"partition": key})
        for key in ("2013-02", "2013-01")
    ]
    with pytest.raises(
        AirflowFailException,
        match=r"the landing area has no partition from 2014-01 to 2014-02; it has 2013-01, 2013-02",
    ):
        rebuild(phase="ingest_label", first="2014-01", last="2014-02")


def test_only_what_is_out_of_date_is_rebuilt_when_that_is_asked_for(api, lake):
    """Of the range, January was made before the edit, February after it, and March is missing."""
    use_case = get(USE_CASE)
    raw = lake.table(USE_CASE, "raw")
    for key, made_by in (("2013-01", 1), ("2013-02", definition_of(use_case, "clean"))):
        data = pa.table({"x": [1]})
        made_from = {raw.name: raw.partition_versions().get(key), DEFINITION: made_by}
        lake.table(USE_CASE, "clean").publish(
            data, partition=key, schema=data.schema, writer=Writer("t", 1, 9, "t"),
            consumed=made_from,
        )  # fmt: skip
    assert rebuild(only="out of date") == ["2013-01"]
    assert rebuild(only="all") == ["2013-03", "2013-02", "2013-01"]
    with pytest.raises(
        AirflowSkipException,
        match=r"Nothing that validate_clean makes from 2013-02 to 2013-03 is out of date\.",
    ):
        rebuild(only="out of date", first="2013-02")


def test_another_phase_has_other_partitions(api, lake):
    assert rebuild(phase="feature", first="2000-01") == ["2012-12"]
    assert started(api) == [("weather_regimes__feature", "2012-12", "manual__1__2012-12")]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"phase": "train_tune"}, r"phase must be one of \['batch_predict', .*got 'train_tune'"),
        ({"first": "2013-1"}, "must be a month like '2013-06', got '2013-1'"),
        ({"last": "2013-13"}, "must be a month like '2013-06', got '2013-13'"),
        (
            {"first": "2013-04", "last": "2013-01"},
            r"weather_regimes\.raw has no partition from 2013-04 to 2013-01; it has 2012-12, .*",
        ),
        ({"phase": "feature"}, r"clean has no partition from 2013-01 to 2013-03; it has 2012-12\."),
        ({"phase": "batch_predict"}, "features has no partition .*; it has none"),
    ],
)
def test_a_form_that_names_nothing_says_what_there_is(api, lake, form, said):
    with pytest.raises(AirflowFailException, match=said):
        rebuild(**form)
    api.start_run.assert_not_called()


def test_a_run_with_a_partition_key_is_refused(api, lake):
    task = RebuildOperator(task_id="start_runs", use_case=USE_CASE)
    with pytest.raises(AirflowFailException, match="this Dag has no partition key, got '2013-01'"):
        execute(task, make_context(key="2013-01"))


@pytest.mark.parametrize(("error", "seen"), FAILURES)
def test_it_fails_in_airflows_words(api, lake, error, seen):
    api.start_run.side_effect = error
    with pytest.raises(seen, match=str(error)):
        rebuild()
