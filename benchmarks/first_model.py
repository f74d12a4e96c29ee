"""From a file to a served model, through the real stack: `make new` on five tables, one by one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.figures import Figure
from benchmarks.house import House, variables
from benchmarks.own_tables import TABLES, OwnTable
from include.registry.client import Registry
from include.use_cases.loader import get
from scripts.demo.facts import models_of
from scripts.stack.settings import REPO, StackSettings
from scripts.stack.stack import Stack

LIMIT_S, DECISIONS = 300.0, 3
WITHIN_S = 1200.0

Say = Callable[[str], None]


def measure(folder: Path, say: Say) -> list[Figure]:
    """Make a use case of each table while the stack runs, and wait until its model answers.

    Raises
    ------
    RuntimeError
        `make new` refused a table, or no model served in time.
    """
    use_cases = folder / "use_cases"
    use_cases.mkdir(parents=True)
    stack = Stack(StackSettings.on_free_ports(folder / "home"), say=say)
    with variables({"FLYWHEEL_USE_CASES": str(use_cases)}):
        try:
            stack.up()
            house = House(stack, folder, say)
            return [_first_model(table, house) for table in TABLES]
        finally:
            stack.down()


def _first_model(table: OwnTable, house: House) -> Figure:
    said = table.write(house.folder)
    decisions = table.decisions(said)
    if decisions > DECISIONS:
        raise RuntimeError(f"{table.name}: {decisions} decisions; at most {DECISIONS}")
    started = time.monotonic()
    with variables(house.stack.environment()):
        command = [sys.executable, "-m", "scripts.new", "--use-case", table.name, *said]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{table.name}: {done.stderr or done.stdout}")
        made_s = time.monotonic() - started
        _until_served(table.name, house)
        seconds = time.monotonic() - started
        told = _judged(table.name, house)
    house.say(f"  {table.name}: {seconds:.0f} s; {told}")
    against = f"{table.kind}; `make new` {made_s:.0f} s, decisions: {decisions}; {told}"
    return Figure(f"first_model_{table.name}", seconds, "s", against, LIMIT_S)


def _until_served(name: str, house: House) -> None:
    end = time.monotonic() + WITHIN_S
    address = f"{house.settings.serving_url}/{name}/version"
    while time.monotonic() < end:
        answer = httpx.get(address, timeout=10, trust_env=False)
        if answer.is_success and answer.json().get("model_version"):
            return
        time.sleep(1)
    raise RuntimeError(f"{name}: no model serves after {WITHIN_S:.0f} s")


def _judged(name: str, house: House) -> str:
    """Say how the first model and the two baselines were judged on rows that none had seen."""
    settings = house.settings
    registry = Registry(
        settings.tracking_uri, verify_key=settings.verify_key, cache=settings.home / "models"
    )
    found = models_of(get(name), registry)[0]
    shown = ", ".join(f"{who} {found[who]:.4g}" for who in ("dummy", "linear"))
    return f"{found['metric']}: {found['candidate']} {found['value']:.4g}, {shown}"
