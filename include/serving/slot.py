"""What the watcher knows of one use case: what serves, what is wrong, what was tried."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from include.serving.live import Live

# A package that fails is not tried at every look: each try reads all of it, and is logged.
_FIRST_RETRY_S, _LONGEST_RETRY_S = 5.0, 300.0

_log = logging.getLogger(__name__)


@dataclass
class Slot:
    """One use case. Written by the watcher only; requests read `live`.

    Attributes
    ----------
    name : str
        Of the use case.
    live : Live or None
        What answers.
    problems : dict of str to str
        What is wrong, by what it is about; for `/health`.
    """

    name: str
    live: Live | None = None
    problems: dict[str, str] = field(default_factory=dict)
    _failed_version: str | None = None
    _failures: int = 0
    _retry_at_s: float = 0.0

    @property
    def version(self) -> str | None:
        """The model version that answers."""
        return self.live.model.version if self.live else None

    def state(self) -> dict[str, Any]:
        """Return what `/health` says of the use case."""
        return {
            "ready": self.live is not None,
            "model_version": self.version,
            "live_since": self.live.since.isoformat() if self.live else None,
            "reference_versions": {
                name: pin.version
                for name, pin in (self.live.reference_versions if self.live else {}).items()
            },
            "problems": list(self.problems.values()),
        }

    def note(self, about: str, problem: str | None) -> None:
        """Keep what is wrong for `/health`, and log it when it begins and when it ends."""
        if problem is None:
            if self.problems.pop(about, None) is not None:
                _log.info("%s: %s recovered", self.name, about)
        elif self.problems.get(about) != problem:
            _log.warning("%s: %s", self.name, problem)
            self.problems[about] = problem

    def may_try(self, version: str) -> bool:
        """Whether a version may be loaded now: it did not fail a moment ago."""
        if version != self._failed_version:
            self._failed_version, self._failures, self._retry_at_s = version, 0, 0.0
        return time.monotonic() >= self._retry_at_s

    def failed(self, version: str, problem: str, error: Exception) -> None:
        """Note that a version does not load. The next try waits longer each time."""
        wait_s = min(_FIRST_RETRY_S * 2**self._failures, _LONGEST_RETRY_S)
        self._failures += 1
        self._retry_at_s = time.monotonic() + wait_s
        self.problems["champion"] = problem
        _log.warning(
            "%s: version %s fails, next try in %s s", self.name, version, wait_s, exc_info=error
        )

    def loaded(self, live: Live) -> None:
        """Let a model answer from now on: requests see the old model or the new one."""
        _log.info(
            "%s: version %s serves, before it %s", self.name, live.model.version, self.version
        )
        self.live = live
        self._failed_version = None
        self.note("champion", None)
