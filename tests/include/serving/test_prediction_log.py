from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.errors import ServiceUnavailable
from include.lake.table import Lake, LakeTable
from include.serving.metrics import Metrics
from include.serving.prediction_log import SCHEMA, PredictionLog, Record, to_table

AT = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
Make = Callable[..., PredictionLog]


def record(number: int = 1, **changes: Any) -> Record:
    given: dict[str, Any] = {
        "use_case": "tiny",
        "request_id": f"r{number}",
        "served_at": AT,
        "status": 200,
        "latency_ms": 1.5,
        "model_version": "3",
        "columns": {"x": [0.5, None], "at": [AT, AT]},
        "answer": {"predictions": [0, 1], "scores": [0.25, 0.75]},
    }
    return Record(**{**given, **changes})


def ids(lake: Lake, use_case: str = "tiny") -> list[str]:
    table = lake.table(use_case, "requests")
    return sorted(table.read()["request_id"].to_pylist()) if table.exists() else []


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make(lake: Lake, tmp_path: Path, metrics: Metrics) -> Make:
    def log(**options: Any) -> PredictionLog:
        return PredictionLog(lake, tmp_path / "spool", metrics, **options)

    return log


def close(log: PredictionLog) -> None:
    """End a log as a kill would: nothing goes to the lake."""
    for each in log._spools:
        each.close()


def break_lake(monkeypatch: pytest.MonkeyPatch, use_case: str = "") -> None:
    real = LakeTable.append

    def append(self: LakeTable, *args: Any, **options: Any) -> Any:
        if self.name.startswith(use_case):
            raise ServiceUnavailable("The store does not answer.")
        return real(self, *args, **options)

    monkeypatch.setattr(LakeTable, "append", append)


def test_one_row_of_the_table_for_each_row_of_the_request(make: Make, lake: Lake) -> None:
    log = make()
    log.write(record())
    log.drain()
    got = lake.table("tiny", "requests").read().to_pylist()
    shared = {
        "request_id": "r1",
        "served_at": AT,
        "model_version": "3",
        "latency_ms": 1.5,
        "status": 200,
        "error": None,
        "partition": "2026-01-31",
        "predicted_class": None,
        "probabilities": None,
    }
    sent = '{"x": %s, "at": "2026-01-31T23:59:59.123456+00:00"}'
    assert sorted(got, key=lambda row: row["row"]) == [
        {**shared, "row": 0, "input": sent % "0.5", "prediction": 0.0, "score": 0.25},
        {**shared, "row": 1, "input": sent % "null", "prediction": 1.0, "score": 0.75},
    ]
    assert log.state() == {"files_waiting": 0, "problems": []}


def test_a_request_that_was_not_read_has_one_row(make: Make, lake: Lake) -> None:
    log = make()
    log.write(record(status=413, columns=None, answer=None, error="PAYLOAD_TOO_LARGE: Too much."))
    log.drain()
    (row,) = lake.table("tiny", "requests").read().to_pylist()
    assert (row["row"], row["input"], row["prediction"], row["status"]) == (0, None, None, 413)
    assert row["error"] == "PAYLOAD_TOO_LARGE: Too much."


def test_the_partition_is_the_day_of_the_request(make: Make, lake: Lake) -> None:
    log = make()
    log.write(record(1))
    log.write(record(2, served_at=datetime(2026, 2, 1, tzinfo=UTC)))
    log.drain()
    assert lake.table("tiny", "requests").partitions() == ["2026-01-31", "2026-02-01"]


