"""The health check of a container: well is exit code 0, anything else says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.cluster import healthy
from scripts.cluster.environment import NEEDS
from scripts.stack.settings import REPO

WELL = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy"},
    "dag_processor": {"status": "healthy"},
    "triggerer": {"status": "healthy"},
}


@pytest.fixture
def airflow(monkeypatch):
    """Answer as the api-server does; a test changes the report."""
    report = json.loads(json.dumps(WELL))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(report).encode() if "monitor" in self.path else b"OK"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    own = {"api-server": f"{url}/api/v2/monitor/health", "mlflow": f"{url}/health"}
    monkeypatch.setattr(
        healthy, "_OWN", own | {each: f"{url}/health" for each in ("serving", "flower")}
    )
    yield report, {"FLYWHEEL_AIRFLOW_URL": url}
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("role", sorted(NEEDS.keys() - {"init", "worker", "trusted"}))
def test_what_is_well_passes(airflow, role):
    assert healthy.main(role, airflow[1]) is None


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("api-server", "metadatabase"),
        ("scheduler", "scheduler"),
        ("dag-processor", "dag_processor"),
        ("triggerer", "triggerer"),
    ],
)
def test_what_is_unhealthy_fails_with_words(airflow, role, part):
    report, env = airflow
    report[part]["status"] = "unhealthy"

    with pytest.raises(SystemExit, match=r"its database is unhealthy|sends no heartbeat"):
        healthy.main(role, env)


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("mlflow", "Connection refused"),
        ("worker", "Connection refused"),
        ("wokrer", "there is no role 'wokrer'"),
    ],
)
def test_what_does_not_answer_fails(role, told):
    """Nothing listens at these addresses."""
    env = {"FLYWHEEL_REDIS_PASSWORD": "x", "FLYWHEEL_REDIS_HOST": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", f"""
import os
from scripts.cluster import healthy
healthy._OWN["mlflow"] = "http://127.0.0.1:9/health"
healthy.main({role!r}, os.environ)
"""],
        cwd=REPO, env={**env, "FLYWHEEL_REDIS_PORT": "9"}, capture_output=True, timeout=120,
    )  # fmt: skip

    assert done.returncode != 0
    assert told in done.stderr.decode()
