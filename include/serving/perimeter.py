"""Who may ask: the host that a request names, its API key, and how often; headers of answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.errors import ConfigError
from include.serving.keys import Key, KeyFile
from include.serving.rejected import Rejected

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
KEYED = ("/openapi.json", "/docs")
"""What needs a key besides scoring: they name the columns of every use case."""
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
"""What the OWASP Secure Headers Project advises for an API (2024)."""
_BURST_S = 1.0
"""A client may save up the requests of so many seconds. Our choice."""

_log = logging.getLogger(__name__)


class Perimeter:
    """Lets requests in, or says why not.

    Parameters
    ----------
    keys : KeyFile
        In force from the first key on. Once they were, a file that is gone lets nobody in.
    hosts : collection of str
        Names that the header Host may have, without a port; `*` for every one. A page of another
        site that a browser was led to (DNS rebinding) names its own.
    keys_needed : bool
        Whether nobody is let in before there is a key.
    clock : callable
        Seconds, for the rates.
    """

    def __init__(
        self,
        keys: KeyFile,
        hosts: Collection[str] = LOOPBACK,
        *,
        keys_needed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._hosts = None if "*" in hosts else frozenset(one.lower() for one in hosts)
        self._needed = keys_needed
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def check_host(self, scope: Scope) -> None:
        """Refuse a request to a name that is not ours.

        Raises
        ------
        Rejected
            400.
        """
        if self._hosts is None:
            return
        named = _header(scope, b"host").lower()
        host = named if named.endswith("]") else named.rpartition(":")[0] or named
        if host not in self._hosts:
            raise Rejected(
                400, "The header Host names none of this server's names (FLYWHEEL_SERVING_HOSTS)."
            )

    def check_key(self, scope: Scope, use_case: str | None) -> None:
        """Refuse a request without a key that may ask this, or one that comes too soon.

        Parameters
        ----------
        scope : Scope
            Of the request.
        use_case : str or None
            Which it is about; None for what every key may see.

        Raises
        ------
        Rejected
            401, 403 or 429; 503 where the file of keys cannot be read.
        """
        if not self._needed and not self._keys.exists():
            return
        self._needed = True
        try:
            key = self._key_of(scope)
        except ConfigError as error:
            _log.error("%s", error)
            raise Rejected(503, "The server cannot read its keys; its log says why.") from error
        if use_case is not None and not key.may_ask(use_case):
            raise Rejected(403, f"This key is not for {use_case}.")
        self._count(key)

    def _key_of(self, scope: Scope) -> Key:
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        key = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Rejected(401, "Send a key of this server: `Authorization: Bearer <key>`.")
        if key.has_expired(datetime.now(UTC)):
            raise Rejected(401, f"Key {key.id} has expired. Ask for a new one.")
        return key

    def _count(self, key: Key) -> None:
        """Take one request off a bucket that fills by `rate` a second (token bucket)."""
        if key.rate is None:
            return
        full, now = max(1.0, key.rate * _BURST_S), self._clock()
        left, at = self._left.get(key.id, (full, now))
        left = min(full, left + (now - at) * key.rate)
        if left < 1:
            self._left[key.id] = (left, now)
            wait_s = (1 - left) / key.rate
            raise Rejected(
                429,
                f"Key {key.id} may ask {key.rate:g} times a second.",
                retry_after_s=max(1, round(wait_s + 0.5)),
            )
        self._left[key.id] = (left - 1, now)


def with_headers(send: Send) -> Send:
    """Add `HEADERS` to an answer; one that it has itself stays."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name for name, _ in message["headers"]}
            more = [one for one in HEADERS if one[0] not in there]
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return sent


def _header(scope: Scope, name: bytes) -> str:
    """Return a header; '' where it is missing or stands there twice."""
    found = [value for each, value in scope["headers"] if each == name]
    return str(found[0].decode("latin-1")) if len(found) == 1 else ""
