"""Which requests are let in: those that will be answered soon.

What is bounded is time and memory, not a number of requests. A request counts once its body has
come, so that clients that send slowly keep nobody out.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

from include.serving.rejected import Rejected

LONGEST_WAIT_S = {False: 1.0, True: 10.0}
"""For small bodies and for large ones. While the oldest open request of a use case is older,
further ones are refused: they would wait at least as long."""
LARGE_BODY_BYTES = 50_000
"""A larger body holds hundreds of rows."""
MOST_HELD_BYTES = 256_000_000
"""Of all bodies in memory together, whole or in part."""
RETRY_AFTER_S = 1

TOO_LATE = "Too many requests: the answer would take too long. Ask again in a second."
TOO_MUCH = "Too many large requests at once. Ask again in a second."


class Admission:
    """Knows the open requests, and how much of bodies is in memory. Lives in one event loop."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[tuple[str, bool], dict[int, float]] = {}
        self.held_bytes = 0

    @contextmanager
    def admitted(self, use_case: str, size: int) -> Iterator[None]:
        """Let a request in whose body has come, until it is answered.

        Raises
        ------
        Rejected
            503: the requests before it have waited too long already.
        """
        large = size > LARGE_BODY_BYTES
        others, now = self._open.setdefault((use_case, large), {}), time.monotonic()
        oldest = next(iter(others.values()), now)
        if now - oldest > LONGEST_WAIT_S[large]:
            raise Rejected(503, TOO_LATE, retry_after_s=RETRY_AFTER_S)
        number = next(self._numbers)
        others[number] = now
        try:
            yield
        finally:
            del others[number]

    def hold(self, size: int) -> None:
        """Count bytes that a body needs; `held_bytes` is to be reduced once it is answered.

        Raises
        ------
        Rejected
            503: there is no room for them.
        """
        if self.held_bytes + size > MOST_HELD_BYTES:
            raise Rejected(503, TOO_MUCH, retry_after_s=RETRY_AFTER_S)
        self.held_bytes += size
