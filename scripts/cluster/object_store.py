"""SeaweedFS as a plain process: the store of `docker-compose.yaml`, without its container."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from scripts.stack.settings import HOST, program

_INNER = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
    "filer.port.grpc", "s3.port.grpc",
)  # fmt: skip


def command(port: int, data: Path) -> tuple[str, ...]:
    """Return the command that serves S3.

    Its components reach each other by ports that are free at this moment: nothing else asks them,
    and data that was written with other ports is found again. They have no login, unlike S3.

    Parameters
    ----------
    port
        Of S3, on loopback.
    data
        Folder that keeps all objects.
    """
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in _INNER]
        for listener in listeners:
            listener.bind((HOST, 0))
        inner = [listener.getsockname()[1] for listener in listeners]
    return (
        program("weed"), "server", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}",
        "-s3", f"-s3.port={port}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={number}" for name, number in zip(_INNER, inner, strict=True)),
        # Small volumes, because each bucket takes seven of them; as many as fit.
        "-volume.max=0", "-master.volumeSizeLimitMB=1024", "-master.telemetry=false",
        # Nothing waits for a component that ends, because all of them end.
        "-volume.preStopSeconds=0",
    )  # fmt: skip
