"""The process that runs the stack's parts under honcho, in a session of its own."""

from __future__ import annotations

import multiprocessing
import shlex
import signal
import sys

import honcho.manager
from honcho.printer import Printer

from scripts.stack import processes
from scripts.stack.keep import REST_S, STOP_S
from scripts.stack.parts import Part, parts
from scripts.stack.settings import REPO, Place, StackSettings

KILL_S = STOP_S + 2 * REST_S + 5
"""honcho kills the keepers so long after the first has stopped; each kills its part before that."""


def build(place: Place, wanted: list[Part]) -> honcho.manager.Manager:
    """Return a honcho manager with one keeper for each part."""
    manager = honcho.manager.Manager(Printer(sys.stdout, time_format="%Y-%m-%d %H:%M:%S"))
    for part in wanted:
        state = place.run / f"{part.name}.json"
        keeper = [sys.executable, "-I", "-S", str(processes.KEEPER)]
        keeper += ["--log", str(place.log(part.name)), "--state", str(state)]
        keeper += ["--", *part.command]
        # exec: the signal goes to the keeper's group, no shell stands in between.
        manager.add_process(
            part.name, f"exec {shlex.join(keeper)}", env=part.environment, cwd=str(REPO)
        )
    return manager


def run(place: Place, wanted: list[Part]) -> None:
    """Run the parts of a group until SIGTERM."""
    # honcho's watchers need no import of their own; Python 3.14's default would do one each.
    multiprocessing.set_start_method("fork")
    honcho.manager.KILL_WAIT = KILL_S
    manager = build(place, wanted)
    manager.loop()
    if manager.returncode not in (128 + signal.SIGTERM, 128 + signal.SIGINT):
        # It was not told to stop, so a keeper was killed: its part must not run on alone.
        processes.sweep(place.home, grace_s=STOP_S)
    sys.exit(manager.returncode)


def main() -> None:
    """Run the stack of this environment."""
    settings = StackSettings.from_env()
    run(settings, parts(settings))


if __name__ == "__main__":
    main()
