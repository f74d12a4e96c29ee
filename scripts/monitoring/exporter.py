"""`python -m scripts.monitoring.exporter`: Airflow sends its metrics here, Prometheus fetches them.

It takes StatsD's lines by UDP and answers `/metrics`; the variables are those of
`ExporterSettings`.
"""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from prometheus_client import CollectorRegistry, start_http_server

from include.errors import ConfigError
from include.settings import EnvironmentSettings, Port
from scripts.monitoring.series import Series
from scripts.monitoring.statsd_lines import read

_DATAGRAM_BYTES = 65_536
_WAITING_BYTES = 4 * 2**20
"""What the system keeps while a scrape is answered; a scheduler sends some kB a second."""


class ExporterSettings(EnvironmentSettings):
    """Where the exporter listens.

    Attributes
    ----------
    listen_host : str
        `FLYWHEEL_LISTEN_HOST`: for both; loopback, unless a container's network is closed.
    statsd_port : int
        `FLYWHEEL_STATSD_PORT`: UDP, for Airflow.
    metrics_port : int
        `FLYWHEEL_METRICS_PORT`: HTTP, for Prometheus.
    """

    listen_host: str = "127.0.0.1"
    statsd_port: Port = 9125
    metrics_port: Port = 9102


def main() -> NoReturn:
    """Listen until SIGTERM."""
    settings = ExporterSettings.from_env()
    series, registry = Series(), CollectorRegistry()
    registry.register(series)
    try:
        inlet = _listening(settings)
        start_http_server(settings.metrics_port, addr=settings.listen_host, registry=registry)
    except OSError as error:
        raise ConfigError(
            f"The exporter cannot listen on {settings.listen_host}, UDP {settings.statsd_port} and "
            f"TCP {settings.metrics_port}: {error}. Set FLYWHEEL_STATSD_PORT and "
            "FLYWHEEL_METRICS_PORT to free ports."
        ) from error
    signal.signal(signal.SIGTERM, _end)
    print("The exporter listens.", flush=True)
    while True:
        for text in inlet.recv(_DATAGRAM_BYTES).decode(errors="replace").splitlines():
            series.add(read(text))


def _listening(settings: ExporterSettings) -> socket.socket:
    inlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inlet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_BYTES)
    inlet.bind((settings.listen_host, settings.statsd_port))
    return inlet


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        raise SystemExit(str(error)) from None  # a person reads it: no traceback
