"""Lines as Airflow's own client writes them, and lines that are none."""

from __future__ import annotations

import socket

import pytest
from airflow._shared.observability.metrics.statsd_logger import get_statsd_logger
from statsd import StatsClient

from scripts.monitoring.statsd_lines import COUNTER, DURATION, GAUGE, Line, read


def test_what_airflows_client_sends_is_read():
    """Through a real socket: the form is the client's, not what this test thinks it is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inlet:
        inlet.bind(("127.0.0.1", 0))
        inlet.settimeout(5)
        stats = get_statsd_logger(
            stats_class=StatsClient,
            host="127.0.0.1",
            port=inlet.getsockname()[1],
            prefix="airflow",
            influxdb_tags_enabled=True,
            statsd_influxdb_enabled=True,
        )
        tags = {"dag_id": "air_time__feature", "task_id": "build", "run_id": "manual__1"}
        stats.incr("ti.finish", tags={**tags, "state": "success"})
        stats.gauge("pool.open_slots", 4, tags={"pool_name": "train"})
        stats.timing("task.duration", 1500, tags=tags)
        stats.gauge("flywheel.monitor.performance", 0.75, tags={"use_case": "air_time"})
        found = [read(inlet.recv(1000).decode()) for _ in range(4)]

    of_task = (("phase", "feature"), ("task_id", "build"), ("use_case", "air_time"))
    finished = (*of_task[:1], ("state", "success"), *of_task[1:])
    assert found == [
        Line("airflow_ti_finish", COUNTER, 1.0, finished),
        Line("airflow_pool_open_slots", GAUGE, 4.0, (("pool_name", "train"),)),
        Line("airflow_task_duration", DURATION, 1.5, of_task),
        Line("flywheel_monitor_performance", GAUGE, 0.75, (("use_case", "air_time"),)),
    ]


def test_a_rate_is_made_up_for_and_a_signed_gauge_is_a_change():
    assert read("a:2|c|@0.5") == Line("a", COUNTER, 4.0, ())
    assert read("a:-3|g") == Line("a", GAUGE, -3.0, (), is_change=True)
    assert read("a.b-c:3|g") == Line("a_b_c", GAUGE, 3.0, ())


@pytest.mark.parametrize(
    "text",
    ["", "a", "a:1", "a:x|c", "a:1|s", ":1|c", "a:nan|g", "a:inf|ms", "a:1|c|@0", "a:1|c|@x"],
)
def test_what_is_no_line_is_none(text):
    assert read(text) is None
