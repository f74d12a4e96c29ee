"""The machine that is named above the table."""

from __future__ import annotations

import json
import os

import pytest

from benchmarks import machine


def test_it_names_what_a_figure_depends_on(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    found = machine.describe()
    assert found["cpus"] == os.cpu_count()
    assert found["airflow"] == "3.3.2"
    assert found["busy"] is False
    assert "busy" not in machine.told(found)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("load", "busy"), [(0.5, False), (0.51, True)])
def test_a_machine_with_other_work_is_called_busy(monkeypatch, load, busy):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (4 * load, 0.0, 0.0))
    found = machine.describe()
    assert found["busy"] is busy
    assert ("times are too long" in machine.told(found)) is busy
