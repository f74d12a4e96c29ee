"""The landing as a bucket: what changes shows by its ETag, and strange keys hide no other."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from include.errors import DataContractError, ServiceUnavailable
from include.ingest_label import listing
from include.ingest_label.landing import Landing

PATTERN = "flights/{partition}/*.csv"
COUNT = {"count": "int64"}
PAGE = 3


class S3(BaseHTTPRequestHandler):
    """Just enough of S3: ListObjectsV2 in pages of three, and objects, all of the same time."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if query.get("list-type") == "2":
            self.answer(200, self.page(query).encode())
        else:
            content = self.objects.get(unquote(url.path).removeprefix("/bucket/"))
            if content is None:
                self.answer(404, b"")
                return
            first, _, last = (
                self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            )
            part = content[int(first) : int(last) + 1 if last else None]
            self.answer(206 if "Range" in self.headers else 200, part, content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def page(self, query: dict[str, str]) -> str:
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")))
        keys = [key for key in keys if key > query.get("continuation-token", "")]
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<LastModified>2013-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{etag(self.objects[key])}&quot;</ETag></Contents>"
            for key in keys[:PAGE]
        )
        more = len(keys) > PAGE
        token = ""
        if more:
            token = f"<NextContinuationToken>{escape(keys[PAGE - 1])}</NextContinuationToken>"
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}"
            "</ListBucketResult>"
        )

    def answer(self, status: int, body: bytes, whole: bytes | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        if whole is not None:
            self.send_header("ETag", f'"{etag(whole)}"')
            self.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(whole)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def bucket() -> Iterator[tuple[dict[str, bytes], Landing]]:
    """Serve a bucket with two partitions under the prefix `land`."""
    objects = {
        "land/flights/2013-01/b.csv": b"count\n2\n",
        "land/flights/2013-01/a.csv": b"count\n1\n",
        "land/flights/2013-02/a.csv": b"count\n3\n",
        "land/planes/planes.csv": b"count\n9\n",
        "elsewhere/flights/2013-03/a.csv": b"count\n4\n",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (S3,), {"objects": objects}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield objects, at(server.server_port)
    server.shutdown()
    server.server_close()


def at(port: int) -> Landing:
    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "eu-west-1",
    }
    return Landing("s3://bucket/land/", options)


def test_a_bucket_is_listed_and_read_like_a_folder(bucket) -> None:
    _, landing = bucket
    found = landing.partitions(PATTERN)
    assert list(found) == ["2013-01", "2013-02"]
    assert all(0 <= fingerprint < 2**63 for fingerprint in found.values())
    assert landing.files(PATTERN, "2013-01") == [
        "bucket/land/flights/2013-01/a.csv",
        "bucket/land/flights/2013-01/b.csv",
    ]
    table, fingerprint = landing.read(PATTERN, "2013-01", COUNT)
    assert table["count"].to_pylist() == [1, 2]
    assert fingerprint == found["2013-01"]
    assert list(landing.partitions("planes/*.csv")) == [""]


def test_a_changed_row_of_the_same_size_and_time_changes_the_etag(bucket) -> None:
    objects, landing = bucket
    before = landing.partitions(PATTERN)
    objects["land/flights/2013-01/a.csv"] = b"count\n7\n"
    after = landing.partitions(PATTERN)
    assert after["2013-01"] != before["2013-01"]
    assert after["2013-02"] == before["2013-02"]


def test_keys_that_are_not_taken_are_told_and_hide_no_other(bucket) -> None:
    objects, landing = bucket
    for key in ("2013-01/F.CSV", "2013-7/a.csv", "2013-04", "2013-01/x.csv/a.csv", "2013-01/"):
        objects[f"land/flights/{key}"] = b""
    assert list(landing.partitions(PATTERN)) == ["2013-01", "2013-02"]
    assert landing.ignored(PATTERN) == [
        f"bucket/land/flights/{path}: not taken for 'flights/{{partition}}/*.csv': {why}"
        for path, why in (
            ("2013-01/F.CSV", "the name does not fit '*.csv'. Rename it, or move it."),
            ("2013-01/x.csv", "it must be a file, not a folder. Move its files up."),
            ("2013-04", "it must be a folder, not a file or a link. Move it."),
            ("2013-7", "'2013-7' is not a month like '2013-06'. Rename it."),
        )
    ]


def test_too_many_objects_are_told(bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 2)
    with pytest.raises(DataContractError, match="at most 2 files and folders under a pattern"):
        bucket[1].partitions(PATTERN)


def test_a_bucket_that_does_not_answer_is_an_outage() -> None:
    with pytest.raises(ServiceUnavailable, match="s3://bucket/land/: the landing cannot be listed"):
        at(1).partitions(PATTERN)
