"""One writing request at a time, where Airflow's database is SQLite."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow import settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_READS = {"GET", "HEAD", "OPTIONS"}


class OneWriter:
    """Let writing requests through one after the other; reading ones go on beside them.

    SQLite has one writer. Airflow writes its action log with a blocking commit on the event loop,
    while another request, which holds SQLite's lock in a thread, needs that event loop to commit:
    both wait until SQLite gives up, and the caller gets "database is locked" as error 500. Outside
    SQLite nothing is held back.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._sqlite = str(settings.SQL_ALCHEMY_CONN).startswith("sqlite")
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self._sqlite or scope["type"] != "http" or scope["method"] in _READS:
            await self._app(scope, receive, send)
            return
        # The whole body comes first: a client that stops in the middle of it holds nobody up.
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())

        async def replay() -> Any:
            return messages.pop(0) if messages else await receive()

        async with self._turn:
            await self._app(scope, replay, send)
