"""wrk, which asks again as soon as it is answered, and h2load, which asks at a given rate.

Both are Debian's: `apt-get install wrk nghttp2-client`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from include.errors import ConfigError

_SCRIPT = Path(__file__).with_name("requests.lua")
_CLIENTS = 256
"""Connections of h2load. One that waits for its answer asks no further: the rate falls short only
where answers take longer than `_CLIENTS` divided by the rate."""


@dataclass(frozen=True)
class Load:
    """What a tool measured.

    Attributes
    ----------
    good_per_s : float
        Answers of status 200 a second.
    refused_per_s : float
        Other answers a second.
    broken : int
        Requests without an answer.
    p50_ms, p99_ms : float
        Latency: with wrk of all answers, with h2load of those of status 200.
    """

    good_per_s: float
    refused_per_s: float
    broken: int
    p50_ms: float
    p99_ms: float


def as_fast_as_answered(
    url: str, bodies: Sequence[bytes], *, connections: int, seconds: int
) -> Load:
    """Let wrk keep so many connections busy, with the bodies in turn."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        command = [_tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), url, "--", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    good = found["requests"] - found["refused"]
    return Load(
        good / found["seconds"],
        found["refused"] / found["seconds"],
        found["broken"],
        found["p50_ms"],
        found["p99_ms"],
    )


def at_rate(url: str, body: bytes, *, per_s: float, seconds: int) -> Load:
    """Let h2load ask so often a second, whether or not answers come."""
    with tempfile.TemporaryDirectory() as folder:
        sent, log = Path(folder) / "body", Path(folder) / "log"
        sent.write_bytes(body)
        command = [_tool("h2load"), "--h1", f"-c{_CLIENTS}", f"-D{seconds}", "-t1"]
        command += [f"--rps={per_s / _CLIENTS:.3f}", "-d", str(sent), f"--log-file={log}"]
        command += ["-H", "Content-Type: application/json", url]
        subprocess.run(command, capture_output=True, text=True, check=True)
        answers = [line.split("\t") for line in log.read_text().splitlines()]
    latencies_ms = [int(took) / 1e3 for _, status, took in answers if status == "200"]
    answered = [status for _, status, _ in answers if status.isdigit()]
    return Load(
        len(latencies_ms) / seconds,
        (len(answered) - len(latencies_ms)) / seconds,
        len(answers) - len(answered),
        median(latencies_ms) if latencies_ms else float("nan"),
        quantiles(latencies_ms, n=100)[98] if len(latencies_ms) > 1 else float("nan"),
    )


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            f"{name} is needed, and is not installed. Run `apt-get install wrk nghttp2-client`."
        )
    return found
