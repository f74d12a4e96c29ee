"""The hook asks a real HTTP server which version answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.errors import ServiceUnavailable
from plugins.hooks.serving import ServingHook

ANSWERS = {
    "/flights/version": (200, {"use_case": "flights", "model_version": 12}),
    "/none/version": (200, {"use_case": "none", "model_version": None}),
    "/starting/version": (503, {"detail": "no champion yet"}),
    "/broken/version": (500, {"detail": "the disk is full"}),
    "/moved/version": (302, {}),
}


class Serving(BaseHTTPRequestHandler):
    """Answers as the serving application does, and in ways it should not."""

    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, {"detail": f"no {self.path}"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Serving)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_SERVING", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield address
    server.shutdown()
    server.server_close()


def test_the_version_that_answers_is_text(serving):
    assert ServingHook().url() == serving
    assert ServingHook().served_version("flights") == "12"


@pytest.mark.parametrize("use_case", ["starting", "none"])
def test_none_while_no_version_answers(serving, use_case):
    assert ServingHook().served_version(use_case) is None


@pytest.mark.parametrize(
    ("use_case", "said"),
    [
        ("broken", "HTTP 500: .*the disk is full"),
        ("moved", "HTTP 302"),
        ("new", "HTTP 404: .*no /new"),
    ],
)
def test_any_other_answer_is_told_with_its_words(serving, use_case, said):
    with pytest.raises(ServiceUnavailable, match=f"{serving}/{use_case}/version .*{said}"):
        ServingHook().served_version(use_case)


def test_unreachable_says_where_and_which_connection(monkeypatch):
    with socket.socket() as taken:  # bound, not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(
            ServiceUnavailable,
            match=rf"http://127.0.0.1:{port}/flights/version does not answer \(ConnectError\)"
            r".*Start it, or correct its Airflow connection.*'other'",
        ):
            ServingHook("other").served_version("flights")
