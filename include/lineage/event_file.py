"""OpenLineage events in a file that stays small: a transport of OpenLineage's Python client.

The client's own file transport never rotates, and writes an event in several parts, which mix when
tasks run at once.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openlineage.client.serde import Serde
from openlineage.client.transport import Config, Transport

MAX_BYTES = 32 * 2**20
"""Size from which a new file is begun: some 8,000 events. One former file is kept beside it."""


@dataclass
class EventFileConfig(Config):
    """Where the events go.

    Attributes
    ----------
    path : str
        A file; its folder is made. `<path>.1` holds the events before.
    max_bytes : int
        A new file is begun once this is reached.
    """

    path: str
    max_bytes: int = MAX_BYTES

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> EventFileConfig:
        """Make it of a transport's configuration."""
        return cls(params["path"], int(params.get("max_bytes", MAX_BYTES)))


class EventFile(Transport):
    """Appends each event as one line of JSON, from any number of processes."""

    kind = "event_file"
    config_class = EventFileConfig

    def __init__(self, config: EventFileConfig) -> None:
        self._path = Path(config.path)
        self._max_bytes = config.max_bytes

    def emit(self, event: Any) -> None:
        """Write one event."""
        line = f"{Serde.to_json(event)}\n".encode()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(
            self._path.with_name(f"{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing it gives it back, also when we are killed
            if self._path.exists() and self._path.stat().st_size >= self._max_bytes:
                self._path.replace(f"{self._path}.1")
            with self._path.open("ab") as file:
                file.write(line)
        finally:
            os.close(lock)
