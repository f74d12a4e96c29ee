"""Figures of a phase go where Airflow's metrics go."""

from __future__ import annotations

import math
from unittest.mock import call, create_autospec

from airflow.sdk.observability import stats

from plugins.measure import send


def test_what_is_a_number_is_sent_and_nothing_else(monkeypatch):
    gauge = create_autospec(stats.gauge)
    monkeypatch.setattr(stats, "gauge", gauge)
    send("air_time", "monitor", {"rows": 3, "drift": True, "none": None, "nan": math.nan})
    tags = {"use_case": "air_time"}
    assert gauge.mock_calls == [
        call("flywheel.monitor.rows", 3.0, tags=tags),
        call("flywheel.monitor.drift", 1.0, tags=tags),
    ]
    assert {type(each.args[1]) for each in gauge.mock_calls} == {float}, "'True|g' is no line"


def test_without_a_receiver_nothing_is_sent_and_nothing_fails():
    send("air_time", "monitor", {"rows": 3})
