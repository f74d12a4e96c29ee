"""The route `/<use case>/invocations`, as plain ASGI.

A framework's request and response cost more than reading and checking a row.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from fastapi import FastAPI

from include.serving.admission import Admission
from include.serving.answering import Desk, Question, Reply
from include.serving.metrics import Metrics
from include.serving.models import Models
from include.serving.perimeter import KEYED, Perimeter, with_headers
from include.serving.protocol import MAX_BODY_BYTES
from include.serving.rejected import Rejected

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ROUTE = "invocations"
BODY_TIMEOUT_S = 30.0
# A body that is too large is read on (and forgotten) up to here: a client that is cut off while it
# sends sees a broken connection instead of the 413.
_FORGIVEN_BYTES = 10 * MAX_BODY_BYTES

_log = logging.getLogger(__name__)


class _Gone(Exception):  # noqa: N818  nobody is left to read an answer
    """The client has closed the connection."""


class Invocations:
    """Answers scoring requests of known use cases.

    Parameters
    ----------
    models : Models
        Which use cases there are.
    metrics : Metrics
        Counts requests that are refused.
    perimeter : Perimeter
        Says who may ask.
    """

    def __init__(self, models: Models, metrics: Metrics, perimeter: Perimeter) -> None:
        self._models = models
        self._metrics = metrics
        self._perimeter = perimeter
        self.admission = Admission()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._answered(scope, receive)
        except _Gone:
            return
        except Rejected as error:
            reply = Reply(error.status, error.body(), error.headers)
        except Exception:  # nothing stands between this and the connection
            _log.exception("A request failed")
            reply = Reply(500, Rejected(500, "The server failed; its log says why.").body(), {})
        await _send(reply, send)

    async def _answered(self, scope: Scope, receive: Receive) -> Reply:
        started_s = time.perf_counter()
        use_case = use_case_of(scope)
        known = self._models.knows(use_case)
        body = _Body(self.admission)
        try:
            self._perimeter.check_key(scope, use_case)
            check_known(use_case, self._models)
            content = await body.read(receive)
            desk: Desk = scope["app"].state.desk
            question = Question(use_case, _content_type(scope), content, started_s)
            with self.admission.admitted(use_case, body.size):
                return await desk.reply_to(question)
        except Rejected as error:  # it was not let in
            if known:
                self._metrics.answered(use_case, error.status, error_code=error.error_code)
            raise
        finally:
            body.forget()


class ScoringApp(FastAPI):
    """FastAPI whose scoring route comes first: before middleware, and before other routes.

    Middleware and routing took half of the time of a request.
    """

    scoring: Invocations
    perimeter: Perimeter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        send = with_headers(send)
        try:
            self.perimeter.check_host(scope)
            if scope["path"] in KEYED:
                self.perimeter.check_key(scope, None)
        except Rejected as error:
            await _send(Reply(error.status, error.body(), error.headers), send)
            return
        if scope["method"] == "POST" and use_case_of(scope):
            scope["app"] = self
            await self.scoring(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Body:
    """The body of one request, bounded in size and time."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._chunks: list[bytes] = []
        self.size = 0

    async def read(self, receive: Receive) -> bytes | Rejected:
        """Read it, or say why it was not read."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while await self._take(receive):
                    pass
        except TimeoutError:
            return Rejected(408, f"The body must arrive within {BODY_TIMEOUT_S:g} s.")
        if self.size > MAX_BODY_BYTES:
            return Rejected(
                413, f"The body may have {MAX_BODY_BYTES} bytes at most. Send fewer rows."
            )
        return b"".join(self._chunks)

    async def _take(self, receive: Receive) -> bool:
        """Take a part; returns whether more is to come."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part: bytes = message.get("body", b"")
        self.size += len(part)
        if self.size <= MAX_BODY_BYTES:
            self._admission.hold(len(part))
            self._chunks.append(part)
        return bool(message.get("more_body")) and self.size <= _FORGIVEN_BYTES

    def forget(self) -> None:
        """Give its memory back."""
        self._admission.held_bytes -= sum(map(len, self._chunks))
        self._chunks.clear()


def check_known(use_case: str, models: Models) -> None:
    """Refuse a name that no use case has.

    Raises
    ------
    Rejected
        404.
    """
    if not models.knows(use_case):
        raise Rejected(404, f"There is no such use case. There are {models.names}.")


def use_case_of(scope: Scope) -> str:
    """Return the use case in the path `/<use case>/invocations`; '' for another path."""
    name, _, rest = scope["path"].lstrip("/").partition("/")
    return str(name) if rest == ROUTE else ""


def _content_type(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return str(value.decode("latin-1"))
    return ""


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
