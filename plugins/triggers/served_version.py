"""Waits until the serving application answers with a model version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import ServiceUnavailable
from plugins.hooks.serving import served_version_at

POLL_S = 1.0


class ServedVersionTrigger(BaseTrigger):
    """Fires when a model version answers.

    An application that is away, or restarting, is asked again: the time-out of the task ends
    the wait.

    :param url: address of the serving application
    :param use_case: name of the use case
    :param version: model version to wait for
    :param poll_s: seconds between two questions
    """

    def __init__(self, url: str, use_case: str, version: str, poll_s: float = POLL_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.url = url
        self.use_case = use_case
        self.version = version
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell the triggerer how to make this trigger."""
        names = ("url", "use_case", "version", "poll_s")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until the version answers."""
        while True:
            try:
                served = await asyncio.to_thread(served_version_at, self.url, self.use_case)
            except ServiceUnavailable as error:
                self.log.warning("%s", error)
                served = None
            if served == self.version:
                yield TriggerEvent(served)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_s)
