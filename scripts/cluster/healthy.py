"""`python -m scripts.cluster.healthy ROLE`: a container's health check; exit code 0 when healthy.

It imports the standard library only, because it runs every few seconds; a worker is asked through
the broker by its own name.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Mapping

_COMPONENTS = {
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
_OWN = {
    "api-server": "http://127.0.0.1:8080/api/v2/monitor/health",
    "mlflow": "http://127.0.0.1:5000/health",
    "serving": "http://127.0.0.1:8000/health",
    "flower": "http://127.0.0.1:5555/healthcheck",
}
_TIMEOUT_S = 8


def main(role: str, env: Mapping[str, str]) -> None:
    """Check once; exit with a message when something is wrong."""
    if role in _OWN:
        answer = _get(_OWN[role])
        if role == "api-server" and answer["metadatabase"]["status"] != "healthy":
            sys.exit("its database is unhealthy")
    elif role in _COMPONENTS:
        report = _get(f"{env['FLYWHEEL_AIRFLOW_URL']}/api/v2/monitor/health")[_COMPONENTS[role]]
        if report["status"] != "healthy":
            sys.exit(f"{role} sends no heartbeat")
    elif role in ("worker", "trusted"):
        _ask_worker(f"celery@{role}-{socket.gethostname()}", env)
    else:
        sys.exit(f"there is no role {role!r}")


def _get(url: str) -> dict[str, dict[str, str]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_TIMEOUT_S) as answer:
        body = answer.read()
    return json.loads(body) if body[:1] == b"{" else {}


def _ask_worker(name: str, env: Mapping[str, str]) -> None:
    from celery import Celery

    login = f":{env['FLYWHEEL_REDIS_PASSWORD']}@{env['FLYWHEEL_REDIS_HOST']}"
    app = Celery(broker=f"redis://{login}:{env.get('FLYWHEEL_REDIS_PORT', '6379')}/0")
    if not app.control.ping(destination=[name], timeout=_TIMEOUT_S):
        sys.exit(f"{name} does not answer")


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
