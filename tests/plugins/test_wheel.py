"""What the Dag files share."""

from __future__ import annotations

import runpy
from datetime import timedelta

import pytest
from airflow.sdk import Asset, StartOfDayMapper, StartOfMonthMapper
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID

from include.settings import REPO
from include.use_cases.loader import get
from plugins.phases import PHASES
from plugins.triggers.landed_files import LandedFilesTrigger
from plugins.wheel import MAPPERS, WheelAssets, assets_of, dag_arguments, when
from tests.support import daily


def test_assets_are_named_after_the_use_case():
    assets = assets_of(get("weather_regimes"))
    names = {field: getattr(assets, field).name for field in WheelAssets.__dataclass_fields__}
    assert names == {field: f"weather_regimes.{field}" for field in names}
    assert {getattr(assets, field).group for field in names} == {"weather_regimes"}


def test_uris_are_the_same_wherever_the_lake_is(monkeypatch):
    """The same asset is a folder on one machine and a bucket on another."""
    found = []
    for home, lake in (("/one", "s3://bucket/lake"), ("/two", "")):
        monkeypatch.setenv("FLYWHEEL_HOME", home)
        monkeypatch.setenv("FLYWHEEL_LAKE_URI", lake)
        assets = assets_of(get("air_time"))
        found.append({name: getattr(assets, name).uri for name in WheelAssets.__dataclass_fields__})
    assert found[0] == found[1]
    assert found[0]["raw"] == "flywheel://air_time/raw"
    assert len(set(found[0].values())) == len(found[0])


def test_only_the_landing_is_watched_and_by_its_own_use_case():
    assets = assets_of(get("air_time"))
    watched = {
        field for field in WheelAssets.__dataclass_fields__ if getattr(assets, field).watchers
    }
    assert watched == {"landing"}
    (watcher,) = assets.landing.watchers
    assert isinstance(watcher.trigger, LandedFilesTrigger)
    assert watcher.trigger.use_case == "air_time"


@pytest.mark.parametrize(
    ("grain", "kind", "key", "wrong"),
    [
        ("month", StartOfMonthMapper, "2013-06", "2013-06-01"),
        ("day", StartOfDayMapper, "2013-06-01", "2013-06"),
    ],
)
def test_a_key_of_the_grain_is_mapped_to_itself_and_a_wrong_one_refused(grain, kind, key, wrong):
    from airflow.partition_mappers.temporal import StartOfDayMapper as CoreDay
    from airflow.partition_mappers.temporal import StartOfMonthMapper as CoreMonth

    mapper, key_format = MAPPERS[grain]
    assert mapper is kind
    core = {"month": CoreMonth, "day": CoreDay}[grain](input_format=key_format)
    assert core.to_downstream(key) == key
    with pytest.raises(ValueError, match=r"unconverted data remains|does not match format"):
        core.to_downstream(wrong)


def test_a_run_for_each_key_of_the_assets():
    use_case = get("weather_regimes")
    assets = assets_of(use_case)
    timetable = when(use_case, assets.raw)
    assert isinstance(timetable.asset_condition, Asset)
    assert timetable.asset_condition.name == "weather_regimes.raw"


def test_arguments_name_use_case_phase_and_owner():
    use_case = get("weather_regimes")
    found = dag_arguments(use_case, "train_tune", "### Train")
    assert found["dag_id"] == "weather_regimes__train_tune"
    assert found["description"] == f"train tune: {use_case.description}"
    assert found["tags"] == {"weather_regimes", "train_tune", "clustering"}
    assert found["default_args"]["owner"] == "weather@example.com"
    assert found["doc_md"] == "### Train"


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_limits_and_pool_are_the_phases(phase):
    found, limits = dag_arguments(get("air_time"), phase, None), PHASES[phase]
    defaults = found["default_args"]
    assert (found["max_active_runs"], found["dagrun_timeout"]) == (
        limits.active_runs,
        limits.run_timeout,
    )
    assert (defaults["pool"], defaults["retries"], defaults["execution_timeout"]) == (
        phase,
        limits.retries,
        limits.task_timeout,
    )


def test_retries_wait_longer_each_time_and_never_long():
    defaults = dag_arguments(get("air_time"), "feature", None)["default_args"]
    assert defaults["retry_exponential_backoff"]
    assert defaults["retry_delay"] == timedelta(seconds=10)
    assert defaults["max_retry_delay"] == timedelta(minutes=5)


def test_a_phase_without_limits_has_no_dags():
    with pytest.raises(KeyError, match="deploi"):
        dag_arguments(get("air_time"), "deploi", None)


def test_defaults_are_not_shared_between_dags():
    first, second = (dag_arguments(get("air_time"), "deploy", None) for _ in range(2))
    first["default_args"]["retries"] = 99
    assert second["default_args"]["retries"] == 3


def test_a_task_builds_the_dags_of_its_own_use_case_alone(tmp_path, monkeypatch):
    for name in ("one", "two", "one_more"):
        daily.write_use_case(tmp_path / "made").rename(tmp_path / name)
    (tmp_path / "made").rmdir()
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))

    def dags_of(dag_id):
        # `_airflow_parsing_context_manager`, by which a task says what it is, leaves this set.
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, dag_id)
        made = runpy.run_path(str(REPO / "dags" / "feature.py"))
        return {name for name in made if name.endswith("__feature")}

    assert dags_of("one__feature") == {"one__feature"}
    assert dags_of("absent__feature") == set()
    assert dags_of("") == {"one__feature", "two__feature", "one_more__feature"}
