"""A group of parts that one manager keeps: started, watched and stopped together."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from include.errors import ServiceUnavailable
from scripts.stack import processes
from scripts.stack.manager import KILL_S
from scripts.stack.parts import HEALTHY
from scripts.stack.settings import REPO, Place
from scripts.stack.state import Record, RunFolder, Status

GIVE_UP_RESTARTS = 3
"""A part that ended so often while the group comes up will not come up."""


class Group:
    """The parts of one manager.

    Parameters
    ----------
    place
        Its folders.
    names
        Of its parts.
    run
        What is known of what runs.
    say
        Is given each line of progress.
    what, up
        What a person calls it, and the command that starts it.
    """

    def __init__(
        self,
        place: Place,
        names: Sequence[str],
        run: RunFolder,
        say: Callable[[str], None],
        what: str = "stack",
        up: str = "make up",
    ) -> None:
        self._place = place
        self._names = tuple(names)
        self._run = run
        self._say = say
        self._what = what
        self._up = up

    def records(self) -> dict[str, Record]:
        """Return what the keepers wrote last, by the part's name."""
        return {name: self._run.record(name) for name in self._names}

    def status(self, answers: Callable[[Mapping[str, Record]], dict[str, str]]) -> Status:
        """Say how the group is.

        Parameters
        ----------
        answers
            Is given the records; returns `HEALTHY`, or what is wrong, by the part's name.
        """
        # The manager first: a process that has just started shows an empty environment for a
        # moment, and would not be found by the group's mark.
        if self._run.manager() is None and not processes.of_home(self._place.home):
            return Status(running=False, parts={}, restarts={})
        records = self.records()
        restarts = {
            name: (record.facts["restarts"], record.facts["last_exit"])
            for name, record in records.items()
            if record.facts.get("restarts")
        }
        trouble = self._manager_trouble()
        parts = answers(records)
        return Status(running=not trouble, parts=parts, restarts=restarts, manager=trouble)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start the manager; return its process id."""
        with self._place.log("stack").open("wb") as log:
            manager = subprocess.Popen(
                list(command),
                cwd=REPO,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it outlives this terminal and does not see its Ctrl-C
                umask=0o077,
            )
        return manager.pid

    def wait(self, status: Callable[[], Status], started: float, within_s: float) -> None:
        """Return when every part is healthy.

        Raises
        ------
        ServiceUnavailable
            The manager ended, a part ends again and again, or the time is over; with the end of
            the log.
        """
        announced: set[str] = set()
        while True:
            now = status()
            waited_s = time.monotonic() - started
            for name in now.parts:
                if name not in now.unhealthy and name not in announced:
                    announced.add(name)
                    self._say(f"  {name:<14} {HEALTHY} after {waited_s:.0f} s")
            if now.healthy:
                return
            if not now.running:
                raise ServiceUnavailable(
                    f"The {self._what}'s manager ended. {self.tail_of('stack')}"
                )
            for name, (restarts, code) in now.restarts.items():
                if restarts >= GIVE_UP_RESTARTS:
                    why = f"{name} ended {restarts} times, with exit code {code}"
                    raise ServiceUnavailable(
                        f"The {self._what} did not come up: {why}. {self.tail_of(name)}"
                    )
            if waited_s > within_s:
                unhealthy = [f"{n} {w}. {self.tail_of(n)}" for n, w in now.unhealthy.items()]
                first = f"The {self._what} did not come up in {within_s:.0f} s:"
                raise ServiceUnavailable("\n".join([first, *unhealthy]))
            time.sleep(0.5)

    def stop(self) -> list[str]:
        """Stop the manager and whatever carries the group's mark; return what was stopped."""
        home = self._place.home
        pids = {process.pid for process in processes.of_home(home)}
        named = [name for name, record in self.records().items() if record.facts.get("pid") in pids]
        manager = self._run.manager()
        if manager is not None:
            manager.terminate()
            processes.wait_gone(manager, KILL_S + 5)
            if processes.alive(manager):
                manager.kill()
        processes.sweep(home, grace_s=KILL_S)
        self._run.forget(*self._names)
        return [*named, f"{len(pids) - len(named)} helper processes"] if pids else []

    def tail_of(self, name: str, lines: int = 20) -> str:
        """Return the end of a log, with its path."""
        log = self._place.log(name)
        text = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join([f"The end of {log}:", *(f"    {line}" for line in text[-lines:])])

    def _manager_trouble(self) -> str:
        if self._run.manager() is not None:
            return ""
        replace = f"`{self._up}` stops what is left of it and starts the whole {self._what} again."
        if damage := self._run.stack().damage:
            return f"{damage}. Which process manages the {self._what} is unknown. {replace}"
        return (
            f"The {self._what}'s manager was killed. The parts run on, and each is still restarted "
            f"when it ends. {replace}"
        )
