"""Start, stop and look at Label Studio of one stack."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from include.errors import ServiceUnavailable
from scripts.labelling.environment import NAME, install
from scripts.labelling.place import LabellingPlace
from scripts.stack import layout, processes, secret_files
from scripts.stack.environment import base_environment
from scripts.stack.group import Group
from scripts.stack.parts import answers_at
from scripts.stack.settings import MARKER, StackSettings
from scripts.stack.state import Record, RunFolder, Status

HEALTHY_WITHIN_S = 600
"""A new database takes 35 s on two cores that do nothing else, and minutes beside a load of 20."""


class Labelling:
    """Label Studio, found again by the stack's home folder.

    Parameters
    ----------
    settings
        Of the stack.
    say
        Is given each line of progress.
    """

    def __init__(self, settings: StackSettings, say: Callable[[str], None] = print) -> None:
        self._settings = settings
        self.place = LabellingPlace.of(settings)
        self._run = RunFolder(self.place.home, self.place.run)
        self._group = Group(
            self.place, [NAME], self._run, say, what="Label Studio", up="make labelling-up"
        )
        self._say = say

    def up(self, healthy_within_s: float = HEALTHY_WITHIN_S) -> None:
        """Install and start Label Studio; return when it answers. If it runs already, do nothing.

        Raises
        ------
        ConfigError
            The port is taken, or another `up` or `down` of this home is at work.
        ServiceUnavailable
            It cannot be installed, or did not answer in time; it is stopped again.
        """
        layout.check(self._settings)
        self._settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret_files.ensure(self._settings)
        with self._run.alone():
            if self._run.manager() is not None:
                self._check_running()
                return
            self._group.stop()  # what a crash left behind
            port = {self._settings.variable("labelling_port"): self.place.port}
            processes.check_ports(port)  # Label Studio itself would take the next one
            for folder in (self.place.data, self.place.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._say("Installing Label Studio where it is missing (160 packages, 1 GB)")
            install(self.place)
            started = time.monotonic()
            try:
                manager = [sys.executable, "-m", "scripts.labelling.manager"]
                environment = base_environment(self._settings) | {MARKER: str(self.place.home)}
                pid = self._group.start(manager, environment)
                self._run.write(self._settings, pid)
                self._group.wait(self.status, started, healthy_within_s)
            except BaseException:  # Ctrl-C too: nothing half-started stays behind
                self._group.stop()
                raise

    def down(self) -> list[str]:
        """Stop it; return what was stopped."""
        if not self.place.home.exists():
            return []
        with self._run.alone():
            return self._group.stop()

    def status(self) -> Status:
        """Ask it how it is."""
        return self._group.status(self._answers)

    def _check_running(self) -> None:
        for words in self.status().unhealthy.values():
            raise ServiceUnavailable(
                f"Label Studio runs, but {words}. Look at {self.place.log(NAME)}, or "
                "`make labelling-down` and `make labelling-up`."
            )
        self._say("Label Studio is up already.")

    def _answers(self, records: Mapping[str, Record]) -> dict[str, str]:
        if records[NAME].facts.get("phase") != "running":
            return {NAME: records[NAME].damage or "does not run"}
        return {NAME: answers_at(f"{self.place.url}/health")}
