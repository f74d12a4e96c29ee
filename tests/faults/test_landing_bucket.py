"""The landing as a bucket: what changes shows by its ETag, and strange keys hide no other."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from include.errors import DataContractError, FileUnavailable, ServiceUnavailable
from include.ingest_label import listing
from include.ingest_label.landing import Landing
from include.ingest_label.listing import StillChanging

PATTERN = "flights/{partition}/*.csv"
PAGE = 3


class S3(BaseHTTPRequestHandler):
    """Just enough of S3: lists in pages of three; objects that are read, copied and deleted.

    All have the same time of modification. What `broken` names is answered with 503.
    """

    objects: dict[str, bytes]
    broken: ClassVar[set[str]]
    protocol_version = "HTTP/1.1"

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket/")

    def handle_expect_100(self) -> bool:
        return True

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed and self.command in self.broken:
            self.answer(503, b"")
            return False
        return parsed

    def do_PUT(self) -> None:
        """Copy an object."""
        source = unquote(self.headers["x-amz-copy-source"]).removeprefix("bucket/")
        self.objects[self.key] = self.objects[source]
        tag = f"<ETag>&quot;{etag(self.objects[source])}&quot;</ETag>"
        self.answer(200, f"<CopyObjectResult>{tag}</CopyObjectResult>".encode())

    def do_DELETE(self) -> None:
        self.objects.pop(self.key, None)
        self.answer(204, b"")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if query.get("list-type") == "2":
            self.answer(200, self.page(query).encode())
        else:
            content = self.objects.get(self.key)
            if content is None:
                self.answer(404, b"")
                return
            if self.headers.get("If-Match", f'"{etag(content)}"') != f'"{etag(content)}"':
                self.answer(412, b"")
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
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def broken() -> set[str]:
    """Name the HTTP methods that the store fails at."""
    return set()


@pytest.fixture
def bucket(broken: set[str]) -> Iterator[tuple[dict[str, bytes], Landing]]:
    """Serve a bucket with two partitions under the prefix `land`."""
    objects = {
        "land/flights/2013-01/b.csv": b"count\n2\n",
        "land/flights/2013-01/a.csv": b"count\n1\n",
        "land/flights/2013-02/a.csv": b"count\n3\n",
        "land/planes/planes.csv": b"count\n9\n",
        "elsewhere/flights/2013-03/a.csv": b"count\n4\n",
    }
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Served", (S3,), {"objects": objects, "broken": broken})
    )
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
    objects, landing = bucket
    found = landing.partitions(PATTERN)
    assert list(found) == ["2013-01", "2013-02"]
    assert all(0 <= fingerprint < 2**63 for fingerprint in found.values())
    assert landing.files(PATTERN, "2013-01") == [
        "bucket/land/flights/2013-01/a.csv",
        "bucket/land/flights/2013-01/b.csv",
    ]
    contents = []
    for file in landing.list(PATTERN, "month", "2013-01").files["2013-01"]:
        assert landing.digest(file) == hashlib.sha256(objects[f"land/{file.name}"]).hexdigest()
        contents.append(landing.read(file, landing.digest(file)))
    assert contents == [b"count\n1\n", b"count\n2\n"]
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


def first_of_january(landing: Landing):
    return landing.list(PATTERN, "month", "2013-01").files["2013-01"][0]


def test_an_object_that_was_written_again_since_it_was_listed_is_not_read(bucket) -> None:
    objects, landing = bucket
    file = first_of_january(landing)
    objects["land/flights/2013-01/a.csv"] = b"count\n7\n"
    with pytest.raises(StillChanging, match=r"bucket/land/flights/2013-01/a.csv: changed after"):
        landing.digest(file)


def test_an_object_that_is_gone_or_a_store_that_fails_is_an_outage(bucket, broken) -> None:
    objects, landing = bucket
    file = first_of_january(landing)
    broken.add("GET")
    with pytest.raises(FileUnavailable, match=r"a.csv: cannot be read \(.*503"):
        landing.digest(file)
    with pytest.raises(ServiceUnavailable, match=r"cannot be listed \(.*503"):
        landing.partitions(PATTERN)
    broken.clear()
    assert landing.digest(file) == hashlib.sha256(b"count\n1\n").hexdigest()
    del objects["land/flights/2013-01/a.csv"]
    with pytest.raises(FileUnavailable, match=r"a.csv: cannot be read \(.*404"):
        landing.digest(file)


def test_objects_are_set_aside_beside_those_of_the_same_name(bucket) -> None:
    objects, landing = bucket
    (first, second) = landing.files(PATTERN, "2013-01")
    landing.set_aside([first, second])
    objects["land/flights/2013-01/a.csv"] = b"count\n5\n"
    landing.set_aside([first, second])  # the second is gone already
    assert {key: held for key, held in objects.items() if "2013-01" in key} == {
        "land/.retracted/flights/2013-01/a.csv": b"count\n1\n",
        "land/.retracted/flights/2013-01/a.csv.1": b"count\n5\n",
        "land/.retracted/flights/2013-01/b.csv": b"count\n2\n",
    }
    assert list(landing.partitions(PATTERN)) == ["2013-02"]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_an_object_is_never_lost_while_it_is_set_aside(bucket, broken, method: str) -> None:
    objects, landing = bucket
    paths = landing.files(PATTERN, "2013-02")
    broken.add(method)
    with pytest.raises(ServiceUnavailable, match=r"2013-02/a.csv: cannot be moved to .*503"):
        landing.set_aside(paths)
    assert objects["land/flights/2013-02/a.csv"] == b"count\n3\n"
    broken.clear()
    landing.set_aside(paths)
    assert "land/flights/2013-02/a.csv" not in objects
    aside = [held for key, held in objects.items() if ".retracted/flights/2013-02" in key]
    assert set(aside) == {b"count\n3\n"}
