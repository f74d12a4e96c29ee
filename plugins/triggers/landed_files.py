"""Watches the landing area of one use case, so that landing a file is enough to turn the wheel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

POLL_S = 0.5


class LandedFilesTrigger(BaseEventTrigger):
    """Fires when the landed files have changed and then held still for one look.

    Holding still matters: a file that is being copied in changes from look to look, and ingesting
    half of it would be refused as malformed. After a restart it fires once for what is there;
    ingest then finds that everything is processed and does nothing.

    :param use_case: name of the use case
    :param poll_s: seconds between two looks
    """

    def __init__(self, use_case: str, poll_s: float = POLL_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.use_case = use_case
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell the triggerer how to make this trigger."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"use_case": self.use_case, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each change of the landed files that has settled."""
        reported: dict[str, int] = {}
        before: dict[str, int] = {}
        while True:
            try:
                now = await asyncio.to_thread(self._look)
            except Exception:
                # The landing store may be away for a while; the watcher must outlive that.
                self.log.exception(
                    "Cannot look at the landing area of %s; trying again", self.use_case
                )
                await asyncio.sleep(self.poll_s)
                continue  # what was not seen has not held still
            if now and now == before and now != reported:
                changed = sorted(name for name in now if now[name] != reported.get(name))
                reported = now
                facts = {"changed": changed[:20], "count": len(changed)}
                yield TriggerEvent(facts)  # type: ignore[no-untyped-call]
            before = now
            await asyncio.sleep(self.poll_s)

    def _look(self) -> dict[str, int]:
        """Give the fingerprint of everything that has landed, by pattern and partition."""
        from include.use_cases.loader import get
        from plugins.hooks.lake import LakeHook

        landing, use_case = LakeHook().landing, get(self.use_case)
        patterns = [use_case.ingest.landing]
        patterns += [reference.landing for reference in use_case.ingest.references.values()]
        patterns += [use_case.labels.landing] if use_case.labels else []
        grain = use_case.ingest.partition.grain
        return {
            f"{pattern} {partition}".strip(): fingerprint
            for pattern in patterns
            for partition, fingerprint in landing.partitions(pattern, grain).items()
        }
