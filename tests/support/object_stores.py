"""moto's server, for tests that need a bucket or another service of AWS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.cluster.settings import ClusterSettings
from scripts.stack.parts import HEALTHY, answers_at
from scripts.stack.settings import REPO
from tests.support.waiting import until


@contextmanager
def object_store() -> Iterator[str]:
    """Run a server that speaks S3 and STS; give its address."""
    port = ClusterSettings.free_ports()["FLYWHEEL_S3_PORT"]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.moto_server", port],
        cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert until(lambda: answers_at(f"{url}/moto-api/") == HEALTHY, within_s=60)
        yield url
    finally:
        process.kill()
        process.wait()
