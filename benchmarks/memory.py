"""`make bench-memory`: what a training and a partition take as the rows grow, in memory and time.

Synthetic rows in a temporary folder (12 columns, a reference by month and a whole one). Each case
runs in a process of its own, whose peak is the most that it held resident, libraries included.
About 4 minutes and 8 GiB of disk; `--rows 30000` is a smoke test. Writes `bench_memory.json` into
`FLYWHEEL_HOME`. Exit code 1 when a figure is over its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.figures import Figure, as_json, over_limit, table, write
from benchmarks.synthetic import KEYS, land, make_root, publish_month
from scripts.stack.settings import REPO, StackSettings

ROWS = 10_000_000
PARTITION_ROWS = 300_000
MAX_ROWS = 100_000
PARTITIONS = 100


def measure(folder: Path, rows: int, partitions: int, say: Any = print) -> list[Figure]:
    """Measure all figures with a largest partition of `rows` rows, and with so many partitions."""
    small = max(rows * PARTITION_ROWS // ROWS, 1_000)
    say(f"a partition of {small:,} rows, landed file to features ...")
    one = _case(folder / "small", "partition", small)
    say(f"a partition of {rows:,} rows ...")
    large = _case(folder / "large", "partition", rows)
    per_row = [sum(case["seconds"].values()) / case["rows"] for case in (one, large)]
    figures = [
        Figure("memory_partition", large["gib"], "GiB", _told(large), 8.0),
        Figure("time_a_row", per_row[1] / per_row[0], "ratio", _told(one), 1.3),
    ]
    say(f"trainings on 2 to {partitions} partitions of {small:,} rows ...")
    first, stored, last = (
        _case(folder / "stored", "training", small, count)
        for count in (2, -(-rows // small), partitions)
    )
    figures += [
        Figure("memory_training", stored["gib"], "GiB", _told(stored), 1.5),
        Figure("memory_of_partitions", last["gib"] / first["gib"], "ratio", _told(last), 1.1),
    ]
    say(f"features of one partition, and of the last of {partitions} partitions ...")
    alone = _case(folder / "alone", "features", small, 1)
    among = _case(folder / "stored", "features", small, partitions)
    figures.append(
        Figure("memory_of_features", among["gib"] / alone["gib"], "ratio", _told(among), 1.1)
    )
    return figures


def _case(folder: Path, what: str, rows: int, partitions: int = 1) -> dict[str, Any]:
    """Make the data, then measure in a process of its own."""
    make_root(folder)
    months = KEYS[:partitions]
    if what == "partition":
        land(folder, months[0], rows)
    else:
        for number, month in enumerate(months):
            publish_month(folder, month, rows, number)
    environment = os.environ | {
        "FLYWHEEL_USE_CASES": str(folder / "use_cases"),
        "FLYWHEEL_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory_case", what, str(folder), months[-1]],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{what} of {rows:,} rows failed: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer | {"rows": rows, "partitions": partitions}


def _told(case: dict[str, Any]) -> str:
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in case["seconds"].items())
    of = f"{case['partitions']} x " if case["partitions"] > 1 else ""
    return f"{of}{case['rows']:,} rows: {seconds}; {case['gib']:.2f} GiB"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; say what is over its limit."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the largest partition")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, help="at most so many")
    options = parser.parse_args(arguments)
    print(machine.told(machine.describe()), flush=True)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:5.0f} s  {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as folder:
        figures = measure(Path(folder), options.rows, options.partitions, say)
    path = StackSettings.from_env().home / "bench_memory.json"
    write(path, as_json(figures))
    print("\n" + table(figures))
    print(f"\nWritten to {path}")
    troubles = over_limit(figures)
    for trouble in troubles:
        print(f"Over its limit: {trouble}", file=sys.stderr)
    return 1 if troubles else 0


def peak_gib() -> float:
    """Most memory that this process has held resident."""
    status = Path("/proc/self/status")
    if status.exists():  # not `ru_maxrss`, which begins at what the parent process held
        held = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(held["VmHWM"].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # bytes on macOS


if __name__ == "__main__":
    sys.exit(main())
