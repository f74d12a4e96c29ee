"""A real stack, its metrics in a real Prometheus, and its logs in JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from scripts.cluster.settings import ClusterSettings
from scripts.stack.settings import REPO
from tests.support import daily
from tests.support.expressions import MONITORING, NAME, expressions
from tests.support.stacks import House, daily_house
from tests.support.waiting import until

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]
DAYS = daily.days("2024-01-01", 4)
ROW = {"at": f"{DAYS[0]}T01:00:00Z", "heat": 0.5, "line": "a"}
PROMETHEUS = shutil.which("prometheus")


@dataclass
class Watched:
    """A stack that has turned, and the Prometheus that watched it."""

    house: House
    prometheus: str

    def ask(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.prometheus}/api/v1/query", params={"query": expression}, trust_env=False
        )
        assert answer.is_success, f"{expression}: {answer.text}"
        return answer.json()["data"]["result"]

    def names(self) -> set[str]:
        url = f"{self.prometheus}/api/v1/label/__name__/values"
        return set(httpx.get(url, trust_env=False).raise_for_status().json()["data"])

    def lines(self, log: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in log.read_text().splitlines()]


def configuration(folder: Path, exporter: int, serving: int) -> Path:
    """Write the repository's configuration with the addresses of this machine."""
    yaml = YAML(typ="safe")
    config = yaml.load(MONITORING / "prometheus.yml")
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout"), "1s")
    ports = {"airflow": exporter, "serving": serving}
    config["scrape_configs"] = [
        {
            "job_name": each["job_name"],
            "static_configs": [{"targets": [f"127.0.0.1:{ports[each['job_name']]}"]}],
        }
        for each in config["scrape_configs"]
    ]
    config["rule_files"] = [str(MONITORING / "alerts.yml")]
    file = folder / "prometheus.yml"
    yaml.dump(config, file)
    return file


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    if PROMETHEUS is None:
        pytest.skip("prometheus is not installed (Debian: apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("watched")
    free = ClusterSettings.free_ports()
    statsd, exporter, port = (
        int(free[f"FLYWHEEL_{name}_PORT"]) for name in ("S3", "REDIS", "POSTGRES")
    )
    running = []
    try:
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "scripts.monitoring.exporter"],
                cwd=REPO,
                env={
                    "FLYWHEEL_STATSD_PORT": str(statsd),
                    "FLYWHEEL_METRICS_PORT": str(exporter),
                },
            )
        )
        how = {"statsd_host": "127.0.0.1", "statsd_port": statsd, "log_format": "json"}
        with daily_house(folder, **how) as house:
            config = configuration(folder, exporter, house.stack.settings.serving_port)
            running.append(
                subprocess.Popen(
                    [
                        PROMETHEUS, f"--config.file={config}",
                        f"--storage.tsdb.path={folder / 'tsdb'}",
                        f"--web.listen-address=127.0.0.1:{port}",
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=(folder / "prometheus.log").open("w"),
                )
            )  # fmt: skip
            for day in DAYS:
                daily.land(house.landing, day, outcomes=day < DAYS[3])
            house.until(house.served, "a first champion serves", 300)
            house.at_rest()
            daily.land(house.landing, DAYS[3])
            house.until(lambda: house.version("monitoring", DAYS[3]), "it is monitored", 120)
            house.at_rest()  # monitored again, with its outcomes
            assert house.run("reproduce", version="7").state == "failed", "one run that fails"
            url = f"{house.stack.settings.serving_url}/{daily.NAME}/invocations"
            for row in (ROW, {**ROW, "heat": 1e9}, {**ROW, "heat": "no number"}):
                httpx.post(url, json={"dataframe_records": [row]}, trust_env=False)
            found = Watched(house, f"http://127.0.0.1:{port}")
            assert until(lambda: found.ask("flywheel_serving_errors_total"), within_s=30), (
                "Prometheus fetches what serving counts"
            )
            assert until(
                lambda: found.ask("airflow_dagrun_duration_failed_seconds_count"), within_s=60
            )
            yield found
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def test_every_metric_of_a_dashboard_or_an_alert_was_measured(watched):
    present = watched.names()
    missing = {
        where: absent
        for where, expression in expressions().items()
        if (absent := sorted(set(NAME.findall(expression)) - present))
    }
    assert missing == {}, f"no run emits these; there are {sorted(present)}"


def test_every_expression_is_understood(watched):
    for expression in expressions().values():
        watched.ask(expression.replace("$__rate_interval", "1m").replace("$use_case", ".*"))


def test_what_was_measured_is_what_happened(watched):
    done = watched.ask(
        'sum by (phase) (airflow_dagrun_duration_success_seconds_count{use_case="daily"})'
    )
    phases = {each["metric"]["phase"]: float(each["value"][1]) for each in done}
    assert phases["train_tune"] == 1
    assert phases["validate_clean"] >= len(DAYS)
    (failed,) = watched.ask("airflow_dagrun_duration_failed_seconds_count > 0")
    assert (failed["metric"]["phase"], failed["value"][1]) == ("reproduce", "1")
    statuses = watched.ask('flywheel_serving_requests_total{use_case="daily"}')
    assert {each["metric"]["status"] for each in statuses} == {"200", "400"}
    (rows,) = watched.ask('flywheel_validate_rows{use_case="daily"}')
    assert rows["value"][1] == "60"
    (dropped,) = watched.ask("flywheel_statsd_dropped_total")
    assert dropped["value"][1] == "0"


def test_no_alert_of_silence_fires_while_all_is_well(watched):
    url = f"{watched.prometheus}/api/v1/rules"
    groups = httpx.get(url, trust_env=False).raise_for_status().json()["data"]["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {name for name, rule in rules.items() if rule["health"] == "err"} == set()
    quiet = (
        "SchedulerSilent",
        "TriggererSilent",
        "DagProcessorSilent",
        "ServingDown",
        "ServingErrors",
    )
    assert {name: rules[name]["state"] for name in quiet} == dict.fromkeys(quiet, "inactive")


def test_each_line_of_a_tasks_log_names_its_run_and_partition(watched):
    run = watched.house.runs("feature", DAYS[0])[-1]
    home = watched.house.stack.settings.home
    (log,) = home.glob(f"airflow/logs/dag_id=daily__feature/run_id={run.run_id}/*/attempt=1.log")
    lines = watched.lines(log)
    ours = [line for line in lines if line["logger"].startswith("include.")]
    assert ours, "the phase writes lines of its own"
    for line in ours:
        found = [line[name] for name in ("dag_id", "run_id", "partition")]
        assert found == ["daily__feature", run.run_id, DAYS[0]]
        assert line["task_id"]


def test_the_logs_of_servers_are_json_and_name_request_and_version(watched):
    logs = watched.house.stack.settings.logs
    served = [each for each in watched.lines(logs / "serving.log") if each["event"] == "answered"]
    assert [line["status"] for line in served] == [200, 200, 400]
    assert {line["model_version"] for line in served} == {watched.house.served()}
    assert len({line["request_id"] for line in served}) == 3
    plain = {}
    for name in ("mlflow", "scheduler", "triggerer", "api-server", "dag-processor"):
        text = (logs / f"{name}.log").read_text().splitlines()
        assert text, name
        plain[name] = [line for line in text if not line.startswith("{")][:5]
    assert not any(plain.values()), plain
