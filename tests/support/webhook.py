"""A server that takes what is posted to it, as a chat does; it can refuse, and hang."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Sink(HTTPServer):
    """Takes posts; answers with `status` after `wait` was set, or at once."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Any]] = []
        self.status = 200
        self.go = threading.Event()
        self.go.set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.path, json.loads(body)))
        self.server.go.wait(5)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@contextmanager
def webhook() -> Iterator[Sink]:
    """Run it in a thread."""
    server = Sink()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        thread.join()
        server.server_close()
