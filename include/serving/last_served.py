"""Which versions served last, kept in a file for a start while the registry or the lake is away."""

from __future__ import annotations

import json
import logging
from pathlib import Path

_log = logging.getLogger(__name__)


class LastServed:
    """Version by use case.

    Parameters
    ----------
    path : Path
        The file. One that is damaged is ignored: it only saves a wait.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._versions = _read(path)

    def version_of(self, name: str) -> str | None:
        """Return the version that served last; None where none is known."""
        return self._versions.get(name)

    def remember(self, name: str, version: str) -> None:
        """Write it down, whole or not at all."""
        self._versions[name] = version
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._versions, sort_keys=True))
        unfinished.replace(self._path)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        _log.warning("%s is damaged and ignored", path, exc_info=True)
        return {}
    return {str(name): str(version) for name, version in content.items()}
