"""An object store that speaks enough of S3 for Delta, and fails when told to.

In a process of its own: some calls of `deltalake` wait for the store with Python's lock held.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

BUCKET = "bucket"
CUT, SILENCE = "cut", "silence"
"""Faults that are no answer: half of the body, then an end; no answer within the time-out."""
_FAULT = "_fault"
_REPOSITORY = Path(__file__).parents[2]


class ObjectStore:
    """How a test reaches the store; `options` let Delta reach it, impatiently."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.options = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
            "max_retries": "1",
            "retry_timeout": "2s",
            "timeout": "1s",
            "backoff_config.init_backoff": "1ms",
            "backoff_config.max_backoff": "5ms",
        }

    def fail(self, how: tuple[int, str] | str | None, ending: str = "", method: str = "") -> None:
        """Answer so from now on: a status and S3's code, `CUT`, `SILENCE`, or None for well.

        Parameters
        ----------
        how : tuple of int and str, or str, or None
            The answer.
        ending : str
            Only requests for keys that end so; a listing has none.
        method : str
            Only these, such as `PUT`.
        """
        self.put(_FAULT, json.dumps([how, ending, method]).encode())

    def put(self, key: str, data: bytes) -> None:
        """Store an object, whatever is told to fail."""
        self._do("PUT", key, data)

    def get(self, key: str) -> bytes:
        """Return an object."""
        return self._do("GET", key)

    def listed(self) -> list[str]:
        """List all objects."""
        return list(json.loads(self._do("GET", _FAULT)))

    def _do(self, method: str, key: str, data: bytes | None = None) -> bytes:
        url = f"{self.url}/{BUCKET}/{quote(key)}"
        with urlopen(Request(url, data, {"X-Own": "1"}, method=method)) as answer:  # noqa: S310
            return bytes(answer.read())


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Serve a store on a free port of this machine."""
    command = [sys.executable, "-m", "tests.support.object_store"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY)
    try:
        assert process.stdout is not None
        yield ObjectStore(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    objects: dict[str, bytes]
    fault: list[Any]
    lock: threading.Lock
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "list-type" in query:
            self._answer(query.get("prefix", ""), lambda: self._listing(query))
        else:
            self._answer(self._key(), self._object)

    do_HEAD = do_GET  # noqa: N815  the name that http.server looks for

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(self._key(), lambda: self._put(body))

    def do_DELETE(self) -> None:
        self._answer(self._key(), self._delete)

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _answer(self, key: str, work: Callable[[], tuple[int, bytes, dict[str, str]]]) -> None:
        how, ending, method = self.fault
        if "X-Own" in self.headers or not key.endswith(ending) or method not in ("", self.command):
            how = None
        if how == SILENCE:
            time.sleep(1.5)
            self.close_connection = True
        elif isinstance(how, list):
            self._send(*_error(*how))
        else:
            with self.lock:
                status, body, headers = work()
            self._send(status, body, headers, cut=how == CUT)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if cut:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    def _object(self) -> tuple[int, bytes, dict[str, str]]:
        if self._key() == _FAULT:
            return 200, json.dumps(sorted(self.objects)).encode(), {}
        data = self.objects.get(self._key())
        if data is None:
            return _error(404, "NoSuchKey")
        headers = {"ETag": _etag(data), "Last-Modified": formatdate(0, usegmt=True)}
        if self.command == "HEAD":
            return 200, b"", headers | {"Content-Length": str(len(data))}
        asked = self.headers.get("Range")
        if asked is None:
            return 200, data, headers
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(data) - int(last), 0)
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        span = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        return 206, data[start:end], headers | span

    def _put(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self._key() == _FAULT:
            self.fault[:] = json.loads(body)
            return 200, b"", {}
        if self.headers.get("If-None-Match") == "*" and self._key() in self.objects:
            return _error(412, "PreconditionFailed")
        self.objects[self._key()] = body
        return 200, b"", {"ETag": _etag(body)}

    def _delete(self) -> tuple[int, bytes, dict[str, str]]:
        self.objects.pop(self._key(), None)
        return 204, b"", {}

    def _listing(self, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        prefix, after = query.get("prefix", ""), query.get("start-after", "")
        found, folders = [], set()
        for key, data in sorted(self.objects.items()):
            if not key.startswith(prefix) or key <= after:
                continue
            rest = key[len(prefix) :]
            if "delimiter" in query and "/" in rest:
                folders.add(prefix + rest.partition("/")[0] + "/")
            else:
                found.append(
                    f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>"
                    f"{escape(_etag(data))}</ETag>"
                    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                )
        below = "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>"
            for one in sorted(folders)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(found)}{below}"
        return 200, f"{body}</ListBucketResult>".encode(), {"Content-Type": "application/xml"}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _error(status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
    body = f"<Error><Code>{code}</Code><Message>told to fail</Message></Error>"
    return status, body.encode(), {"Content-Type": "application/xml"}


def _serve() -> None:
    state = {"objects": {}, "fault": [None, "", ""], "lock": threading.Lock()}
    handler = type("Handler", (_Handler,), state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve()
