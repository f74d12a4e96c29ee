"""The champions that answer: watched, verified, warmed, and swapped while requests run.

Nothing of the working tree answers a request: features are built by the use case and the Python in
the model's package. What serves is kept whatever goes wrong: a registry that is away, a package
that fails its verification, a lake that is away. The trouble stands in `/health` and in the log
instead.

A use case whose folder, or the `use_case.yaml` in it, was removed is no longer served: its owner
took it away. When the folder that holds all use cases is gone, everything goes on being served:
that is an unmounted disk or a wrong setting rather than a decision about each use case.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from include.errors import DataContractError, FlywheelError, ServiceUnavailable
from include.lake.table import Lake
from include.registry.package import ServableModel
from include.serving.last_served import LastServed
from include.serving.live import Live
from include.serving.python_errors import message_of
from include.serving.references import ReferenceTables
from include.serving.slot import Slot

_log = logging.getLogger(__name__)


class ModelSource(Protocol):
    """Where champions come from: `include.serving.promoted.PromotedModels`."""

    def version_of(self, name: str) -> str | None:
        """Return the version that is promoted; None if there is none."""

    def load(self, name: str, version: str) -> ServableModel:
        """Return a verified model, without the registry if it was loaded before."""


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
        self._references = ReferenceTables(lake)
        self._last_served = LastServed(memory)
        self._poll_s = poll_s
        self._slots: dict[str, Slot] = {}
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
        return (self._slots.get(name) or Slot(name)).state()

    def look(self) -> None:
        """Look at every use case once: champion and reference tables; drop what is gone."""
        slots = {name: self._slots.get(name) or Slot(name) for name in self._names()}
        for name in self._slots.keys() - slots.keys():
            _log.warning("%s: its folder is gone; it is no longer served", name)
        self._slots = slots  # one assignment: requests see the old use cases or the new ones
        registry_answers = True
        for slot in slots.values():
            # One time-out per look is enough when the lake is away.
            if registry_answers:
                registry_answers = self._look_at_champion(slot)
            elif slot.live is None:
                self._serve_last(slot)
            self._look_at_references(slot)

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

    def _look_at_champion(self, slot: Slot) -> bool:
        """Load what is promoted; return whether the promotions could be read."""
        try:
            version = self._registry.version_of(slot.name)
        except ServiceUnavailable as error:
            slot.note("registry", f"The promoted version cannot be read: {error}")
            if slot.live is None:
                self._serve_last(slot)
            return False
        except DataContractError as error:  # an unsigned or older promotion changes nothing
            slot.note("champion", str(error))
            return True
        slot.note("registry", None)
        if version is None:
            # Not an order to stop: a new, empty lake would otherwise stop everything.
            no_more = "No version is promoted any more; the last champion keeps serving."
            slot.note("champion", no_more if slot.live else "No champion yet.")
        elif slot.version == version:
            slot.note("champion", None)
        else:
            self._try(slot, version)
        return True

    def _serve_last(self, slot: Slot) -> None:
        if (version := self._last_served.version_of(slot.name)) is not None:
            self._try(slot, version)

    def _try(self, slot: Slot, version: str) -> None:
        """Load a version and let it serve, unless it failed a moment ago."""
        if not slot.may_try(version):
            return
        try:
            live = self._loaded(slot.name, version)
        except Exception as error:
            # Any exception: a package is not trusted until it has answered its stored example.
            said = message_of(error)
            slot.failed(version, f"Version {version} does not load: {said}", error)
        else:
            slot.loaded(live)
            self._last_served.remember(slot.name, version)
            # What stays is not looked through again: with libraries and tables in memory a full
            # collection takes 0.2 s, in which nobody is answered.
            gc.collect()
            gc.freeze()

    def _loaded(self, name: str, version: str) -> Live:
        model = self._registry.load(name, version)
        if model.use_case.name != name:
            raise DataContractError(
                f"{name}: version {version} must be a model of that use case, got one of"
                f" {model.use_case.name}. Empty the package cache and train again."
            )
        versions = self._references.versions(model.use_case)
        references = self._references.load(model.use_case, versions)
        live = Live(model, references, versions, datetime.now(UTC))
        live.answer_example()
        return live

    def _look_at_references(self, slot: Slot) -> None:
        live = slot.live
        if live is None or not live.model.use_case.features.references:
            return
        try:
            versions = self._references.versions(live.model.use_case)
            if versions != live.reference_versions:
                references = self._references.load(live.model.use_case, versions)
                fresh = replace(live, references=references, reference_versions=versions)
                fresh.answer_example()  # indexes the tables, which no request should wait for
                slot.live = fresh
        except Exception as error:  # a lake can fail in many ways; the tables at hand serve on
            slot.note("references", f"Reference tables are not fresh: {error}")
        else:
            slot.note("references", None)
