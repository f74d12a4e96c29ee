"""`python -m benchmarks`: what it writes and with which exit code, with figures that are given."""

from __future__ import annotations

import json
import signal

import pytest

from benchmarks import __main__ as command
from benchmarks import dag_parsing, demo_wall_time, lake_publish
from benchmarks.figures import Figure

WITHIN = Figure("dag_parsing", 1.0, "s", "an import", 2.0)
OVER = Figure("lake_publish", 9.0, "ratio", "parquet", 4.0)


@pytest.fixture(autouse=True)
def _house(monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setattr(dag_parsing, "measure", lambda: [WITHIN])
    yield
    signal.signal(signal.SIGTERM, before)


def test_all_within_limits_is_exit_code_0_and_a_file_with_the_machine_beside_it(tmp_path, capsys):
    assert command.main(["--only", "dag_parsing"]) == 0
    assert json.loads((tmp_path / "bench.json").read_text()) == [
        {"name": "dag_parsing", "value": 1.0, "unit": "s", "against": "an import", "limit": 2.0}
    ]
    machine = json.loads((tmp_path / "bench_machine.json").read_text())
    out = capsys.readouterr().out
    assert machine["processor"] in out
    assert out.index(machine["processor"]) < out.index("dag_parsing")


def test_one_over_its_limit_is_exit_code_1_and_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lake_publish, "measure", lambda folder: [OVER])
    assert command.main(["--only", "dag_parsing", "lake_publish"]) == 1
    assert "Over its limit: lake_publish: 9 ratio, limit 4" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "bench.json").read_text())) == 2


def test_what_cannot_be_measured_is_exit_code_1_and_the_others_are_kept(
    tmp_path, capsys, monkeypatch
):
    def fail(folder):
        raise OSError("disk full")

    monkeypatch.setattr(lake_publish, "measure", fail)
    assert command.main(["--only", "dag_parsing", "lake_publish"]) == 1
    assert "lake_publish could not be measured: OSError: disk full" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "bench.json").read_text())) == 1


def test_the_demo_alone(tmp_path, monkeypatch):
    demo = [Figure("demo_wall_time", 300.0, "s", "", 360.0)]
    monkeypatch.setattr(demo_wall_time, "measure", lambda folder, say: demo)
    assert command.main(["--demo"]) == 0
    assert [each["name"] for each in json.loads((tmp_path / "bench.json").read_text())] == [
        "demo_wall_time"
    ]


def test_the_demo_can_be_left_out(tmp_path, monkeypatch):
    def fail(folder, say):
        raise AssertionError("the demo ran")

    monkeypatch.setattr(demo_wall_time, "measure", fail)
    assert command.main(["--without-demo", "--only", "dag_parsing", "demo"]) == 0


def test_an_unknown_figure_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "speed"])
    assert "dag_parsing" in capsys.readouterr().err
