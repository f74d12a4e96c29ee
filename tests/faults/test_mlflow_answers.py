"""Whatever stands where MLflow should be: it never means that there is no champion.

A real client speaks to a small HTTP server that gives one answer to everything.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.errors import ServiceUnavailable, SettingsError
from include.registry.client import Registry

USER, PASSWORD = "pipeline", "s3cret-of-the-pipeline"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Run a server that treats every request alike; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            answer(self)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join(10)


def says(status: int, body: str, kind: str = "text/html") -> Answer:
    """Answer with a status and a body."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        content = body.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def says_json(status: int, body: object) -> Answer:
    """Answer with JSON."""
    return says(status, json.dumps(body), "application/json")


def of_mlflow(status: int, code: str, message: str) -> Answer:
    """Answer as MLflow does."""
    return says_json(status, {"error_code": code, "message": message})


def resets(request: BaseHTTPRequestHandler) -> None:
    """Close with a reset instead of an answer."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def breaks_off(request: BaseHTTPRequestHandler) -> None:
    """Send half a body and close."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"registered_model": {"name": "tiny"')
    request.wfile.flush()
    resets(request)


def hangs(request: BaseHTTPRequestHandler) -> None:
    """Take longer than a client waits."""
    time.sleep(3)


def repeats_the_request(request: BaseHTTPRequestHandler) -> None:
    """Answer as a careless gateway's error page does, with the request's headers in it."""
    says(502, f"<html>Bad gateway<pre>{request.headers}</pre></html>")(request)


PAGE = "<html><h1>502 Bad Gateway</h1>nginx</html>"
ANSWERS = {
    "401 of MLflow": (says(401, "You are not authenticated."), SettingsError),
    "401 without words": (says(401, ""), SettingsError),
    "403 of MLflow": (says(403, "Permission denied"), SettingsError),
    "403 as JSON": (of_mlflow(403, "PERMISSION_DENIED", "no"), SettingsError),
    "404 page": (says(404, "<html>Not Found</html>"), SettingsError),
    "404 of another server": (says_json(404, {"detail": "Not Found"}), ServiceUnavailable),
    "404 of another path": (of_mlflow(404, "ENDPOINT_NOT_FOUND", "no such path"), SettingsError),
    "500 of MLflow": (of_mlflow(500, "INTERNAL_ERROR", "database is locked"), ServiceUnavailable),
    "500 page": (says(500, "<html>oops</html>"), ServiceUnavailable),
    "502 page": (says(502, PAGE), ServiceUnavailable),
    "503 page": (says(503, "starting"), ServiceUnavailable),
    "503 of MLflow": (of_mlflow(503, "TEMPORARILY_UNAVAILABLE", "later"), ServiceUnavailable),
    "504 page": (says(504, "timeout"), ServiceUnavailable),
    "429 of MLflow": (of_mlflow(429, "REQUEST_LIMIT_EXCEEDED", "slow"), ServiceUnavailable),
    "200 page, such as a login": (says(200, "<html>Log in</html>"), ServiceUnavailable),
    "200 and not JSON": (says(200, "{'registered_model'", "application/json"), ServiceUnavailable),
    "200 and nothing": (says(200, ""), ServiceUnavailable),
    "200 and an empty object": (says_json(200, {}), ServiceUnavailable),
    "200 of another server": (says_json(200, {"status": "ok"}), ServiceUnavailable),
    "reset": (resets, ServiceUnavailable),
    "half an answer": (breaks_off, ServiceUnavailable),
    "502 page with the request": (repeats_the_request, ServiceUnavailable),
}
QUESTIONS = {
    "version_of": lambda registry: registry.version_of("tiny", "champion"),
    "aliases": lambda registry: registry.aliases("tiny"),
    "find_run": lambda registry: registry.find_run("tiny", "train 1"),
    "trainings": lambda registry: registry.trainings("tiny"),
}


