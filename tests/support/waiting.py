"""Wait for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Return the condition's first true answer, or its last one when the time is over."""
    end = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer
