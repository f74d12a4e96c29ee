"""Reports and verdicts behind the page: who may read them, and what their scripts may not do."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from airflow.api_fastapi.core_api import security
from fastapi import FastAPI
from fastapi.testclient import TestClient

from include.deploy.verdicts import record
from include.errors import ServiceUnavailable
from include.lake.reports import VALIDATION, write_report
from include.lake.table import LakeTable
from include.use_cases.loader import Loaded
from plugins.hooks.lake import LakeHook
from plugins.hooks.mlflow import MlflowHook
from plugins.pages import evidence, overview
from tests.plugins.pages.test_overview import AuthManager
from tests.support.monitored import World, make_world

MARCH = "2024-03"
READERS = {
    "ann": {"tiny__validate_clean", "tiny__drift_monitor", "tiny__deploy"},
    "carl": {"tiny__deploy"},
    "bob": set(),
}
VERDICT = {
    "version": "1", "evaluated_version": "1", "as_of": "2024-02", "promote": False,
    "reasons": ["dummy: surely better", "freshness: not sure"], "champion_version": None,
    "metric": "roc_auc", "challenger": 0.8, "champion": None, "linear": 0.75, "dummy": 0.5,
    "effect": 0.3, "confidence_low": 0.25, "confidence": 0.95, "rows": 400,
    "holdout_partition": "2024-01",
}  # fmt: skip


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    made = make_world(tmp_path)
    monkeypatch.setattr(LakeHook, "lake", made.lake)
    monkeypatch.setattr(MlflowHook, "registry", made.registry)
    monkeypatch.setattr(overview, "load_all", lambda only=None: Loaded({"tiny": made.use_case}, {}))
    return made


@pytest.fixture
def ask(world: World, monkeypatch) -> Callable[..., httpx.Response]:
    """Ask as a person."""
    double = AuthManager()
    monkeypatch.setattr("tests.plugins.pages.test_overview.MAY_READ", READERS)
    monkeypatch.setattr(security, "get_auth_manager", lambda: double)
    monkeypatch.setattr(overview, "get_auth_manager", lambda: double)
    app = FastAPI()
    app.include_router(evidence.router)
    client = TestClient(app, raise_server_exceptions=False)

    def get(path: str, who: str | None = "ann") -> httpx.Response:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return client.get(path, headers=headers)

    return get


def log_drift_report(world: World, html: str) -> None:
    """Keep a report in MLflow where the monitor does."""
    name = f"monitor {MARCH}"
    run_id = world.registry.run("tiny", name, name, {})
    file = world.where / "drift.html"
    file.write_text(html)
    world.registry.client.log_artifact(run_id, str(file))


def directives(answer: httpx.Response) -> dict[str, list[str]]:
    """Read the policy: each directive and its values."""
    parts = [one.split() for one in answer.headers["content-security-policy"].split(";")]
    return {name: values for name, *values in parts}


def test_a_validation_result_is_shown_and_runs_no_script(world, ask):
    write_report(world.lake, "tiny", MARCH, VALIDATION, "<p>all passed</p>")
    answer = ask(f"/use-cases/tiny/partitions/{MARCH}/validation")
    assert (answer.status_code, answer.text) == (200, "<p>all passed</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = directives(answer)
    assert policy["sandbox"] == [], "no scripts, no origin, no forms"
    assert policy["default-src"] == ["'none'"]
    assert "script-src" not in policy


def test_the_scripts_of_a_drift_report_have_no_session_and_no_network(world, ask):
    log_drift_report(world, "<script>draw()</script>")
    answer = ask(f"/use-cases/tiny/partitions/{MARCH}/drift")
    assert (answer.status_code, answer.text) == (200, "<script>draw()</script>")
    policy = directives(answer)
    assert policy["sandbox"] == ["allow-scripts"], "no allow-same-origin"
    assert policy["default-src"] == ["'none'"]
    assert "connect-src" not in policy, "default-src holds"


@pytest.mark.parametrize("report", ["validation", "drift"])
@pytest.mark.parametrize(("who", "status"), [(None, 401), ("bob", 404), ("carl", 404)])
def test_reports_are_for_those_who_may_read_the_dag_that_made_them(world, ask, report, who, status):
    write_report(world.lake, "tiny", MARCH, VALIDATION, "<p>values</p>")
    log_drift_report(world, "<p>values</p>")
    assert ask(f"/use-cases/tiny/partitions/{MARCH}/{report}").status_code == 200
    answer = ask(f"/use-cases/tiny/partitions/{MARCH}/{report}", who)
    assert answer.status_code == status
    assert "values" not in answer.text


@pytest.mark.parametrize("report", ["validation", "drift"])
@pytest.mark.parametrize("key", ["2024-04", "2024-13", "..", "2024-03.html"])
def test_what_is_not_there_is_not_found(ask, report, key):
    assert ask(f"/use-cases/tiny/partitions/{key}/{report}").status_code == 404


def test_verdicts_of_rejected_models_are_told_without_mlflow(world, ask, monkeypatch):
    world.crown()
    writer = world.writer("tiny__deploy/run/reject/-1")
    record(world.use_case, VERDICT, world.lake, world.registry, writer, promoted=False)
    monkeypatch.delattr(MlflowHook, "registry")
    (seen,) = ask("/use-cases/tiny/verdicts", "carl").json()
    assert (seen["version"], seen["promoted"], seen["as_of"]) == ("1", False, "2024-02")
    assert (seen["value"], seen["linear"], seen["dummy"], seen["champion"]) == (
        0.8,
        0.75,
        0.5,
        None,
    )
    assert (seen["effect"], seen["effect_low"], seen["confidence"]) == (0.3, 0.25, 0.95)
    assert seen["reasons"] == "dummy: surely better; freshness: not sure"
    assert seen["mlflow_run"] == world.registry.details("tiny", "1")["run_id"]
    assert seen["run_id"] == "tiny__deploy/run/reject/-1"


def test_a_run_has_one_verdict_and_another_run_its_own(world, ask):
    world.crown()

    def say(run: str, why: str, *, promoted: bool) -> None:
        writer = world.writer(f"tiny__deploy/{run}/-1")
        said = VERDICT | {"reasons": [why]}
        record(world.use_case, said, world.lake, world.registry, writer, promoted=promoted)

    say("one/refit_model", "refit: it ranks otherwise", promoted=False)
    say("one/promote", "cleared, and promoted", promoted=True)
    say("two/reject", "judged again", promoted=False)
    found = ask("/use-cases/tiny/verdicts").json()
    assert [one["reasons"] for one in found] == ["judged again", "cleared, and promoted"]


def test_before_a_verdict_there_is_none(ask):
    assert ask("/use-cases/tiny/verdicts").json() == []


def test_a_lake_that_is_away_is_said_so(ask, monkeypatch):
    def away(_: object) -> bool:
        raise ServiceUnavailable("The lake does not answer.")

    monkeypatch.setattr(LakeTable, "exists", away)
    answer = ask("/use-cases/tiny/verdicts")
    assert (answer.status_code, answer.json()["detail"]) == (503, "The lake does not answer.")
