"""`make bench-memory` at a small size: each figure is measured, and the data is what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks import memory
from benchmarks.synthetic import KEYS, USE_CASE, make_root
from include.lake.table import Lake


def test_a_partition_and_a_training_are_measured(tmp_path, monkeypatch):
    partition = memory._case(tmp_path / "one", "partition", 30_000)
    assert list(partition["seconds"]) == ["ingest", "clean", "features"]
    assert 0.1 < partition["gib"] < 2
    lake = Lake(str(tmp_path / "one" / "home" / "lake"))
    built = lake.table(USE_CASE, "features").read([KEYS[0]])
    assert 29_900 < built.num_rows < 30_000  # one in a thousand is quarantined
    assert built["staff"].null_count == built["cost"].null_count == 0

    training = memory._case(tmp_path / "some", "training", 1_000, 3)
    assert list(training["seconds"]) == ["load", "trials", "finish"]
    assert (training["rows"], training["partitions"]) == (1_000, 3)


def test_the_peak_is_of_the_process_alone_whatever_its_parent_held():
    held = bytearray(300 * 2**20)  # written, so resident
    held[:: 2**12] = b"x" * (len(held) // 2**12)
    command = "from benchmarks.memory import peak_gib; print(peak_gib())"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert memory.peak_gib() > 0.3
    assert 0.01 < float(done.stdout) < memory.peak_gib() - 0.15


def test_a_case_that_fails_says_why(tmp_path):
    make_root(tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)training of 1 rows failed: .*DataContractError"):
        memory._case(tmp_path, "training", 1, 1)


def test_a_figure_over_its_limit_is_exit_code_1(tmp_path, monkeypatch, capsys):
    taken = iter([0.5, 8.5, 0.5, 0.6, 0.7, 0.5, 0.5])

    def case(folder, what, rows, partitions=1):
        seconds = {"all": rows * 1e-5}
        return {"seconds": seconds, "gib": next(taken), "rows": rows, "partitions": partitions}

    monkeypatch.setattr(memory, "_case", case)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    assert memory.main([]) == 1
    err = capsys.readouterr().err
    assert "Over its limit: memory_partition: 8.5 GiB, limit 8" in err
    assert "memory_of_partitions: 1.4 ratio, limit 1.1" in err
    assert "time_a_row" not in err.split("Over its limit", 1)[1]
    assert len(json.loads((tmp_path / "bench_memory.json").read_text())) == 5
