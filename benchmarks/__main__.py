"""`make bench`: measures every figure that `docs/` claims and holds it against its limit.

About 12 minutes on two cores, half of them the demo (`--without-demo` leaves it out). Writes
`bench.json`, and `bench_machine.json` beside it, into `FLYWHEEL_HOME`. Exit code 1 when a figure is
over its limit or could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import (
    backlog,
    cluster_use_cases,
    cluster_workers,
    dag_parsing,
    demo_wall_time,
    first_model,
    house,
    lake_publish,
    machine,
    memory_at_rest,
    partition_through_the_wheel,
    requests_append,
    serving_one_row,
    task_start,
)
from benchmarks.figures import Figure, as_json, over_limit, table, write
from scripts.stack.settings import StackSettings

NAMES = (
    "dag_parsing",
    "lake_publish",
    "partition",
    "serving",
    "memory",
    "task_start",
    "at_once",
    "demo",
)
ON_REQUEST = ("backlog", "requests_append", "first_model", "cluster_workers", "cluster_use_cases")
"""Measured only when they are named: five minutes to half an hour each. Those of the cluster need
what `make cluster-install` installs."""


class Bench:
    """Collects figures; one that cannot be measured does not keep the others from it."""

    def __init__(self, only: list[str]) -> None:
        self.only = only
        self.figures: list[Figure] = []
        self.failures: list[str] = []
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        """Print progress with the seconds since the start."""
        print(f"{time.monotonic() - self._started:5.0f} s  {line}", file=sys.stderr, flush=True)

    def wants(self, *names: str) -> bool:
        """Whether one of these is to be measured."""
        return bool(set(names) & set(self.only or NAMES))

    def add(self, name: str, measure: Callable[..., list[Figure]], *arguments: Any) -> None:
        """Measure one; note in words why it could not be."""
        if not self.wants(name):
            return
        self.say(f"{name} ...")
        with self.noted(name):
            self.figures += measure(*arguments)

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """Keep an error for the end."""
        try:
            yield
        except Exception as error:  # whatever it is: the other figures are wanted all the same
            self.failures.append(f"{name} could not be measured: {type(error).__name__}: {error}")
            self.say(self.failures[-1])

    def run(self, folder: Path, with_demo: bool) -> None:
        """Measure all, what needs no stack first."""
        self.add("dag_parsing", dag_parsing.measure)
        self.add("lake_publish", lake_publish.measure, folder)
        with_demo = with_demo and self.wants("demo")
        if self.wants("partition", "task_start", "serving", "memory"):
            self.say("a stack with one use case ...")
            with self.noted("the stack"), house.one_use_case(folder, self.say) as home:
                if self.wants("partition", "serving", "memory"):
                    home.make_champion()
                self.add("partition", partition_through_the_wheel.measure, home)
                self.add("serving", serving_one_row.measure, home)
                if not with_demo:
                    self.add("memory", memory_at_rest.measure, home.stack, "one use case")
                self.add("task_start", task_start.measure, home)
        self.add("requests_append", requests_append.measure, folder)
        self.add("at_once", backlog.measure, folder / "at_once", self.say)
        self.add("backlog", backlog.measure_backlog, folder / "backlog", self.say)
        self.add("first_model", first_model.measure, folder / "first_model", self.say)
        self.add("cluster_workers", cluster_workers.measure, self.say)
        self.add("cluster_use_cases", cluster_use_cases.measure, self.say)
        if with_demo:
            self.add("demo", demo_wall_time.measure, folder, self.say)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; say what is over its limit."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo = parser.add_mutually_exclusive_group()
    demo.add_argument("--without-demo", action="store_true", help="leave the demo out (6 minutes)")
    demo.add_argument("--demo", action="store_true", help="the demo and memory at rest only")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*NAMES, *ON_REQUEST],
        default=[],
        metavar="NAME",
        help=", ".join([*NAMES, *ON_REQUEST]),
    )
    options = parser.parse_args(arguments)
    # A CI that gives up sends SIGTERM: the stack must not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = machine.describe()
    print(machine.told(found), flush=True)
    bench = Bench(["demo"] if options.demo else options.only)
    home = StackSettings.from_env().home
    with (
        tempfile.TemporaryDirectory(prefix="flywheel-bench-") as folder,
        house.nobodys_environment(),
    ):
        bench.run(Path(folder), with_demo=not options.without_demo)
    write(home / "bench_machine.json", found)
    write(home / "bench.json", as_json(bench.figures))
    print("\n" + table(bench.figures))
    print(f"\nWritten to {home / 'bench.json'}")
    troubles = [*(f"Over its limit: {each}" for each in over_limit(bench.figures)), *bench.failures]
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted; nothing is left running.", file=sys.stderr)
        sys.exit(130)
