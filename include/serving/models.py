"""The champions that answer: watched, verified, warmed, and swapped while requests run.

What serves is kept whatever goes wrong: a registry that is away, a package that fails its
verification, a lake that is away. The trouble stands in `/health` and in the log instead.

A use case whose folder, or the `use_case.yaml` in it, was removed is no longer served: its owner
took it away. When the folder that holds all use cases is gone, everything goes on being served:
that is an unmounted disk or a wrong setting rather than a decision about each use case.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from include.errors import DataContractError, FlywheelError, ServiceUnavailable
from include.lake.table import Lake
from include.modelling.references import Indexed, load_references
from include.registry.package import ServableModel
from include.serving.protocol import parse
from include.serving.python_errors import message_of
from include.use_cases.loader import root
from include.use_cases.schema import UseCase

CHAMPION = "champion"
# A package that fails is not tried at every look: each try reads all of it, and is logged.
_FIRST_RETRY_S, _LONGEST_RETRY_S = 5.0, 300.0

_log = logging.getLogger(__name__)


class ModelSource(Protocol):
    """Where champions come from: `include.serving.promoted.PromotedModels`."""

    def version_of(self, name: str, alias: str) -> str | None:
        """Return the version that is promoted; None if there is none."""

    def load(self, name: str, version: str) -> ServableModel:
        """Return a verified model, without the registry if it was loaded before."""


@dataclass(frozen=True, eq=False)
class Live:
    """A model that answers, and the reference tables its features join."""

    model: ServableModel
    references: Mapping[str, Indexed]
    reference_versions: Mapping[str, int]
    since: datetime


@dataclass
class _Slot:
    """What is known of one use case. Written by the watcher only; requests read `live`."""

    live: Live | None = None
    problems: dict[str, str] = field(default_factory=dict)
    failed_version: str | None = None
    failures: int = 0
    retry_at_s: float = 0.0
    features_py_mtime_ns: int | None = -1  # of the file that answered the example last


class Models:
    """The live model of each use case.

    Parameters
    ----------
    names : callable
        Gives the names of the use cases; asked at each look, so a new one needs no restart.
    registry : ModelSource
        Where champions come from.
    lake : Lake
        Where reference tables come from.
    memory : Path
        File that remembers which versions served last, for a start while the registry is away.
    poll_s : float
        Seconds between two looks.
    """

    def __init__(
        self,
        names: Callable[[], list[str]],
        registry: ModelSource,
        lake: Lake,
        memory: Path,
        poll_s: float = 2.0,
    ) -> None:
        self._names = names
        self._registry = registry
        self._lake = lake
        self._memory = memory
        self._poll_s = poll_s
        self._remembered = _read_memory(memory)
        self._slots: dict[str, _Slot] = {}
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champions", daemon=True)

    def start(self) -> None:
        """Look once, so that the first request finds a model, then go on looking in a thread."""
        self._look_or_log()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. A look that hangs in a time-out is not waited for."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def knows(self, name: str) -> bool:
        """Whether there is such a use case."""
        return name in self._slots

    @property
    def names(self) -> list[str]:
        """The use cases, sorted."""
        return sorted(self._slots)

    def live(self, name: str) -> Live | None:
        """Return what answers for a use case now; a request keeps it to its end."""
        slot = self._slots.get(name)  # it may have been dropped since the caller asked
        return slot.live if slot else None

    @property
    def problems(self) -> list[str]:
        """What keeps the watcher from looking at all; empty when it looks."""
        return [] if self._problem is None else [self._problem]

    def state(self, name: str) -> dict[str, Any]:
        """Return what `/health` says of a use case."""
        slot = self._slots.get(name) or _Slot()
        live = slot.live
        return {
            "ready": live is not None and "features" not in slot.problems,
            "model_version": live.model.version if live else None,
            "live_since": live.since.isoformat() if live else None,
            "reference_versions": dict(live.reference_versions) if live else {},
            "problems": list(slot.problems.values()),
        }

    def look(self) -> None:
        """Look at every use case once: champion, reference tables, Python; drop what is gone."""
        slots = {name: self._slots.get(name) or _Slot() for name in self._names()}
        for name in self._slots.keys() - slots.keys():
            _log.warning("%s: its folder is gone; it is no longer served", name)
        self._slots = slots  # one assignment: requests see the old use cases or the new ones
        registry_answers = True
        for name, slot in slots.items():
            # One time-out per look is enough when the lake is away.
            if registry_answers:
                registry_answers = self._look_at_champion(name, slot)
            elif slot.live is None:
                self._serve_remembered(name, slot)
            self._look_at_references(name, slot)
            self._look_at_features_py(name, slot)

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_s):
            self._look_or_log()

    def _look_or_log(self) -> None:
        try:
            self.look()
            self._problem = None
        except Exception as error:  # the watcher outlives whatever a look runs into
            said = str(error) if isinstance(error, FlywheelError) else type(error).__name__
            problem = f"Looking for champions fails: {said}"
            if problem != self._problem:
                _log.exception("Looking for champions fails; next look in %s s", self._poll_s)
            self._problem = problem

    def _look_at_champion(self, name: str, slot: _Slot) -> bool:
        """Load what is promoted; return whether the promotions could be read."""
        try:
            version = self._registry.version_of(name, CHAMPION)
        except ServiceUnavailable as error:
            self._note(name, slot, "registry", f"The promoted version cannot be read: {error}")
            if slot.live is None:
                self._serve_remembered(name, slot)
            return False
        except DataContractError as error:  # an unsigned or older promotion changes nothing
            self._note(name, slot, "champion", str(error))
            return True
        self._note(name, slot, "registry", None)
        if version is None:
            # Not an order to stop: a new, empty lake would otherwise stop everything.
            no_more = "No version is promoted any more; the last champion keeps serving."
            self._note(name, slot, "champion", no_more if slot.live else "No champion yet.")
        elif slot.live is not None and slot.live.model.version == version:
            self._note(name, slot, "champion", None)
        else:
            self._try(name, slot, version)
        return True

    def _serve_remembered(self, name: str, slot: _Slot) -> None:
        if (version := self._remembered.get(name)) is not None:
            self._try(name, slot, version)

    def _try(self, name: str, slot: _Slot, version: str) -> None:
        """Load a version and let it serve, unless it failed a moment ago."""
        if version != slot.failed_version:
            slot.failed_version, slot.failures, slot.retry_at_s = version, 0, 0.0
        if time.monotonic() < slot.retry_at_s:
            return
        try:
            self._swap(name, slot, version)
        except Exception as error:
            # Any exception: a package is not trusted until it has answered its stored example.
            wait_s = min(_FIRST_RETRY_S * 2**slot.failures, _LONGEST_RETRY_S)
            slot.failures += 1
            slot.retry_at_s = time.monotonic() + wait_s
            said = message_of(error, _features_py(name))
            slot.problems["champion"] = f"Version {version} does not load: {said}"
            _log.warning(
                "%s: version %s fails, next try in %s s", name, version, wait_s, exc_info=error
            )
        else:
            slot.failed_version = None
            self._note(name, slot, "champion", None)

    def _swap(self, name: str, slot: _Slot, version: str) -> None:
        model = self._registry.load(name, version)
        if model.use_case.name != name:
            raise DataContractError(
                f"{name}: version {version} must be a model of that use case, got one of"
                f" {model.use_case.name}. Empty the package cache and train again."
            )
        versions = self._reference_versions(model.use_case)
        references, _ = load_references(model.use_case, self._lake)
        live = Live(model, references, versions, datetime.now(UTC))
        # The first prediction of a model costs tens of milliseconds: not those of a request.
        _answer_example(live)
        before = slot.live.model.version if slot.live else "none"
        slot.live = live  # one assignment: a request sees the old model or the new one
        _log.info("%s: version %s serves, before it %s", name, version, before)
        self._remember(name, version)

    def _look_at_references(self, name: str, slot: _Slot) -> None:
        live = slot.live
        if live is None or not live.model.use_case.features.references:
            return
        try:
            versions = self._reference_versions(live.model.use_case)
            if versions != live.reference_versions:
                references, _ = load_references(live.model.use_case, self._lake)
                slot.live = replace(live, references=references, reference_versions=versions)
        except Exception as error:  # a lake can fail in many ways; the tables at hand serve on
            self._note(name, slot, "references", f"Reference tables are not fresh: {error}")
        else:
            self._note(name, slot, "references", None)

    def _look_at_features_py(self, name: str, slot: _Slot) -> None:
        """Let the example be answered anew when the file changed: requests use it at once."""
        if slot.live is None:
            return
        path = _features_py(name)
        try:
            mtime_ns = path.stat().st_mtime_ns
        except OSError:
            mtime_ns = None  # a use case need not have one
        if mtime_ns == slot.features_py_mtime_ns and "features" not in slot.problems:
            return
        try:
            _answer_example(slot.live)
        except Exception as error:  # a use case's own code can raise anything
            problem = f"Requests fail: {message_of(error, path)}"
            if slot.problems.get("features") != problem:
                _log.warning("%s: features.py fails", name, exc_info=error)
            self._note(name, slot, "features", problem)
        else:
            slot.features_py_mtime_ns = mtime_ns
            self._note(name, slot, "features", None)

    def _reference_versions(self, use_case: UseCase) -> dict[str, int]:
        # Taken before the tables are read: what is published in between is seen at the next look.
        return {
            reference: self._lake.table(use_case.name, f"reference_{reference}").version()
            for reference in use_case.features.references
        }

    def _note(self, name: str, slot: _Slot, about: str, problem: str | None) -> None:
        """Keep what is wrong for `/health`, and log it when it begins and when it ends."""
        if problem is None:
            if slot.problems.pop(about, None) is not None:
                _log.info("%s: %s recovered", name, about)
        elif slot.problems.get(about) != problem:
            _log.warning("%s: %s", name, problem)
            slot.problems[about] = problem

    def _remember(self, name: str, version: str) -> None:
        self._remembered[name] = version
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._memory.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._remembered, sort_keys=True))
        unfinished.replace(self._memory)


def _features_py(name: str) -> Path:
    return root() / name / "features.py"


def _answer_example(live: Live) -> None:
    model = live.model
    body = json.dumps({"instances": [model.example]}).encode()
    rows = parse(body, "application/json", model.use_case, model.request_columns)
    model.predict(rows.frame(model.use_case, model.request_columns), live.references)


def _read_memory(path: Path) -> dict[str, str]:
    """Read which versions served last; nothing if the file is damaged: it only saves a wait."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        _log.warning("%s is damaged and ignored", path, exc_info=True)
        return {}
    return {str(name): str(version) for name, version in content.items()}
