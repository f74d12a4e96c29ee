"""What Prometheus and Grafana are told: valid, and each alert leads to its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from airflow._shared.observability.metrics import metrics_registry
from ruamel.yaml import YAML

from include.serving.metrics import Metrics
from scripts.stack.settings import REPO
from tests.support.expressions import MONITORING, NAME, expressions

BOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
RULES = [
    rule
    for group in YAML(typ="safe").load(MONITORING / "alerts.yml")["groups"]
    for rule in group["rules"]
]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def test_prometheus_understands_its_files():
    done = promtool("check", "config", str(MONITORING / "prometheus.yml"))
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_alerts_fire_when_they_should_and_not_before():
    done = promtool("test", "rules", str(Path(__file__).with_name("alerts_test.yml")))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_paragraph(rule):
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (REPO / file).read_text(), re.MULTILINE)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.stem)
def test_a_dashboard_asks_the_data_source_that_is_provisioned(file):
    board = json.loads(file.read_text())
    sources = YAML(typ="safe").load(
        MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    )["datasources"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {sources[0]["uid"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places), "no panel covers another"


def test_each_dashboard_has_a_name_of_its_own():
    assert len(BOARDS) == 3
    assert len({json.loads(file.read_text())["uid"] for file in BOARDS}) == 3


def of_airflow() -> set[str]:
    """Name what the installed Airflow can send, as Prometheus gets it."""
    kinds = {"counter": ["_total"], "gauge": [""]}
    kinds["timer"] = [f"_seconds_{each}" for each in ("bucket", "count", "sum")]
    file = Path(metrics_registry.__file__).with_name("metrics_template.yaml")
    return {
        f"airflow_{each['name']}{suffix}".replace(".", "_").replace("-", "_")
        for each in YAML(typ="safe").load(file)["metrics"]
        for suffix in kinds[each["type"]]
    }


def of_phases() -> set[str]:
    """Name what our operators send."""
    found = set()
    for file in (REPO / "plugins" / "operators").glob("*.py"):
        for phase in re.findall(r'send\(self\.use_case, "(\w+)"', file.read_text()):
            names = re.findall(
                r'^ +"(\w+)": |[{,] ?"(\w+)": (?:done|share)', file.read_text(), re.M
            )
            found |= {f"flywheel_{phase}_{a or b}" for a, b in names}
    return found


def test_every_metric_of_a_dashboard_or_an_alert_can_be_measured():
    """Which of them a run does measure, tests/end_to_end/test_monitoring.py asks a Prometheus."""
    serving = of_serving()
    known = of_airflow() | of_phases() | serving | {"up"}
    missing = {
        where: absent
        for where, expression in expressions().items()
        if (absent := sorted(set(NAME.findall(expression)) - known))
    }
    assert missing == {}


def of_serving() -> set[str]:
    """Name the metrics of serving: those with labels have no sample before the first request."""
    suffixes = {"counter": ["_total"], "gauge": [""]}
    suffixes["histogram"] = ["_bucket", "_count", "_sum"]
    types = re.findall(r"^# TYPE (\w+) (\w+)$", Metrics().text().decode(), re.MULTILINE)
    return {
        f"{name.removesuffix('_total')}{suffix}"
        for name, kind in types
        for suffix in suffixes[kind]
    }