def test_nothing_is_lost_while_the_lake_is_away(
    make: Make, lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = make()
    break_lake(monkeypatch)
    for number in range(3):
        log.write(record(number))
        log.drain()
    state = log.state()
    assert state["files_waiting"] == 1
    assert state["problems"] == ["tiny: the log waits for the lake: The store does not answer."]
    assert caplog.text.count("the log waits for the lake") == 1, "said once, not every round"
    monkeypatch.undo()
    log.drain()
    log.drain()
    assert ids(lake) == ["r0", "r0", "r1", "r1", "r2", "r2"]
    assert log.state() == {"files_waiting": 0, "problems": []}


def test_one_use_case_does_not_hold_up_another(
    make: Make, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make()
    break_lake(monkeypatch, "tiny")
    log.write(record(1))
    log.write(record(2, use_case="other"))
    log.drain()
    assert (ids(lake), ids(lake, "other")) == ([], ["r2", "r2"])


def test_later_files_wait_for_an_earlier_one_that_failed(
    make: Make, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the lake, which has seen the later sequence, would pass over the earlier one."""
    log = make()
    log.write(record(1))
    log.write(record(2, served_at=datetime(2026, 2, 1, tzinfo=UTC)))
    real, failed = LakeTable.append, []

    def first_fails(self: LakeTable, *args: Any, **options: Any) -> Any:
        if not failed:
            failed.append(options["sequence"])
            raise ServiceUnavailable("once")
        return real(self, *args, **options)

    monkeypatch.setattr(LakeTable, "append", first_fails)
    log.drain()
    assert ids(lake) == []
    log.drain()
    assert ids(lake) == ["r1", "r1", "r2", "r2"]


def test_killed_between_the_append_and_the_end_of_the_file(
    make: Make, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make()
    log.write(record(1))
    monkeypatch.setattr(Path, "unlink", lambda self: (_ for _ in ()).throw(OSError("killed")))
    log.drain()
    monkeypatch.undo()
    assert ids(lake) == ["r1", "r1"]
    close(log)
    heir = make()
    heir.write(record(2))
    heir.drain()
    heir.drain()
    assert ids(lake) == ["r1", "r1", "r2", "r2"]
    assert heir.state()["files_waiting"] == 0


def test_a_kill_loses_nothing_that_was_answered(make: Make, lake: Lake, tmp_path: Path) -> None:
    code = (
        "import os, sys, signal, pathlib\n"
        "from datetime import UTC, datetime\n"
        "from include.lake.table import Lake\n"
        "from include.serving.metrics import Metrics\n"
        "from include.serving.prediction_log import PredictionLog, Record\n"
        "log = PredictionLog(Lake(sys.argv[1]), pathlib.Path(sys.argv[2]), Metrics())\n"
        "at = datetime(2026, 1, 31, tzinfo=UTC)\n"
        "for n in range(100):\n"
        "    log.write(Record('tiny', f'k{n:03}', at, 200, 1.0, '1', {'x': [1.0]}))\n"
        "    if n == 49: log.drain()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    uri = str(tmp_path / "home" / "lake")
    done = subprocess.run(
        [sys.executable, "-c", code, uri, str(tmp_path / "spool")], cwd=Path.cwd(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert len(ids(lake)) == 50
    heir = make()
    heir.drain()
    assert ids(lake) == [f"k{n:03}" for n in range(100)]


def test_a_line_that_a_kill_cut_off_is_counted_and_left_out(
    make: Make, lake: Lake, metrics: Metrics, tmp_path: Path
) -> None:
    log = make()
    log.write(record(1))
    log._spools[0].write("tiny", "2026-01-31", b'{"use_case": "ti')
    log.drain()
    assert ids(lake) == ["r1", "r1"]
    assert b"flywheel_serving_log_dropped_total 1.0" in metrics.text()


def test_the_oldest_goes_when_there_is_no_room(
    make: Make, lake: Lake, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.serving.spool.FULL_BYTES", 1)
    break_lake(monkeypatch)
    log = make(max_bytes=1000)
    for number in range(4):
        log.write(record(number))
        log.drain()
    line_bytes = log._spools[0].size_bytes() // log.state()["files_waiting"]
    kept = 1000 // line_bytes
    assert 1 <= kept < 4, "the test's own arithmetic"
    monkeypatch.undo()
    log.drain()
    assert sorted(set(ids(lake))) == [f"r{n}" for n in range(4)][-kept:]
    assert f"flywheel_serving_log_dropped_total {4 - kept}.0".encode() in metrics.text()


def test_a_disk_that_fails_costs_the_log_and_not_the_answer(
    make: Make, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    log = make()
    monkeypatch.setattr("include.serving.spool.Spool.write", full)
    log.write(record())
    assert b"flywheel_serving_log_dropped_total 1.0" in metrics.text()


def test_stop_takes_everything_to_the_lake(make: Make, lake: Lake) -> None:
    log = make(every_s=60.0)
    log.start()
    log.write(record(1))
    log.stop()
    assert ids(lake) == ["r1", "r1"]


def test_stop_does_not_wait_for_a_lake_that_hangs(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(LakeTable, "append", lambda *_, **__: go_on.wait(10))
    log = make(every_s=60.0)
    log.start()
    log.write(record(1))
    log.stop(timeout_s=0.1)
    assert "the rest of the log waits in the spool" in caplog.text
    go_on.set()
    log._thread.join(10)


def test_lines_of_many_requests_at_once_are_whole(make: Make, lake: Lake) -> None:
    log = make()
    threads = [
        threading.Thread(target=lambda t=t: [log.write(record(t * 100 + n)) for n in range(50)])
        for t in range(4)
    ]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        log.drain()
    log.drain()
    expected = sorted([f"r{t * 100 + n}" for t in range(4) for n in range(50)] * 2)
    assert ids(lake) == expected


def test_to_table_of_nothing() -> None:
    table, lost = to_table([b"{\n", json.dumps("x").encode()])
    assert (table.num_rows, lost, table.schema) == (0, 2, SCHEMA)
    assert isinstance(table, pa.Table)
