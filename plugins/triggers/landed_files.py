"""Watches the landing area of one use case, so that landing a file starts ingestion."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.errors import FlywheelError
from include.ingest_label.stillness import Stillness
from include.settings import Settings

if TYPE_CHECKING:
    from include.ingest_label.landing import Landing
    from include.use_cases.schema import UseCase

OUTAGE_DELAY_S = 30.0  # a store that is back is noticed within this time
LOG_EVERY_S = 60.0
CHANGED_LIMIT = 20  # names in an event: Airflow keeps its payload in the database


class LandedFilesTrigger(BaseEventTrigger):
    """Fires when files of a partition have changed and then held still for a second.

    Holding still matters: a file that is being copied in changes from look to look, and ingesting
    half of it would be refused as malformed. A partition that is complete does not wait for another
    that is still being copied. After a restart it fires once for what is there; ingest then finds
    that everything is processed and does nothing.

    While the landing cannot be looked at, it waits longer and longer, up to 30 seconds, and logs at
    most one line a minute.

    :param use_case: name of the use case
    :param poll_s: seconds between two looks; by default `FLYWHEEL_LANDING_POLL_S`, or 0.5
    """

    def __init__(self, use_case: str, poll_s: float | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.use_case = use_case
        self.poll_s = Settings.from_env().landing_poll_s if poll_s is None else poll_s
        self._known: tuple[list[tuple[int, ...]], UseCase] | None = None
        self._logged_s: float | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell the triggerer how to make this trigger."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"use_case": self.use_case, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for the changes that have settled since the look before."""
        stillness, delay_s = Stillness(), self.poll_s
        while True:
            try:
                seen = await asyncio.to_thread(self._look)
            except Exception as error:
                # The landing store may not answer for a while; the watcher must go on.
                stillness.interrupted()
                self.__dict__.pop("_landing", None)  # its login may have expired: ask for a new one
                delay_s = min(2 * delay_s, max(OUTAGE_DELAY_S, self.poll_s))
                self._log_outage(error, delay_s)
                await _sleep(delay_s)
                continue
            delay_s = self.poll_s
            if changed := stillness.settled(seen, _clock()):
                facts = {"changed": changed[:CHANGED_LIMIT], "count": len(changed)}
                yield TriggerEvent(facts)  # type: ignore[no-untyped-call]
            await _sleep(self.poll_s)

    def _look(self) -> dict[str, int]:
        """Give the fingerprint of everything that has landed, by pattern and partition."""
        use_case = self._configured()
        patterns = [use_case.ingest.landing]
        patterns += [reference.landing for reference in use_case.ingest.references.values()]
        patterns += [use_case.labels.landing] if use_case.labels else []
        grain = use_case.ingest.partition.grain
        return {
            f"{pattern} {partition}".strip(): fingerprint
            for pattern in dict.fromkeys(patterns)
            for partition, fingerprint in self._landing.partitions(pattern, grain).items()
        }

    @cached_property
    def _landing(self) -> Landing:
        from plugins.hooks.lake import LakeHook

        return LakeHook().landing

    def _configured(self) -> UseCase:
        """Read the use case again when its YAML has changed; to compare costs a `stat` a file."""
        from include.use_cases.loader import get, root

        stamp: list[tuple[int, ...]] = []
        # Also the file that `ingest.columns` may name. What is missing is told by `get`.
        for path in sorted((root() / self.use_case).glob("*.yaml")):
            with contextlib.suppress(OSError):
                held = path.stat()
                stamp.append((held.st_mtime_ns, held.st_ctime_ns, held.st_ino, held.st_size))
        if self._known is None or self._known[0] != stamp:
            self._known = stamp, get(self.use_case)
        return self._known[1]

    def _log_outage(self, error: Exception, delay_s: float) -> None:
        now_s = _clock()
        if self._logged_s is not None and now_s - self._logged_s < LOG_EVERY_S:
            return
        self._logged_s = now_s
        self.log.warning(
            "Cannot look at the landing area of %s; trying again in %.1f s, and logging at most "
            "once a minute: %s",
            self.use_case,
            delay_s,
            error,
            # An error that Flywheel raises on purpose says all there is to say.
            exc_info=None if isinstance(error, FlywheelError) else error,
        )


# Named so that a test can put a clock of its own in their place.
_clock = time.monotonic
_sleep = asyncio.sleep
