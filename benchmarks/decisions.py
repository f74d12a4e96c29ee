"""Measures the gate's decisions where the truth is known: `make bench-decisions`.

    python -m benchmarks.decisions                 # 200 seeds a row, about 15 minutes on two cores
    python -m benchmarks.decisions --full          # 1,000 seeds; writes docs/decisions.json and .md
    python -m benchmarks.decisions --docs          # 200 seeds, written there too
    python -m benchmarks.decisions --smoke         # a few seeds of the small rows, seconds
    python -m benchmarks.decisions --only looks/3  # some rows

Each figure stands beside that of the method before, on the same simulated rows (the first 60
seeds: its resamples take most of the time). The exit code is 1 when one is not within its limit.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import decision_seeds
from benchmarks.decision_grid import scenarios
from benchmarks.decision_replay import REPLAY, newest_replay, replay_rows
from benchmarks.decision_scenarios import Scenario
from benchmarks.decision_table import Row, load, not_run, put_into, save, share_row, text
from include.provenance import code_version
from include.settings import REPO
from scripts.stack.settings import StackSettings

SEEDS, FULL_SEEDS, SMOKE_SEEDS = 200, 1_000, 20
BEFORE_SEEDS = 60
PROCESSES = 2
CHUNK = 25
"""Seeds that a process plays at a time."""
DOCUMENT = REPO / "docs" / "decisions.md"
RESULTS = REPO / "docs" / "decisions.json"
SMOKE = ("equal/AUC/1000", "equal/MAE/1000", "margin/MAE/5000", "few_positives")


def play(name: str, first: int, count: int) -> list[tuple[bool, bool | None]]:
    """Play some seeds of one scenario, `first` and those that follow: now, and before."""
    (scenario,) = [each for each in scenarios() if each.name == name]
    decided: list[tuple[bool, bool | None]] = []
    for seed in range(first, first + count):
        outcome = scenario.play(np.random.default_rng([zlib.crc32(name.encode()), seed]))
        decided.append((outcome.now, outcome.before() if seed < BEFORE_SEEDS else None))
    return decided


def measure(scenario: Scenario, seeds: int, processes: Executor) -> Row:
    """Play all seeds of a scenario."""
    starts = range(0, seeds, CHUNK)
    counts = [min(CHUNK, seeds - start) for start in starts]
    parts = processes.map(play, [scenario.name] * len(counts), starts, counts)
    decided = [one for part in parts for one in part]
    return share_row(
        scenario.name,
        scenario.words,
        [now for now, _ in decided],
        [before for _, before in decided if before is not None],
        scenario.limit,
        scenario.sense,
        code_version(),
    )


def rows(wanted: Sequence[str], seeds: int, full: bool, processes: Executor) -> Iterator[Row]:
    """Measure row by row; an empty `wanted` is all."""
    for scenario in scenarios():
        if not wanted or scenario.name in wanted:
            yield measure(scenario, seeds, processes)
    if not wanted or decision_seeds.NAME in wanted:
        yield from decision_seeds.rows(8 if full else 4, processes)
    if not wanted or REPLAY in wanted:
        yield from replay_rows(newest_replay())


def in_order(found: Sequence[Row], older: Sequence[Row]) -> list[Row]:
    """Put new rows in the place of older ones of the same name, in the order of the table.

    What was never measured has a row too, which says so.
    """
    simulated = [not_run(one.name, one.words, one.limit, one.sense) for one in scenarios()]
    table = {row.name: row for row in (*simulated, *decision_seeds.places(), *replay_rows(None))}
    return list((table | {row.name: row for row in (*older, *found) if row.measured}).values())


@contextmanager
def _processes() -> Iterator[Executor]:
    executor = ProcessPoolExecutor(PROCESSES, initializer=_begin)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _begin() -> None:
    """Let a process end when it is told to, and use one thread: there are two of them already."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threadpool_limits(1)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; say what is not within its limit."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help=f"{FULL_SEEDS} seeds; writes docs/")
    size.add_argument("--smoke", action="store_true", help=f"{SMOKE_SEEDS} seeds of small rows")
    parser.add_argument("--docs", action="store_true", help="write docs/, whatever the seeds")
    names = [*(each.name for each in scenarios()), decision_seeds.NAME, REPLAY]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=[], metavar="ROW", help=", ".join(names)
    )
    options = parser.parse_args(arguments)
    # Asked to end, as by a person: what has not begun is not played, and the processes end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seeds = FULL_SEEDS if options.full else SMOKE_SEEDS if options.smoke else SEEDS
    wanted = options.only or (SMOKE if options.smoke else [])
    kept = options.full or options.docs
    target = RESULTS if kept else StackSettings.from_env().home / "decisions.json"
    found: list[Row] = []
    started = time.monotonic()
    with _processes() as processes:
        for row in rows(wanted, seeds, options.full, processes):
            found.append(row)
            print(f"{time.monotonic() - started:5.0f} s  {text([row])}", flush=True)
            if kept:  # an hour's work is kept row by row
                save(target, in_order(found, load(target)))
                put_into(DOCUMENT, load(target))
    if not kept:
        save(target, found)
    print(f"Written to {target}")
    # A few seeds say nothing about a limit.
    wrong = [row for row in found if row.mark in ("OVER", "UNDER") and not options.smoke]
    for row in wrong:
        print(f"Not within its limit: {row.name}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