@pytest.fixture
def registry_at(monkeypatch) -> Callable[[str], Registry]:
    """Give a registry with a login, and little patience."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # is set by the registry, and put back after the test
    return lambda address: Registry(address, login=(USER, PASSWORD))


def _refused(registry: Registry, question: str, kind: type[Exception]) -> str:
    with pytest.raises(kind) as raised:
        QUESTIONS[question](registry)
    assert raised.type is kind
    return str(raised.value)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_is_taken_for_no_champion_or_no_run(registry_at, name, question):
    answer, kind = ANSWERS[name]
    with answering(answer) as address:
        message = _refused(registry_at(address), question, kind)

    assert message.startswith(f"MLflow at {address}")
    assert PASSWORD not in message
    assert BASIC not in message
    assert "<html>" not in message, "a page is no message"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_server_that_hangs_is_given_up_on_in_the_time_that_is_set(registry_at, question):
    with answering(hangs) as address:
        started = time.monotonic()
        message = _refused(registry_at(address), question, ServiceUnavailable)
        # One second a try, and one more try.
        assert time.monotonic() - started < 10
    assert message.startswith(f"MLflow at {address} must answer")


def test_a_refused_login_says_which_settings_to_correct(registry_at):
    with answering(says(401, "You are not authenticated.")) as address:
        message = _refused(registry_at(address), "version_of", SettingsError)
    assert message == (
        f"MLflow at {address}: must allow get_registered_model, got UNAUTHENTICATED. Correct the "
        "login or the address of the Airflow connection flywheel_mlflow, or "
        "MLFLOW_TRACKING_USERNAME, _PASSWORD and _URI."
    )


def test_a_login_is_sent_and_nowhere_else(registry_at):
    """The login that the messages above must not repeat was really in the request."""
    seen: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["Authorization"])
        of_mlflow(404, "RESOURCE_DOES_NOT_EXIST", "no such model")(request)

    with answering(answer) as address:
        assert registry_at(address).aliases("tiny") == {}
    assert set(seen) == {f"Basic {BASIC}"}
    assert "@" not in address


def test_only_mlflow_itself_can_say_that_there_is_no_model(registry_at):
    """The questions are not refused whatever comes."""
    missing = of_mlflow(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=tiny not found")
    with answering(missing) as address:
        registry = registry_at(address)
        assert registry.version_of("tiny", "champion") is None
        assert registry.aliases("tiny") == {}


def test_a_model_without_a_champion_and_one_with_it(registry_at):
    model = {"name": "tiny", "aliases": [{"alias": "challenger", "version": "2"}]}
    with answering(says_json(200, {"registered_model": model})) as address:
        assert registry_at(address).version_of("tiny", "champion") is None
    model["aliases"].append({"alias": "champion", "version": "1"})
    with answering(says_json(200, {"registered_model": model})) as address:
        registry = registry_at(address)
        assert registry.version_of("tiny", "champion") == "1"
        assert registry.aliases("tiny") == {"challenger": "2", "champion": "1"}


def test_the_answer_about_another_model_is_not_believed(registry_at):
    model = {"name": "other", "aliases": [{"alias": "champion", "version": "9"}]}
    with answering(says_json(200, {"registered_model": model})) as address:
        message = _refused(registry_at(address), "aliases", ServiceUnavailable)
    assert "an answer about 'tiny' must name it, got 'other'" in message


def test_a_server_that_recovers_is_asked_again_by_the_client_itself(registry_at):
    """One retry: a restart of MLflow's only worker goes unnoticed."""
    calls: list[int] = []

    def once_502(request: BaseHTTPRequestHandler) -> None:
        calls.append(1)
        model = {"name": "tiny", "aliases": [{"alias": "champion", "version": "1"}]}
        good = says_json(200, {"registered_model": model})
        (says(502, PAGE) if len(calls) == 1 else good)(request)

    with answering(once_502) as address:
        assert registry_at(address).version_of("tiny", "champion") == "1"
    assert len(calls) == 2
