"""What is known of a stack that runs: the files in its `run` folder, and how its parts are."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from include.errors import ConfigError
from scripts.stack import processes
from scripts.stack.parts import HEALTHY
from scripts.stack.settings import PORT_VARIABLES, StackSettings


@dataclass(frozen=True)
class Status:
    """What is true of a stack at one moment.

    Parameters
    ----------
    running
        Whether the manager, which restarts parts, lives.
    parts
        "healthy" or what is wrong, by the part's name; empty when nothing runs.
    restarts
        By the part's name, how often it ended by itself since `up`, and its last exit code.
    """

    running: bool
    parts: dict[str, str]
    restarts: dict[str, tuple[int, int | None]]

    @property
    def healthy(self) -> bool:
        """Whether everything runs and is well."""
        return self.running and set(self.parts.values()) == {HEALTHY}

    @property
    def ailing(self) -> dict[str, str]:
        """The parts which are not well."""
        return {name: words for name, words in self.parts.items() if words != HEALTHY}


class RunFolder:
    """The `run` folder: who manages the stack, on which ports, and what the keepers wrote."""

    def __init__(self, settings: StackSettings) -> None:
        self.home = settings.home
        self.folder = settings.run
        self._file = self.folder / "stack.json"

    def write(self, settings: StackSettings, manager_pid: int) -> None:
        """Note a manager that was just started; its creation time tells it from later processes."""
        created = psutil.Process(manager_pid).create_time()
        ports = {name: getattr(settings, name) for name in PORT_VARIABLES}
        self._file.write_text(json.dumps({"pid": manager_pid, "created": created, **ports}))

    def settings(self) -> StackSettings | None:
        """Return home and ports of the stack that runs; None when there is none."""
        state = _read_json(self._file)
        if not state:
            return None
        return StackSettings(home=self.home, **{name: state[name] for name in PORT_VARIABLES})

    def manager(self) -> psutil.Process | None:
        """Return the manager if it lives."""
        state = _read_json(self._file)
        if not state:
            return None
        try:
            process = psutil.Process(state["pid"])
            same = abs(process.create_time() - state["created"]) < 1
        except psutil.NoSuchProcess:
            return None
        return process if same and processes.alive(process) else None

    def record(self, name: str) -> dict[str, Any]:
        """Return what a part's keeper wrote last; {} when it did not yet."""
        return _read_json(self.folder / f"{name}.json")

    def forget(self, *names: str) -> None:
        """Remove the records of these parts, and of the manager."""
        for file in (self._file, *(self.folder / f"{name}.json" for name in names)):
            file.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second `up` or `down` of this home out; ConfigError when there is one."""
        # Nobody else looks in: not at logs, data or models, and not at the secrets.
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise ConfigError(
                    f"Another `up` or `down` of {self.home} is at work (process "
                    f"{lock.read().strip()}). Wait for it, or end it with Ctrl-C."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
