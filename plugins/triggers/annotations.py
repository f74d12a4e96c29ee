"""Waits until annotators have answered a round in Label Studio, or its time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from plugins.hooks.label_studio import LabelStudioHook

POLL_S = 10.0
"""Our choice: a look costs Label Studio two requests, some 50 ms each."""
LOG_EVERY_S = 60.0


class AnnotationsTrigger(BaseTrigger):
    """Fires when each task of a round was answered, or when the round closes.

    The event says why: `answered`, `closed`, `gone` (the project, or all tasks of the round), or
    `refused` (the token). While Label Studio does not answer it is asked again: the end of the
    round ends the wait.

    :param conn_id: Airflow connection of Label Studio
    :param title: of the project
    :param round_key: of the round's tasks
    :param annotators: answers that are wanted for each task
    :param closes_at: when the round closes, ISO 8601 with a zone
    :param poll_s: seconds between two looks; by default `POLL_S`
    """

    def __init__(
        self,
        conn_id: str,
        title: str,
        round_key: str,
        annotators: int,
        closes_at: str,
        poll_s: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.title = title
        self.round_key = round_key
        self.annotators = annotators
        self.closes_at = closes_at
        self.poll_s = POLL_S if poll_s is None else poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell the triggerer how to make this trigger."""
        names = ("conn_id", "title", "round_key", "annotators", "closes_at", "poll_s")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell."""
        closes_at, logged_s = datetime.fromisoformat(self.closes_at), -LOG_EVERY_S
        while True:
            why = told = ""
            try:
                why = await asyncio.to_thread(self._look)
            except ServiceUnavailable as error:
                if time.monotonic() - logged_s >= LOG_EVERY_S:
                    self.log.warning("%s", error)
                    logged_s = time.monotonic()
            except DataContractError as error:
                why, told = "gone", str(error)
            except ConfigError as error:
                why, told = "refused", str(error)
            if not why and datetime.now(UTC) >= closes_at:
                why = "closed"
            if why:
                yield TriggerEvent({"why": why, "told": told})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_s)

    def _look(self) -> str:
        hook = LabelStudioHook(self.conn_id)  # anew: its connection may have been corrected
        project = hook.existing_project(self.title)
        tasks, answered = hook.progress(project, self.round_key, self.annotators)
        if not tasks:
            raise hook.lost(f"there is no task of the round {self.round_key}")
        return "answered" if answered else ""
