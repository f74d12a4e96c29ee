"""The process that runs the stack's parts under honcho, in a session of its own."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import sys
from pathlib import Path

import honcho.manager
from honcho.printer import Printer

from scripts.stack.parts import Part, parts
from scripts.stack.settings import REPO, StackSettings

STOP_S = 20
"""honcho kills so long after the first part has stopped; its own 5 s are too few for Airflow."""


def build(settings: StackSettings, wanted: list[Part]) -> honcho.manager.Manager:
    """Return a honcho manager with one keeper for each part."""
    manager = honcho.manager.Manager(Printer(sys.stdout, time_format="%Y-%m-%d %H:%M:%S"))
    for part in wanted:
        state = settings.run / f"{part.name}.json"
        keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keep.py"))]
        keeper += ["--log", str(settings.log(part.name)), "--state", str(state)]
        keeper += ["--manager", str(os.getpid()), "--", *part.command]
        # exec: the signal goes to the keeper's group, no shell stands in between.
        manager.add_process(
            part.name, f"exec {shlex.join(keeper)}", env=part.environment, cwd=str(REPO)
        )
    return manager


def main() -> None:
    """Run the stack of this environment until SIGTERM."""
    # honcho's watchers need no import of their own; Python 3.14's default would do one each.
    multiprocessing.set_start_method("fork")
    honcho.manager.KILL_WAIT = STOP_S
    settings = StackSettings.from_env()
    manager = build(settings, parts(settings))
    manager.loop()
    sys.exit(manager.returncode)


if __name__ == "__main__":
    main()
