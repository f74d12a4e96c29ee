"""Keep one part running: start it, and start it again when it ends by itself.

honcho stops everything when one process ends. A crashed prediction server must not take Airflow
down, and a crashed scheduler should come back: so honcho runs this small keeper for each part. It
imports the standard library only and is started isolated (`python -I -S`): there are seven of it.

A part runs in a session of its own. When its main process ends, the keeper stops what is left of
that session before it starts the part again: a child that lives on would keep the part's port, or
finish a task that Airflow starts a second time.

A keeper does not need the stack's manager: when that is killed, parts are still restarted
(docs/adr/0014).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

LONGEST_DELAY_S = 30.0
STEADY_S = 60.0
"""A part that ran so long had started well: its next restart comes at once again."""
STOP_S = 20
"""A part that was told to stop is killed after so long. Airflow ends its tasks in that time."""
REST_S = 2.0
"""What a part left behind is killed so long after it was told to stop: idle LocalExecutor workers
of a killed scheduler ignore SIGTERM, and it comes back only after them."""
_NOT_STARTED = 127
"""The exit code by which a shell says that it could not run a command."""


def write_json(path: Path, facts: dict[str, object]) -> None:
    """Replace a file by these facts: a crash leaves the old file or the new one, never a part."""
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def members(session: int) -> list[int]:
    """Return the process ids of a session, without its leader and without zombies."""
    found = []
    for pid in _pids():
        try:
            if pid != session and os.getsid(pid) == session and not _is_zombie(pid):
                found.append(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def _pids() -> list[int]:
    proc = Path("/proc")
    if (proc / "self/stat").exists():
        return [int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def _is_zombie(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:  # no /proc: there, the system's first process reaps zombies at once
        return False
    return state == "Z"


class Keeper:
    """Run `command`, write its output to `log` and its state, for `status`, to `state`."""

    def __init__(self, command: list[str], log: Path, state: Path) -> None:
        self.command = command
        self.log = log
        self.state = state
        self.restarts = 0
        self.last_exit: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> None:
        """Start the part again and again, until told to stop by SIGTERM or SIGINT."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGALRM, self._stop_at_last)
        delay_s = 1.0
        while True:
            started_at = time.time()
            code = self._once(started_at)
            if self.stopping:
                break
            if time.time() - started_at >= STEADY_S:
                delay_s = 1.0
            self.last_exit = code
            self.restarts += 1
            self._say(f"ended with exit code {code}; restart {self.restarts} in {delay_s:.0f} s")
            self._record("waiting", started_at)
            self._end_the_rest()
            self._sleep(delay_s)
            if self.stopping:
                break
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
        self._end_the_rest()
        self._record("stopped", time.time())

    def _once(self, started_at: float) -> int:
        self.child = None  # a signal that comes now must not go to the one before
        try:
            with self.log.open("ab") as log:
                self.child = subprocess.Popen(
                    self.command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
        except OSError as error:  # a full disk, or too many processes: that may pass
            self._say(f"could not be started: {error}")
            return _NOT_STARTED
        self._record("running", started_at)
        if self.stopping:  # told to stop between the last look and the start
            self._tell(signal.SIGTERM)
        return self.child.wait()

    def _stop(self, signal_number: int, frame: object) -> None:
        if self.stopping:  # a second SIGTERM would make Airflow break off its orderly end
            return
        self.stopping = True
        signal.alarm(STOP_S)
        self._tell(signal.SIGTERM)

    def _stop_at_last(self, signal_number: int, frame: object) -> None:
        self._tell(signal.SIGKILL)

    def _tell(self, what: signal.Signals) -> None:
        """Send a signal to the part's process group, as a terminal's Ctrl-C would."""
        if self.child is not None and self.child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, what)

    def _end_the_rest(self) -> None:
        """Stop what the part's main process left behind in its session."""
        if self.child is None:
            return
        session = self.child.pid
        for what in (signal.SIGTERM, signal.SIGKILL):
            if not (left := members(session)):
                return
            self._say(f"left {len(left)} processes behind: sending {what.name} to them")
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, what)
            end = time.monotonic() + REST_S
            while members(session) and time.monotonic() < end:
                time.sleep(0.1)

    def _sleep(self, delay_s: float) -> None:
        end = time.monotonic() + delay_s
        while not self.stopping and time.monotonic() < end:
            time.sleep(0.1)

    def _say(self, words: str) -> None:
        line = f"--- {datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {words}\n"
        # A full disk, or a manager that was killed, is no reason to end the part.
        with suppress(OSError), self.log.open("a") as log:
            log.write(line)
        with suppress(OSError):
            print(words, flush=True)  # the manager's log has the restarts of all parts in order

    def _record(self, phase: str, started_at: float) -> None:
        pid = self.child.pid if self.child else None
        facts = {"phase": phase, "pid": pid, "started_at": started_at}
        facts |= {"restarts": self.restarts, "last_exit": self.last_exit}
        try:
            write_json(self.state, facts)
        except OSError as error:
            self._say(f"could not write {self.state}: {error}")


def main(arguments: list[str]) -> None:
    """Parse the command line and keep the part running."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.log.exists():
        options.log.replace(options.log.with_suffix(".log.1"))
    Keeper(command, options.log, options.state).run()


if __name__ == "__main__":
    main(sys.argv[1:])
