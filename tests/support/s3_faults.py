"""A proxy before an S3 server that lets a share of the requests fail, as stores and networks do.

In a process of its own: the tests that wait for the cluster must not slow it down.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

BUSY, RESET, LATE = "503", "reset", "late"
"""Refused with 503 SlowDown, unread; the connection reset, unread; the work is done, and the
connection reset instead of the answer (writes alone)."""
WRITES = ("PUT", "POST", "DELETE")
_CONTROL = "/_faults"
_REPOSITORY = Path(__file__).parents[2]
_OF_ONE_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class S3Faults:
    """How a test tells the proxy what fails; the share of each fault by its name."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def failing(self, **shares: float) -> Iterator[None]:
        """Let these shares of the requests fail within the block."""
        self._tell(shares)
        try:
            yield
        finally:
            self._tell({})

    def caused(self) -> dict[str, int]:
        """Return how often each fault was caused so far."""
        with urlopen(self.url + _CONTROL) as answer:  # noqa: S310 - on loopback
            return dict(json.loads(answer.read()))

    def _tell(self, shares: dict[str, float]) -> None:
        body = json.dumps(shares).encode()
        with urlopen(Request(self.url + _CONTROL, body, method="PUT")):  # noqa: S310
            pass


@contextmanager
def s3_faults(port: int, store_port: int) -> Iterator[S3Faults]:
    """Run the proxy; the S3 server behind it may start later."""
    command = [sys.executable, "-m", "tests.support.s3_faults", str(port), str(store_port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the proxy did not start"
        yield S3Faults(port)
    finally:
        process.kill()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store_port: int
    shares: dict[str, float]
    caused: Counter[str]
    chance: random.Random
    lock: threading.Lock

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == _CONTROL:
            self._control(body)
            return
        fault = self._drawn()
        if fault == BUSY:
            self._answer(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
        elif fault == RESET:
            self._reset()
        else:
            status, headers, content = self._forwarded(body)
            if fault == LATE:
                self._reset()
            else:
                self._answer(status, headers, content)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - names http.server looks for

    def _drawn(self) -> str | None:
        with self.lock:
            number = self.chance.random()
            for fault, share in self.shares.items():
                number -= share
                if number < 0:
                    if fault == LATE and self.command not in WRITES:
                        return None
                    self.caused[fault] += 1
                    return fault
        return None

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        store = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_ONE_HOP}
            if body or self.command in WRITES:
                headers["Content-Length"] = str(len(body))
            store.request(self.command, self.path, body or None, headers)
            answer = store.getresponse()
            found = {k: v for k, v in answer.getheaders() if k.lower() not in _OF_ONE_HOP}
            content = answer.read()
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            found["Content-Length"] = length or str(len(content))
            return answer.status, found, content
        except OSError:  # the server behind is not up
            return 502, {}, b""
        finally:
            store.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _reset(self) -> None:
        # Closed without lingering, a socket sends RST and not the orderly end of a stream.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _control(self, body: bytes) -> None:
        with self.lock:
            if self.command == "PUT":
                self.shares.clear()
                self.shares.update(json.loads(body))
            self._answer(200, {}, json.dumps(self.caused).encode())

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError):  # a reset socket is written to no more
            self.close_connection = True

    def finish(self) -> None:
        if not self.wfile.closed:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(port: int, store_port: int) -> None:
    """Serve until killed."""
    _Handler.store_port = store_port
    _Handler.shares, _Handler.caused = {}, Counter()
    _Handler.chance, _Handler.lock = random.Random(9), threading.Lock()  # noqa: S311 - test data
    server = _Server(("127.0.0.1", port), _Handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
