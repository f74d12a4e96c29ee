"""Keep one part running: start it, and start it again when it ends by itself.

honcho stops everything when one process ends. A crashed prediction server must not take Airflow
down, and a crashed scheduler should come back: so honcho runs this small keeper for each part. It
imports the standard library only and is started isolated (`python -I -S`): there are seven of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

LONGEST_DELAY_S = 30.0
STEADY_S = 60.0
"""A part that ran so long had started well: its next restart comes at once again."""


class Keeper:
    """Run `command`, write its output to `log` and its state, for `status`, to `state`.

    Parameters
    ----------
    manager
        Process id of the stack's manager. When it is gone nothing is started again: whoever stops
        what a killed manager left behind must not race with restarts.
    """

    def __init__(self, command: list[str], log: Path, state: Path, manager: int) -> None:
        self.command = command
        self.log = log
        self.state = state
        self.manager = manager
        self.restarts = 0
        self.last_exit: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> None:
        """Start the part again and again, until told to stop by SIGTERM or SIGINT."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        delay_s = 1.0
        while True:
            started_at = time.time()
            code = self._once(started_at)
            if self.stopping or not self._manager_lives():
                break
            if time.time() - started_at >= STEADY_S:
                delay_s = 1.0
            self.last_exit = code
            self.restarts += 1
            self._say(f"ended with exit code {code}; restart {self.restarts} in {delay_s:.0f} s")
            self._record("waiting", started_at)
            self._sleep(delay_s)
            if self.stopping:
                break
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
        self._record("stopped", time.time())

    def _once(self, started_at: float) -> int:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        self._record("running", started_at)
        if self.stopping:  # told to stop between the last look and the start
            self.child.terminate()
        return self.child.wait()

    def _stop(self, signal_number: int, frame: object) -> None:
        # The signal went to the whole process group, so the part has it too; a second one
        # would make Airflow break off its orderly end.
        self.stopping = True

    def _sleep(self, delay_s: float) -> None:
        end = time.monotonic() + delay_s
        while not self.stopping and time.monotonic() < end:
            time.sleep(0.1)

    def _manager_lives(self) -> bool:
        try:
            os.kill(self.manager, 0)
        except ProcessLookupError:
            return False
        return True

    def _say(self, words: str) -> None:
        line = f"--- {datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {words}\n"
        with self.log.open("a") as log:
            log.write(line)
        print(words, flush=True)  # the manager's log has the restarts of all parts in order

    def _record(self, phase: str, started_at: float) -> None:
        pid = self.child.pid if self.child else None
        facts = {"phase": phase, "pid": pid, "started_at": started_at}
        facts |= {"restarts": self.restarts, "last_exit": self.last_exit}
        draft = self.state.with_suffix(".new")
        draft.write_text(json.dumps(facts))
        draft.rename(self.state)


def main(arguments: list[str]) -> None:
    """Parse the command line and keep the part running."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--manager", type=int, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.log.exists():
        options.log.replace(options.log.with_suffix(".log.1"))
    Keeper(command, options.log, options.state, options.manager).run()


if __name__ == "__main__":
    main(sys.argv[1:])
