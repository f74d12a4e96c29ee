"""The whole thing, as a newcomer meets it: the demo on the real stack, then bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect

from include.lake.table import Lake
from scripts.land_flights import USE_CASES, land_rows
from scripts.stack.environment import base_environment
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack
from tests.support.browser import browser_page, log_in

pytestmark = pytest.mark.end_to_end
REPO = Path(__file__).resolve().parents[2]
TABLES = (
    "raw",
    "labels",
    "clean",
    "quarantine",
    "features",
    "predictions",
    "monitoring",
    "decisions",
)


class Wheel:
    """A stack on which the demo has run."""

    def __init__(self, stack: Stack, output: str, demo: dict[str, Any]) -> None:
        self.stack, self.output, self.demo = stack, output, demo
        self.home = stack.settings.home
        headers = {"Authorization": f"Bearer {stack.token()}"}
        base = f"{stack.settings.airflow_url}/api/v2"
        self.api = httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def trigger(self, dag_id: str, key: str | None = None, **conf: Any) -> httpx.Response:
        body = {"logical_date": None, "conf": conf} | ({"partition_key": key} if key else {})
        return self.api.post(f"/dags/{dag_id}/dagRuns", json=body)

    def run(self, dag_id: str, key: str | None = None, **conf: Any) -> tuple[str, dict[str, str]]:
        """Trigger a Dag, wait for its end; return its state and the state of each task."""
        run_id = self.trigger(dag_id, key, **conf).raise_for_status().json()["dag_run_id"]
        return self.wait(dag_id, run_id)

    def wait(self, dag_id: str, run_id: str) -> tuple[str, dict[str, str]]:
        for _ in range(240):
            state = self.api.get(f"/dags/{dag_id}/dagRuns/{run_id}").json()["state"]
            if state in ("success", "failed"):
                return state, {
                    f"{t['task_id']}/{t['map_index']}": t["state"]
                    for t in self.tasks(dag_id, run_id)
                }
            time.sleep(0.5)
        raise AssertionError(f"{dag_id} {run_id} does not end")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found = self.api.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()
        return found["task_instances"]

    def newest_run(self, dag_id: str, after: set[str]) -> str:
        """Wait for a run that was not there before."""
        for _ in range(120):
            if new := self.run_ids(dag_id) - after:
                return new.pop()
            time.sleep(0.5)
        raise AssertionError(f"{dag_id} was not started")

    def run_ids(self, dag_id: str) -> set[str]:
        found = self.api.get(f"/dags/{dag_id}/dagRuns", params={"limit": 100}).json()["dag_runs"]
        return {run["dag_run_id"] for run in found}

    def log_of(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"
        return self.api.get(path, params={"map_index": map_index}).text

    def versions(self) -> dict[str, int]:
        """Delta version of every table there is."""
        lake = Lake(str(self.home / "lake"))
        tables = [lake.table(name, stage) for name in USE_CASES for stage in TABLES]
        return {table.name: table.version() for table in tables if table.exists()}

    def contents(self) -> dict[str, dict[str, int | None]]:
        """Digest of every partition of every table there is."""
        lake = Lake(str(self.home / "lake"))
        tables = [lake.table(name, stage) for name in USE_CASES for stage in TABLES]
        return {table.name: table.partition_versions() for table in tables}

    def at_rest(self) -> None:
        quiet = 0
        while quiet < 6:
            states = {"state": ["queued", "running"], "limit": 1}
            active = self.api.get("/dags/~/dagRuns", params=states).json()["total_entries"]
            quiet = 0 if active else quiet + 1
            time.sleep(0.5)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Iterator[Wheel]:
    stack = Stack(StackSettings.on_free_ports(tmp_path_factory.mktemp("wheel")), say=print)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.demo"],
            cwd=REPO, env=base_environment(stack.settings),
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        demo = json.loads((stack.settings.home / "demo.json").read_text())
        yield Wheel(stack, done.stdout, demo)
    finally:
        stack.down()


def test_the_demo_shows_what_it_promises(wheel):
    lead = [p for p in wheel.demo["partitions"] if p["use_case"] == "flight_delays"]
    january = lead[0]
    # 26,865 flights in January (UTC), 154 of them without an aircraft: counted with pandas.
    assert (january["partition"], january["rows_in"], january["rows_quarantined"]) == (
        "2013-01", 26_865, 154,
    )  # fmt: skip
    assert january["rows_clean"] == 26_865 - 154
    assert {p["verdict"] for p in lead} & {"drift", "stable", "decay"}
    assert sum(d["asks"] for p in lead for d in p["decisions"]) >= 2
    versions = wheel.demo["models"]["flight_delays"]
    champion = next(m for m in versions if m["alias"] == "champion")
    assert champion["verdict"] == "promoted"
    assert champion["value"] > champion["dummy"] == 0.5
    judged = next(m for m in versions if m["version"] == champion["refit_of"])
    assert (judged["verdict"], judged["value"]) == ("promoted", champion["value"])
    assert wheel.demo["prediction"]["answer"]["predictions"] in ([0], [1])
    for word in ("What happened", "The gate said", "curl", wheel.stack.settings.airflow_url):
        assert word in wheel.output
    password = wheel.stack.login().password
    assert password not in wheel.output
    assert password not in json.dumps(wheel.demo)


def test_what_is_served_is_the_champion(wheel):
    for name, versions in wheel.demo["models"].items():
        champion = next(m["version"] for m in versions if m["alias"] == "champion")
        url = f"{wheel.stack.settings.serving_url}/{name}/version"
        assert httpx.get(url, trust_env=False).json()["model_version"] == champion


def test_a_bad_request_is_told_what_is_wrong(wheel):
    url = f"{wheel.stack.settings.serving_url}/flight_delays/invocations"
    row = dict(wheel.demo["prediction"]["request"]["dataframe_records"][0])
    lacking = {name: value for name, value in row.items() if name != "origin"}
    for bad, word in ((lacking, "origin"), (row | {"distance": "far"}, "distance")):
        answer = httpx.post(url, json={"dataframe_records": [bad]}, trust_env=False)
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "BAD_REQUEST"
        assert word in answer.json()["message"]


def test_running_every_dag_again_changes_nothing(wheel):
    """Asked for by a person each run works, and the content of no partition differs.

    Left out are those whose purpose is a change: a training, a promotion, a retraction; `rebuild`
    starts the others.
    """
    key = "2013-04"  # later than what any champion has learned
    keyless = ("ingest_label", "housekeeping")
    keyed = ("validate_clean", "feature", "batch_predict", "drift_monitor", "retrain_trigger")
    for phase in ("batch_predict", "retrain_trigger"):  # a promotion since the last is news
        for name in USE_CASES:
            assert wheel.run(f"{name}__{phase}", key)[0] == "success"
        wheel.at_rest()
    before = wheel.contents()
    dags = [d["dag_id"] for d in wheel.api.get("/dags", params={"limit": 100}).json()["dags"]]
    wanted = {
        f"{name}__{phase}": key if phase in keyed else None
        for name in USE_CASES
        for phase in (*keyless, *keyed)
    }
    started = {
        dag_id: wheel.trigger(dag_id, of).raise_for_status().json()["dag_run_id"]
        for dag_id, of in wanted.items()
    }
    ended = {dag_id: wheel.wait(dag_id, run_id)[0] for dag_id, run_id in started.items()}
    wheel.at_rest()
    # Twelve of each of five use cases that ship, one more of each of four with labels, and one
    # where people label.
    assert len(dags) == 65
    assert wanted.keys() <= set(dags)
    assert set(ended.values()) == {"success"}, ended
    assert wheel.contents() == before


def test_an_unknown_partition_or_dag_is_refused_with_what_exists(wheel):
    assert wheel.trigger("no_such_use_case__feature").status_code == 404
    wrong_form = wheel.trigger("flight_delays__feature", key="2013-13")
    assert wrong_form.status_code == 400
    assert "2013-13" in wrong_form.text
    dag_id = "flight_delays__feature"
    run_id = wheel.trigger(dag_id, key="2031-01").raise_for_status().json()["dag_run_id"]
    assert wheel.wait(dag_id, run_id)[0] == "failed"
    (task,) = wheel.tasks(dag_id, run_id)
    assert task["try_number"] == 1, "a wrong key must not be retried"
    log = wheel.log_of(dag_id, run_id, "build_features")
    assert "'2031-01' is not in flight_delays.clean" in log
    assert "2013-01, 2013-02" in log


def test_a_malformed_file_is_refused_and_mending_it_is_enough(wheel):
    dag_id = "weather_regimes__ingest_label"
    before, known = wheel.versions(), wheel.run_ids(dag_id)
    months = sorted(path.name for path in (wheel.home / "landing/weather").iterdir())
    following = f"2013-{int(months[-1][-2:]) + 1:02d}"
    land_rows(wheel.home / "staging", following)
    good = (wheel.home / "staging/weather" / following / "weather.csv").read_text()
    target = wheel.home / "landing/weather" / following / "weather.csv"
    target.parent.mkdir()
    lines = good.splitlines()
    target.write_text("\n".join([lines[0], lines[1].replace(",", ",x", 5), *lines[2:]]) + "\n")

    run_id = wheel.newest_run(dag_id, known)
    state, _ = wheel.wait(dag_id, run_id)
    wheel.at_rest()
    assert state == "failed"
    failed = [t for t in wheel.tasks(dag_id, run_id) if t["state"] == "failed"]
    assert failed
    log = wheel.log_of(dag_id, run_id, failed[0]["task_id"], failed[0]["map_index"])
    assert f"{following}/weather.csv" in log
    assert wheel.versions()["weather_regimes.raw"] == before["weather_regimes.raw"]

    known = wheel.run_ids(dag_id)
    target.write_text(good)
    assert wheel.wait(dag_id, wheel.newest_run(dag_id, known))[0] == "success"
    assert following in Lake(str(wheel.home / "lake")).table("weather_regimes", "raw").partitions()


@pytest.fixture(scope="module")
def page(wheel) -> Iterator[Page]:
    login = wheel.stack.login()
    with browser_page(width=1400, height=1600) as page:
        log_in(page, wheel.stack.settings.airflow_url, login.user, login.password)
        yield page


@pytest.mark.browser
def test_the_page_has_a_card_of_each_use_case(wheel, page):
    page.get_by_role("link", name="Flywheel").click()
    cards = page.get_by_role("article")
    expect(cards).to_have_count(5)
    for name, versions in wheel.demo["models"].items():
        card = cards.filter(has_text=name.replace("_", " "))
        champion = next(m["version"] for m in versions if m["alias"] == "champion")
        expect(card).to_contain_text(f"version {champion}, since")
    expect(cards.filter(has_text="votes")).to_contain_text("none landed yet")


@pytest.mark.browser
def test_a_figure_leads_to_its_evidence_and_a_training_starts(wheel, page):
    url = wheel.stack.settings.airflow_url
    page.goto(f"{url}/plugin/flywheel?use_case=flight_delays")
    table = page.get_by_role("table").filter(has_text="Partition")
    lead = [p for p in wheel.demo["partitions"] if p["use_case"] == "flight_delays"]
    for partition in lead:
        row = table.get_by_role("row").filter(has_text=partition["partition"])
        expect(row).to_contain_text(f"{partition['rows_in']:,}")

    page.get_by_role("button", name="2013-01").click()
    evidence = page.get_by_role("listitem").filter(has_text="raw: 26,865 rows")
    # The first look imports MLflow's client.
    expect(evidence).to_contain_text("from flights/2013-01/flights.csv", timeout=60_000)
    evidence.get_by_role("link", name="the task that made it").click()
    page.wait_for_url("**/dags/flight_delays__ingest_label/runs/**/tasks/**")
    expect(page.get_by_role("heading", name="ingest")).to_be_visible()

    page.goto(f"{url}/plugin/flywheel?use_case=flight_delays")
    page.get_by_label("Of what was known up to").select_option("2013-02")
    page.get_by_role("button", name="Start", exact=True).click()
    link = page.get_by_text("Started:").get_by_role("link")
    run_id = str(link.inner_text())
    path = f"/dags/flight_delays__train_tune/dagRuns/{run_id}"
    started = wheel.api.get(path).raise_for_status().json()
    assert (started["partition_key"], started["triggering_user_name"]) == ("2013-02", "admin")
    # It ends before the next test looks; a training as of the past is judged, and promotes nothing.
    wheel.wait("flight_delays__train_tune", run_id)
    wheel.at_rest()


def test_after_down_nothing_is_left(wheel):
    home = str(wheel.home)
    wheel.at_rest()
    wheel.stack.down()
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLYWHEEL_STACK") == home:
                left.append(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    assert left == []
