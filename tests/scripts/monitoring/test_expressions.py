"""A real Prometheus fetches from a real exporter, and understands every expression."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scripts.cluster.settings import ClusterSettings
from scripts.stack.settings import REPO
from tests.support.expressions import expressions
from tests.support.waiting import until


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[tuple[str, int]]:
    """Give the address of a Prometheus, and the port to which an exporter listens by UDP."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian: apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    free = [int(port) for port in list(ClusterSettings.free_ports().values())[:3]]
    port, statsd, metrics = free
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: airflow, static_configs: [{{targets: ['127.0.0.1:{metrics}']}}]}}\n"
    )
    ports = {"FLYWHEEL_STATSD_PORT": str(statsd), "FLYWHEEL_METRICS_PORT": str(metrics)}
    commands = (
        (sys.executable, "-m", "scripts.monitoring.exporter"),
        (
            program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
    )  # fmt: skip
    running = [
        subprocess.Popen(
            command, cwd=REPO, env={**os.environ, **ports},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: ask(url, 'up{job="airflow"} == 1'), within_s=60)
        yield url, statsd
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def ask(url: str, expression: str) -> list[Any]:
    try:
        query = {"query": expression}
        answer = httpx.get(f"{url}/api/v1/query", params=query, trust_env=False)
    except httpx.TransportError:
        return []  # it starts
    assert answer.is_success, f"{expression}: {answer.text}"
    found: list[Any] = answer.json()["data"]["result"]
    return found


def test_what_airflow_sends_is_what_prometheus_has(prometheus):
    url, statsd = prometheus
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outlet:
        for line in (
            b"airflow.dagrun.duration.success,dag_id=a__feature,run_type=manual:1500|ms",
            b"airflow.pool.queued_slots,pool_name=train:3|g",
        ):
            outlet.sendto(line, ("127.0.0.1", statsd))
    sums = 'airflow_dagrun_duration_success_seconds_sum{use_case="a", phase="feature"}'
    (found,) = until(lambda: ask(url, sums), within_s=20)
    assert found["value"][1] == "1.5"
    (found,) = ask(url, "airflow_pool_queued_slots")
    assert (found["metric"]["pool_name"], found["value"][1]) == ("train", "3")


@pytest.mark.parametrize("where", expressions())
def test_an_expression_is_understood(prometheus, where):
    expression = expressions()[where]
    ask(prometheus[0], expression.replace("$__rate_interval", "1m").replace("$use_case", ".*"))


def test_a_misspelt_expression_would_not_be(prometheus):
    with pytest.raises(AssertionError, match="parse error"):
        ask(prometheus[0], "sum by (a (up)")
