"""The benchmark of an export, on a few annotations of the small Label Studio."""

from __future__ import annotations

import json

import pytest

from benchmarks import label_studio_export as benchmark
from plugins.hooks import label_studio as hooks
from plugins.hooks.label_studio import LabelStudioHook
from tests.support.label_studio import TOKEN, label_studio


@pytest.mark.parametrize(("growth", "code"), [(1_000, 0), (0, 1)])
def test_what_was_sent_is_read_recorded_and_published(monkeypatch, capsys, growth, code):
    monkeypatch.setenv("FLYWHEEL_USE_CASES", "")
    for name, value in (("ITEMS", 30), ("FEW", 10), ("GROWTH", growth)):
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(hooks, "PAGE", 10)
    with label_studio() as studio:
        connection = {"conn_type": "http", "host": studio.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_LABEL_STUDIO", json.dumps(connection))

        assert benchmark.run(LabelStudioHook()) == code
        told = capsys.readouterr().out
        assert "30 tasks, each with a class and 5 boxes" in told
        assert "{'counts': 30} 30 labels" in told
        assert studio.projects == {}, "it removes its project"
