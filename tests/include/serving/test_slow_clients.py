"""Clients that send slowly, over real sockets: they keep nobody else out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
import uvicorn

from include.lake.table import Lake
from include.serving import http, invocations
from include.serving.app import create_app
from include.serving.http import TimedProtocol
from include.settings import Settings

BODY = {"instances": [{"x": 0.5, "z": -0.5, "colour": "red"}]}
SLOW = 130  # more than the 128 requests that were once let in at a time


@pytest.fixture
def port(settings: Settings, registry: Any, lake: Lake) -> Iterator[int]:
    app = create_app(settings, registry, lake, names=lambda: ["tiny"])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=TimedProtocol, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield listening.getsockname()[1]
        server.should_exit = server.force_exit = True
        thread.join(20)


def connected(port: int, sent: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sent)
    return made


def begun(length: int) -> bytes:
    head = "POST /tiny/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {length}\r\n\r\n{{".encode()


def test_slow_bodies_keep_nobody_out(port: int) -> None:
    url = f"http://127.0.0.1:{port}/tiny/invocations"
    with ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(closing(connected(port, begun(1_000))))
        time.sleep(0.3)
        started_s = time.monotonic()
        answers = [httpx.post(url, json=BODY, timeout=30).status_code for _ in range(20)]
        took_s = time.monotonic() - started_s
    assert answers == [200] * 20
    assert took_s < 10


def test_a_slow_body_is_answered_with_a_time_out(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocations, "BODY_TIMEOUT_S", 0.2)
    with closing(connected(port, begun(1_000))) as slow:
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"POST /tiny/invocations HTTP/1.1\r\nHost: loc"])
def test_headers_that_do_not_come_end_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http, "HEADER_TIMEOUT_S", 0.3)
    with closing(connected(port, sent)) as slow:
        started_s = time.monotonic()
        assert slow.recv(100) == b""
        assert 0.2 < time.monotonic() - started_s < 5


def test_a_connection_is_kept_and_a_long_answer_is_not_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEADER_TIMEOUT_S", 0.3)
    with httpx.Client(timeout=10) as client:
        for _ in range(3):
            reply = client.post(f"http://127.0.0.1:{port}/tiny/invocations", json=BODY)
            assert reply.status_code == 200
            time.sleep(0.4)
