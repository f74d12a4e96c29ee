"""`make demo`: lands flights month by month until a retrained model has replaced the first.

Exit code 0 only if it really happened: rows were quarantined, drift was judged, the monitor asked
for a retraining, the gate promoted one candidate and rejected another. The stack stays up.
`make cluster-demo` (`python -m scripts.demo cluster`) does the same on a cluster.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

from include.errors import FlywheelError
from include.lake.table import Lake
from include.modelling.metrics import metric_of
from include.registry.client import Registry
from include.settings import Settings
from include.use_cases.loader import get
from include.use_cases.schema import UseCase
from scripts.cluster import env_file
from scripts.cluster.cluster import Cluster
from scripts.demo import facts, report
from scripts.demo.airflow_api import AirflowApi
from scripts.demo.landing import DemoLanding
from scripts.demo.target import COMMANDS, Target
from scripts.demo.watch import DemoError, Watch
from scripts.land_flights import USE_CASES
from scripts.stack.settings import StackSettings
from scripts.stack.stack import Stack

FIRST_MONTHS = ["2013-01", "2013-02", "2013-03"]
LATER_MONTHS = [f"2013-{month:02d}" for month in range(4, 13)]
LEAD = "flight_delays"
"""The use case whose retraining and promotion end the demo; the others turn beside it."""


class Demo:
    """The story, one method a chapter."""

    def __init__(self, stack: Target, kind: str) -> None:
        self.stack = stack
        self.kind = kind
        self.seconds: dict[str, float] = {}
        self.use_cases: dict[str, UseCase] = {name: get(name) for name in USE_CASES}

    def run(self) -> dict[str, Any]:
        """Tell it all; return the facts."""
        started = time.monotonic()
        self._start()
        self._first_champion()
        self._turn_again()
        self._ask_by_hand()
        self.seconds["total"] = round(time.monotonic() - started, 1)
        found = self._facts()
        report.write(self.file, found)
        print(report.told(found))
        missing = report.missing(found, LEAD)
        if missing:
            raise DemoError("This did not happen:\n- " + "\n- ".join(missing))
        return found

    def _start(self) -> None:
        with self._timed(f"start the {self.kind}"):
            print(f"\n1. Starting the {self.kind}")
            self.stack.up()
            os.environ.update(self.stack.environment())
        self.settings = Settings.from_env()
        self.file = self.settings.home / "demo.json"
        self.landing = DemoLanding(self.settings)
        self.lake = Lake(self.settings.lake_uri, self.settings.storage_options())
        self.registry = Registry(
            self.settings.tracking_uri,
            verify_key=self.settings.verify_key,
            cache=self.settings.home / "models",
        )
        self.api = AirflowApi(self.stack)
        self.watch = Watch(
            self.api,
            say=lambda line: print(line, flush=True),
            status=COMMANDS[self.kind]["status"],
        )

    def _first_champion(self) -> None:
        print(
            f"\n2. Landing {FIRST_MONTHS[0]} to {FIRST_MONTHS[-1]}, outcomes to {FIRST_MONTHS[-2]}"
        )
        with self._timed("first champion"):
            for month in FIRST_MONTHS:
                self.landing.land(month, month if month < FIRST_MONTHS[-1] else None)
            self.watch.until_at_rest(
                self._all_serve, "a first champion that serves, for each use case"
            )

    def _turn_again(self) -> None:
        print(f"\n3. Landing the following months, one at a time, until {LEAD} has improved itself")
        for before, month in zip([FIRST_MONTHS[-1], *LATER_MONTHS], LATER_MONTHS, strict=False):
            if self._improved():
                return
            print(f"  {month} lands, with the outcomes of {before}")
            with self._timed(f"turn {month}"):
                self.landing.land(month, outcomes_of=before)
                self.watch.until_at_rest(
                    lambda month=month: self._taken_in(month), f"{month} monitored"
                )

    def _ask_by_hand(self) -> None:
        """Ask for what the gate has to reject: fewer trials, and no newer data."""
        before = self.registry.versions(LEAD)
        if any(self.registry.judged(LEAD, version) == "rejected" for version in before):
            return  # the demo is run again
        champion = self.registry.version_of(LEAD, "champion")
        assert champion is not None  # noqa: S101  for mypy: it serves
        as_of = self.registry.details(LEAD, champion)["tags"]["as_of"]
        print(f"\n4. Asking by hand for a training of {LEAD} as of {as_of}, with fewer trials")

        def judged() -> bool:
            made = [each for each in self.registry.versions(LEAD) if each not in before]
            return any(self.registry.judged(LEAD, each) for each in made)

        with self._timed("training by hand"):
            self.api.trigger(f"{LEAD}__train_tune", as_of, {"trials": 1})
            self.watch.until_at_rest(judged, "the verdict on it")

    def _all_serve(self) -> bool:
        return all(self._served(name) is not None for name in self.use_cases)

    def _served(self, name: str) -> str | None:
        answer = httpx.get(
            f"{self.settings.serving_url}/{name}/version", timeout=10, trust_env=False
        )
        return answer.json().get("model_version") if answer.is_success else None

    def _taken_in(self, month: str) -> bool:
        """Whether every use case has decided with `month` known, and serves its champion."""
        return all(
            month in self.lake.table(name, "decisions").partitions()
            and self._served(name) == self.registry.version_of(name, "champion")
            for name in self.use_cases
        )

    def _improved(self) -> bool:
        return self.registry.version_of(LEAD, "previous") is not None

    def _facts(self) -> dict[str, Any]:
        use_cases = self.use_cases.values()
        return {
            "machine": {
                "cpus": os.cpu_count(),
                "platform": platform.platform(),
                "python": platform.python_version(),
            },
            "seconds": self.seconds,
            "task_seconds": {k: round(v, 1) for k, v in sorted(self.watch.seconds.items())},
            "memory_gib": round(self.stack.memory_bytes() / 2**30, 2),
            "partitions": [p for u in use_cases for p in facts.partitions_of(u, self.lake)],
            "models": {u.name: facts.models_of(u, self.registry) for u in use_cases},
            "metrics": {u.name: metric_of(u).name for u in use_cases},
            "prediction": facts.ask_model(
                self.use_cases[LEAD], self.landing.folder, self.settings.serving_url
            ),
            "addresses": self.stack.addresses(),
            "commands": COMMANDS[self.kind],
            "file": str(self.file),
            "login": {
                "user": self.stack.login().user,
                "password_file": str(self.stack.login().password_file),
            },
        }

    def _timed(self, name: str) -> _Timed:
        return _Timed(self.seconds, name)


class _Timed:
    """Notes how long a chapter took."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] = round(time.monotonic() - self._started, 1)


def main(arguments: list[str]) -> int:
    """Run the demo on the stack, or on the cluster; say in words what went wrong."""
    if arguments not in ([], ["cluster"]):
        print("Give nothing for the stack of this machine, or: cluster", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kind = "cluster" if arguments else "stack"
    try:
        Demo(_target(kind, lambda line: print(f"  {line}", flush=True)), kind).run()
    except FlywheelError as error:
        print(f"\n{error}", file=sys.stderr)
    except (httpx.HTTPError, subprocess.CalledProcessError) as error:
        print(f"\nA service did not answer as it should: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        down = COMMANDS[kind]["down"]
        print(f"\nInterrupted. The {kind} is still up: `{down}` stops it.", file=sys.stderr)
    else:
        return 0
    return 1


def _target(kind: str, say: Callable[[str], None]) -> Target:
    if kind == "cluster":
        return Cluster(env_file.path(), say)
    return Stack(StackSettings.from_env(), say=say)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
