"""The scoring server beside MLflow's: the same model, on the same machine, in one run.

    python -m benchmarks.serving_load

One-row requests at 32 connections and at one (wrk), at 8 beside 4 that send 2,000 rows each, and at
twice and five times what the server takes (h2load). MLflow's server has two workers and is sent
ready-made features; this one is sent raw rows. Needs `apt-get install wrk nghttp2-client`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil

from benchmarks import machine
from benchmarks.house import nobodys_environment
from benchmarks.load_tools import Load, as_fast_as_answered, at_rate
from benchmarks.serving_world import DERIVED, PLAIN, World, flights
from scripts.stack.settings import REPO

ROWS = 1_000
CONNECTIONS = 32
LARGE_ROWS = 2_000
SECONDS = 8
START_S = 120.0


def measure(world: World, names: Sequence[str], *, overload: bool = True) -> dict[str, Load]:
    """Measure the use cases, each beside MLflow's server.

    Processor time for each answer is told with the rates: other work on the machine hardly changes
    it.
    """
    found: dict[str, Load] = {}
    with served_here(world) as url:
        for name in names:
            bodies = bodies_of(world.requests(name, ROWS))
            address = f"{url}/{name}/invocations"
            with served_by_mlflow(world.packages[name]) as mlflow:
                features = bodies_of(_plain(world.features(name, ROWS)))
                for who, where, sent in (
                    ("here", address, bodies),
                    ("mlflow", f"{mlflow}/invocations", features),
                ):
                    for connections in (CONNECTIONS, 1):
                        label = f"{name} {who} {connections}"
                        before = _processor_s()[who]
                        load = as_fast_as_answered(
                            where, sent, connections=connections, seconds=SECONDS
                        )
                        used_s = _processor_s()[who] - before
                        found[label] = _told(label, load, used_s)
            label = f"{name} here, beside requests of {LARGE_ROWS} rows"
            large = [body_of(world.requests(name, LARGE_ROWS))]
            with ThreadPoolExecutor(1) as thread:
                beside = thread.submit(
                    as_fast_as_answered, address, large, connections=4, seconds=SECONDS
                )
                found[label] = _told(
                    label, as_fast_as_answered(address, bodies, connections=8, seconds=SECONDS)
                )
                found[f"{label}: those"] = _told(f"{label}: those", beside.result())
            for times in (2, 5) if overload else ():
                rate = times * found[f"{name} here {CONNECTIONS}"].good_per_s
                label = f"{name} here at {times} times"
                found[label] = _told(
                    label, at_rate(address, bodies[0], per_s=rate, seconds=SECONDS)
                )
    return found


def bodies_of(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Make a request of each row."""
    return [body_of([row]) for row in rows]


def body_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Make one request of rows."""
    split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    return json.dumps({"dataframe_split": split}).encode()


def _plain(features: pd.DataFrame) -> list[dict[str, Any]]:
    missing = features.astype(object).where(features.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in missing.to_dict("records")]


@contextmanager
def served_here(world: World) -> Iterator[str]:
    """Run the scoring server of this repository; gives its address."""
    port = _free_port()
    environment = {**os.environ, **world.environment, "FLYWHEEL_SERVING_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with _process([sys.executable, "-m", "include.serving"], environment):
        for name in world.packages:
            _until_200(f"{url}/{name}/ping")
        yield url


@contextmanager
def served_by_mlflow(package: Path, workers: int = 2) -> Iterator[str]:
    """Run MLflow's scoring server with the model of a package; gives its address."""
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(package)]
    command += ["-p", str(port), "--workers", str(workers), "--env-manager", "local"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # for uvicorn
    with _process(command, environment):
        _until_200(f"http://127.0.0.1:{port}/ping")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def _until_200(url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer within {START_S:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _processor_s() -> dict[str, float]:
    """Give the processor time that each server has used, with its workers."""
    used = {"here": 0.0, "mlflow": 0.0}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has ended
            times, who = process.cpu_times(), process.cmdline()
            if process.name() not in ("wrk", "h2load"):
                used["here" if "include.serving" in who else "mlflow"] += times.user + times.system
    return used


def _told(label: str, load: Load, used_s: float | None = None) -> Load:
    each = ""
    if used_s is not None:
        each = f"  {used_s / SECONDS / load.good_per_s * 1e3:.2f} ms of processor each"
    print(
        f"{label:52} {load.good_per_s:8.1f} /s  p50 {load.p50_ms:7.2f} ms  p99 {load.p99_ms:7.2f} "
        f"ms  refused {load.refused_per_s:.1f} /s  broken {load.broken}{each}",
        flush=True,
    )
    return load


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_load", description=__doc__)
    parser.add_argument("--only", choices=[DERIVED, PLAIN], help="one use case")
    parser.add_argument("--without-overload", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers must not stay behind
    about = machine.describe()
    print(machine.told(about), flush=True)
    names = [options.only] if options.only else [DERIVED, PLAIN]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flywheel-serving-"))
        stack.enter_context(nobodys_environment())
        world = stack.enter_context(flights(Path(folder)))
        found = measure(world, names, overload=not options.without_overload)
    if options.json:
        loads = {label: asdict(load) for label, load in found.items()}
        options.json.write_text(json.dumps({"machine": about, "loads": loads}, indent=1))


if __name__ == "__main__":
    main()
