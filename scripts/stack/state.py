"""What is known of a stack that runs: the files in its `run` folder, and how its parts are."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from include.errors import ConfigError
from scripts.stack import processes
from scripts.stack.keep import write_json
from scripts.stack.parts import HEALTHY

_LARGEST_PID = 2**31 - 1
_PART: dict[str, tuple[type, ...]] = {
    "phase": (str,),
    "pid": (int, type(None)),
    "started_at": (int, float),
    "restarts": (int,),
    "last_exit": (int, type(None)),
}
_STACK: dict[str, tuple[type, ...]] = {
    "pid": (int,),
    "created": (int, float),
}
"""What the files of the `run` folder hold: the types of each key's values."""


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
    manager
        What is wrong with the manager and what to do; empty when it lives, or nothing runs.
    """

    running: bool
    parts: dict[str, str]
    restarts: dict[str, tuple[int, int | None]]
    manager: str = ""

    @property
    def healthy(self) -> bool:
        """Whether the manager lives and every part is healthy."""
        return self.running and set(self.parts.values()) == {HEALTHY}

    @property
    def unhealthy(self) -> dict[str, str]:
        """The parts which are not healthy."""
        return {name: words for name, words in self.parts.items() if words != HEALTHY}


@dataclass(frozen=True)
class Record:
    """What a file of the `run` folder says.

    Parameters
    ----------
    facts
        Its content; {} when there is no such file, or it is damaged.
    damage
        In words, why it cannot be read; empty when it can, or does not exist.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    damage: str = ""


class RunFolder:
    """The `run` folder: who manages the group, on which ports, and what the keepers wrote.

    Parameters
    ----------
    home, folder
        Of the group.
    ports
        Names of the settings that are noted with the manager.
    """

    def __init__(self, home: Path, folder: Path, ports: Sequence[str] = ()) -> None:
        self.home = home
        self.folder = folder
        self._ports = ports
        self._file = self.folder / "stack.json"

    def write(self, settings: object, manager_pid: int) -> None:
        """Note a manager that was just started; its creation time tells it from later processes."""
        created = psutil.Process(manager_pid).create_time()
        ports = {name: getattr(settings, name) for name in self._ports}
        write_json(self._file, {"pid": manager_pid, "created": created, **ports})

    def stack(self) -> Record:
        """Return what was noted of the manager and the ports."""
        return _read(self._file, {**_STACK, **dict.fromkeys(self._ports, (int,))})

    def manager(self) -> psutil.Process | None:
        """Return the manager if it lives; None also when its record is damaged."""
        facts = self.stack().facts
        if not facts:
            return None
        try:
            process = psutil.Process(facts["pid"])
            same = abs(process.create_time() - facts["created"]) < 1
        except psutil.NoSuchProcess:
            return None
        return process if same and processes.alive(process) else None

    def record(self, name: str) -> Record:
        """Return what a part's keeper wrote last."""
        return _read(self.folder / f"{name}.json", _PART)

    def forget(self, *names: str) -> None:
        """Remove the records of these parts, and of the manager."""
        for file in (self._file, *(self.folder / f"{name}.json" for name in names)):
            file.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second `up` or `down` of this home out; ConfigError when there is one."""
        # Readable by the owner only: logs, data, models and secrets are in it.
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


def _read(path: Path, shape: Mapping[str, tuple[type, ...]]) -> Record:
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, RecursionError) as error:
        return Record(damage=f"{path} is damaged: it is not JSON ({error})")
    if not isinstance(facts, dict):
        return Record(damage=f"{path} is damaged: it holds a {type(facts).__name__}, not an object")
    wrong = [name for name, types in shape.items() if type(facts.get(name, ...)) not in types]
    if "pid" not in wrong and not (facts["pid"] is None or 0 < facts["pid"] <= _LARGEST_PID):
        wrong.append("pid")
    if wrong:
        return Record(damage=f"{path} is damaged: no usable {', '.join(map(repr, wrong))} in it")
    return Record(facts=facts)
