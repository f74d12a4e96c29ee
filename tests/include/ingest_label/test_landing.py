from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path

import pytest

from include.errors import FileUnavailable
from include.ingest_label import folder
from include.ingest_label.bucket import Bucket
from include.ingest_label.landing import Landing
from include.ingest_label.listing import LandedFile, StillChanging

PATTERN = "flights/{partition}/*.csv"


def land(root: Path, path: str, text: str = "count\n1\n", at_ns: int = 0) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, ns=(at_ns, at_ns))


def test_partitions_are_those_whose_files_match(tmp_path: Path) -> None:
    for path in (
        "2013-01/a.csv",
        "2013-02/b.csv",
        "2013-02/c.parquet",
        "2013-03/.hidden.csv",
        "2013-04/x/a.csv",
    ):
        land(tmp_path, f"flights/{path}")
    land(tmp_path, "others/2013-05/a.csv")
    landing = Landing(str(tmp_path))
    assert sorted(landing.partitions(PATTERN)) == ["2013-01", "2013-02"]
    assert landing.files(PATTERN, "2013-02") == [f"{tmp_path}/flights/2013-02/b.csv"]


@pytest.mark.parametrize(
    ("pattern", "path", "key"),
    [
        ("a/dt={partition}/*.csv", "a/dt=2013-01/x.csv", "2013-01"),
        ("a/{partition}.csv", "a/2013-01.csv", "2013-01"),
        ("a/*/{partition}-*.csv", "a/us/2013-01-late.csv", "2013-01"),
        ("planes/*.csv", "planes/planes.csv", ""),
    ],
)
def test_a_pattern_may_put_the_partition_anywhere(
    tmp_path: Path, pattern: str, path: str, key: str
) -> None:
    land(tmp_path, path)
    assert list(Landing(str(tmp_path)).partitions(pattern)) == [key]


def test_a_misnamed_folder_is_told_when_asked_and_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    land(tmp_path, "flights/2013-01/a.csv")
    land(tmp_path, "flights/2013-13/a.csv")
    landing = Landing(str(tmp_path))
    with caplog.at_level(logging.DEBUG):
        assert list(landing.partitions(PATTERN)) == ["2013-01"]
    assert caplog.text == ""  # a look twice a second must not fill the log
    assert landing.ignored(PATTERN) == [
        f"{tmp_path}/flights/2013-13: not taken for 'flights/{{partition}}/*.csv': '2013-13' is "
        "not a month like '2013-06'. Rename it."
    ]


def test_nothing_landed_is_no_error(tmp_path: Path) -> None:
    assert Landing(str(tmp_path / "not yet")).partitions(PATTERN) == {}


def test_fingerprint_changes_with_what_landed_and_only_then(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path))
    seen = []
    for change in (
        lambda: land(tmp_path, "flights/2013-01/a.csv"),
        lambda: land(tmp_path, "flights/2013-01/a.csv", at_ns=1),
        lambda: land(tmp_path, "flights/2013-01/a.csv", "count\n12\n", at_ns=1),
        lambda: land(tmp_path, "flights/2013-01/b.csv"),
        lambda: (tmp_path / "flights/2013-01/b.csv").rename(tmp_path / "flights/2013-01/c.csv"),
    ):
        change()
        fingerprint = landing.partitions(PATTERN)["2013-01"]
        assert fingerprint == landing.partitions(PATTERN)["2013-01"]
        assert 0 <= fingerprint < 2**63
        seen.append(fingerprint)
    assert len(set(seen)) == 5
    land(tmp_path, "flights/2013-02/a.csv")
    assert landing.partitions(PATTERN)["2013-01"] == seen[-1]


def test_what_is_seen_does_not_depend_on_the_root(tmp_path: Path) -> None:
    land(tmp_path, "one/flights/2013-01/a.csv")
    before = Landing(str(tmp_path / "one")).partitions(PATTERN)
    (tmp_path / "one").rename(tmp_path / "two")  # keeps inode and times
    assert Landing(str(tmp_path / "two")).partitions(PATTERN) == before


def one_file(root: Path) -> tuple[Landing, LandedFile]:
    landing = Landing(str(root))
    (file,) = landing.list(PATTERN, "month", "2013-01").files["2013-01"]
    return landing, file


def test_a_file_is_digested_and_read_as_it_was_listed(tmp_path: Path) -> None:
    content = "count\n" + "1\n" * 3_000_000  # several pieces
    land(tmp_path, "flights/2013-01/a.csv", content)
    landing, file = one_file(tmp_path)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    assert landing.digest(file) == sha256
    assert landing.read(file, sha256) == content.encode()


def test_the_order_is_that_of_whole_paths(tmp_path: Path) -> None:
    for path in ("a/us/1.csv", "a/us-late/1.csv", "a/us/0.csv"):
        land(tmp_path, path)
    assert Landing(str(tmp_path)).files("a/*/*.csv", "") == [
        f"{tmp_path}/{path}" for path in ("a/us-late/1.csv", "a/us/0.csv", "a/us/1.csv")
    ]


@pytest.mark.parametrize("how", ["written", "grown", "replaced", "removed"])
def test_a_file_that_changes_after_it_was_listed_is_not_read(tmp_path: Path, how: str) -> None:
    path = tmp_path / "flights/2013-01/a.csv"
    land(tmp_path, "flights/2013-01/a.csv", at_ns=1)
    landing, file = one_file(tmp_path)
    sha256 = landing.digest(file)
    time.sleep(0.05)  # a tick of the file system's clock
    if how == "replaced":
        land(tmp_path, "flights/2013-01/.draft", at_ns=1)
        (tmp_path / "flights/2013-01/.draft").rename(path)
    elif how == "removed":
        path.unlink()
    else:
        path.write_text("count\n2\n" if how == "written" else "count\n1\n2\n")
        os.utime(path, ns=(1, 1))
    for read in (lambda: landing.digest(file), lambda: landing.read(file, sha256)):
        with pytest.raises(FileUnavailable, match=r"a.csv: (changed after|cannot be read)"):
            read()


def test_a_file_that_grows_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, "flights/2013-01/a.csv")
    landing, file = one_file(tmp_path)
    real = os.read

    def read(opened: int, size: int) -> bytes:
        piece = real(opened, size)
        time.sleep(0.02)
        land(tmp_path, "flights/2013-01/a.csv", "count\n1\n2\n")
        return piece

    monkeypatch.setattr(folder.os, "read", read)
    with pytest.raises(StillChanging, match="changed after it was listed"):
        landing.digest(file)


def test_content_that_is_not_the_one_that_was_digested_is_refused(tmp_path: Path) -> None:
    land(tmp_path, "flights/2013-01/a.csv")
    landing, file = one_file(tmp_path)
    with pytest.raises(StillChanging, match="changed after it was listed"):
        landing.read(file, "0" * 64)


def test_a_bucket_is_a_root_like_a_folder() -> None:
    landing = Landing(
        "s3://bucket/landing/",
        {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_REGION": "eu-west-1",
            "aws_allow_http": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        },
    )
    store = landing._store
    assert isinstance(store, Bucket)
    assert store.client.meta.region_name == "eu-west-1"
    assert store.client.meta.endpoint_url == "http://127.0.0.1:1"
