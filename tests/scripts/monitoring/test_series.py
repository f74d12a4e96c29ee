"""What was sent is added up, and told in a form that another reader of it understands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from scripts.cluster.settings import ClusterSettings
from scripts.monitoring.series import Series
from scripts.monitoring.statsd_lines import read
from scripts.stack.settings import REPO
from tests.support.waiting import until


def told(series: Series) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read what Prometheus would fetch with prometheus_client's own parser."""
    registry = CollectorRegistry()
    registry.register(series)
    return parsed(generate_latest(registry).decode())


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_add_up_gauges_are_set_or_changed():
    series = Series()
    for text in ("n,dag_id=a__b:1|c", "n,dag_id=a__b:2|c", "n:5|c", "g:7|g", "g:3|g", "g:+2|g"):
        series.add(read(text))
    found = told(series)
    assert found["n_total", (("phase", "b"), ("use_case", "a"))] == 3
    assert found["n_total", ()] == 5
    assert found["g", ()] == 5


def test_durations_are_a_histogram_in_seconds():
    series = Series()
    for milliseconds in (100, 101, 2000, 99_999_999):
        series.add(read(f"d:{milliseconds}|ms"))
    found = told(series)
    counts = {dict(labels)["le"]: n for (name, labels), n in found.items() if name.endswith("ket")}
    assert (counts["0.1"], counts["0.5"], counts["1.0"], counts["2.5"]) == (1, 2, 2, 3)
    assert (counts["14400.0"], counts["+Inf"]) == (3, 4)
    assert found["d_seconds_count", ()] == 4
    assert found["d_seconds_sum", ()] == 0.1 + 0.101 + 2 + 99_999.999


def test_what_cannot_be_kept_is_counted_and_what_is_known_goes_on():
    series = Series(max_series=2)
    for text in ("a:1|c", "b:1|g", "c:1|c", "not a line", "a:1|g", "a:1|c"):
        series.add(read(text))
    found = told(series)
    assert found["a_total", ()] == 2
    assert ("c_total", ()) not in found
    assert found["flywheel_statsd_dropped_total", ()] == 3, "too many, unreadable, another type"
    assert found["flywheel_statsd_lines_total", ()] == 3


def test_the_exporter_takes_lines_by_udp_and_answers_by_http():
    ports = ClusterSettings.free_ports()
    statsd, metrics = ports["FLYWHEEL_S3_PORT"], ports["FLYWHEEL_REDIS_PORT"]
    env = {**os.environ, "FLYWHEEL_STATSD_PORT": statsd, "FLYWHEEL_METRICS_PORT": metrics}
    command = [sys.executable, "-m", "scripts.monitoring.exporter"]
    with subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "The exporter listens.\n"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outlet:
                outlet.sendto(b"n:1|c\nn:1|c", ("127.0.0.1", int(statsd)))

            def answer() -> dict:
                with urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as response:
                    return parsed(response.read().decode())

            assert until(lambda: answer().get(("n_total", ())) == 2, within_s=10)
            second = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True)
            assert "The exporter cannot listen on 127.0.0.1" in second.stderr
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
