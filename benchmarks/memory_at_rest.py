"""The memory of the whole stack when nothing runs: what it costs to keep a machine for it."""

from __future__ import annotations

import time

from benchmarks.figures import Figure
from scripts.stack.stack import Stack

LIMIT_GIB = 2.5
REST_S = 30


def measure(stack: Stack, of: str) -> list[Figure]:
    """Let the stack rest, then add up its processes; what they share counts once (PSS)."""
    time.sleep(REST_S)
    against = (
        "a laptop's 8 GiB; api-server, scheduler, dag-processor, triggerer, log-server, MLflow, "
        f"serving, {of}"
    )
    return [
        Figure("memory_at_rest", stack.memory_bytes() / 2**30, "GiB", against, LIMIT_GIB),
    ]
