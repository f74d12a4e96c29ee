"""What strange names, links, pipes and late writes in the landing folder do to Flywheel."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

import pytest

from include.errors import DataContractError, ServiceUnavailable
from include.ingest_label import checks, folder, listing
from include.ingest_label.inventory import Inventory
from include.ingest_label.landing import Landing
from include.ingest_label.listing import LandedFile
from include.ingest_label.patterns import WHOLE, Pattern

PATTERN = "flights/{partition}/*.csv"
SECRET = "root:secret\n"


def land(root: Path, path: str, text: str = "count\n1\n") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(root: Path, key: str = "2013-01") -> list[bytes]:
    """Read the files of a partition."""
    landing = Landing(str(root))
    files = landing.list(PATTERN, "month", key).files[key]
    return [landing.read(file, landing.digest(file)) for file in files]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a landing folder in which January landed as it should."""
    root = tmp_path / "landing"
    land(root, "flights/2013-01/a.csv")
    return root


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Make a file of this machine that nobody landed."""
    return land(tmp_path, "etc/2013-02/secret.csv", SECRET)


def reasons(root: Path, pattern: str = PATTERN) -> dict[str, str]:
    """Give why something is not taken, by its path below the landing."""
    said = {}
    for sentence in Landing(str(root)).ignored(pattern):
        path, _, why = sentence.partition(f": not taken for {pattern!r}: ")
        said[path.removeprefix(f"{root}/")] = why
    return said


# --- names


def test_a_name_that_is_not_utf8_hides_no_other(root: Path) -> None:
    flights = os.fsencode(root / "flights")
    for name in (b"2013-01/\xff.csv", b"2013-\xe9"):
        Path(os.fsdecode(flights + b"/" + name)).mkdir()
    (root / "flights/2013-01/b\n.csv").write_text(SECRET)
    landing = Landing(str(root))
    assert list(landing.partitions(PATTERN)) == ["2013-01"]
    assert read(root) == [b"count\n1\n"]
    why = "the name must be UTF-8 without control characters. Rename it."
    assert reasons(root) == {
        r"flights/2013-01/\xff.csv": why,
        r"flights/2013-01/b\x0a.csv": why,
        r"flights/2013-\xe9": why,
    }


def test_what_is_not_taken_is_told_with_its_reason(root: Path) -> None:
    for path in ("2013-01/F.CSV", "2013-01/g.csv.gz", "2013-7/a.csv", "2013-02.csv", "2013-03/x/a"):
        land(root, f"flights/{path}")
    (root / "flights/2013-04/x.csv").mkdir(parents=True)
    assert reasons(root) == {
        "flights/2013-01/F.CSV": "the name does not fit '*.csv'. Rename it, or move it.",
        "flights/2013-01/g.csv.gz": "the name does not fit '*.csv'. Rename it, or move it.",
        "flights/2013-02.csv": "'2013-02.csv' is not a month like '2013-06'. Rename it.",
        "flights/2013-03/x": "the name does not fit '*.csv'. Rename it, or move it.",
        "flights/2013-04/x.csv": "it must be a file, not a folder. Move its files up.",
        "flights/2013-7": "'2013-7' is not a month like '2013-06'. Rename it.",
    }
    assert list(Landing(str(root)).partitions(PATTERN)) == ["2013-01"]


def test_drafts_and_neighbours_are_not_worth_telling(root: Path) -> None:
    land(root, "flights/2013-01/.a.csv.7.tmp")
    land(root, "flights/_SUCCESS")
    land(root, "weather/January/w.txt")
    assert reasons(root) == {}


def test_nothing_is_logged_at_each_look(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    land(root, "flights/2013-7/f.csv")
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            Landing(str(root)).partitions(PATTERN)
    assert caplog.records == []


def test_an_error_about_what_did_not_land_says_what_was_not_taken(root: Path) -> None:
    land(root, "flights/2013-02/F.CSV")
    with pytest.raises(DataContractError) as caught:
        Inventory("raw", PATTERN, {"2013-01": []}, {}, Landing(str(root)).ignored(PATTERN)).of(
            "2013-02", str(root)
        )
    message = str(caught.value)
    assert "nothing landed for 'flights/{partition}/*.csv' in partition '2013-02'" in message
    assert "landed are ['2013-01']" in message
    assert f"{root}/flights/2013-02/F.CSV: not taken" in message


@pytest.mark.parametrize("key", ["", "*", "2013-1", "..", "../../etc/2013-02", "2013-02/.."])
def test_a_partition_is_a_key_and_never_a_path(root: Path, key: str) -> None:
    landing = Landing(str(root))
    assert landing.files(PATTERN, key) == []
    assert read(root, key) == []
    assert landing.files("flights/2013-01/*.csv", "2013-01") == []  # it has no partitions


# --- links, pipes, devices


def test_a_link_to_a_file_of_the_machine_is_not_read(root: Path, secret: Path) -> None:
    (root / "flights/2013-01/link.csv").symlink_to(secret)
    (root / "flights/2013-02").symlink_to(secret.parent)
    landing = Landing(str(root))
    assert landing.files(PATTERN, "2013-01") == [f"{root}/flights/2013-01/a.csv"]
    assert list(landing.partitions(PATTERN)) == ["2013-01"]
    assert read(root, "2013-02") == []
    assert reasons(root) == {
        "flights/2013-01/link.csv": (
            "it is a link, and links are not followed. Land the file itself."
        ),
        "flights/2013-02": "it must be a folder, not a file or a link. Move it.",
    }


def test_the_folder_that_a_pattern_names_is_not_followed_either(root: Path, secret: Path) -> None:
    (root / "weather").symlink_to(secret.parents[1])
    pattern = "weather/{partition}/*.csv"
    assert Landing(str(root)).partitions(pattern) == {}
    assert reasons(root, pattern) == {
        "weather": "it must be a folder, not a file or a link. Move it."
    }


def test_the_landing_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").symlink_to(root)
    assert read(tmp_path / "mounted") == [b"count\n1\n"]


def test_links_in_a_circle_end(root: Path) -> None:
    for name in ("a", "b", "c"):
        (root / "flights/2013-01" / name).symlink_to("..")
        (root / "flights" / name).symlink_to(".")
    began = time.perf_counter()
    assert Landing(str(root)).partitions("*/*/*/*/*/*/*/*/*/*/{partition}/*.csv") == {}
    assert list(Landing(str(root)).partitions(PATTERN)) == ["2013-01"]
    assert time.perf_counter() - began < 5.0


def test_pipes_and_sockets_are_told_and_never_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "flights/2013-01/pipe.csv")
    monkeypatch.chdir(root / "flights/2013-01")  # the name of a socket has 108 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")
    why = "it must be a file, not a pipe, socket or device. Remove it."
    assert reasons(root) == {
        "flights/2013-01/pipe.csv": why,
        "flights/2013-01/socket.csv": why,
    }
    assert read(root) == [b"count\n1\n"]


@pytest.mark.parametrize("replaced_by", ["pipe", "link", "folder", "folder above", "nothing"])
def test_what_was_exchanged_after_the_look_is_not_read(
    root: Path, secret: Path, replaced_by: str
) -> None:
    path = root / "flights/2013-01/a.csv"
    store = folder.Folder(str(root))
    (listed,) = store.list(Pattern("flights/2013-01/*.csv", "month")).files[WHOLE]
    assert b"".join(store.read(listed)) == b"count\n1\n"
    path.unlink()
    if replaced_by == "pipe":
        os.mkfifo(path)
    elif replaced_by == "link":
        path.symlink_to(secret)
    elif replaced_by == "folder":
        path.mkdir()
    elif replaced_by == "folder above":
        path.parent.rmdir()
        (secret.parent / "a.csv").write_text(SECRET)
        path.parent.symlink_to(secret.parent)
    with pytest.raises(ServiceUnavailable, match=r"a.csv: cannot be read \("):
        list(store.read(listed))


def test_what_is_set_aside_is_found_by_no_pattern(root: Path) -> None:
    landing = Landing(str(root))
    (path,) = landing.files(PATTERN, "2013-01")
    for _ in range(2):  # the second time it is gone already
        landing.set_aside([path])
        assert (root / ".retracted/flights/2013-01/a.csv").read_text() == "count\n1\n"
        assert landing.partitions(PATTERN) == {}
    for pattern in ("*/*/*/*.csv", "{partition}/*/*/*.csv"):
        assert landing.partitions(pattern) == {}
        assert not any(".retracted" in sentence for sentence in landing.ignored(pattern))


def test_a_second_file_of_the_same_name_is_set_aside_beside_the_first(root: Path) -> None:
    landing = Landing(str(root))
    for count in (1, 2, 3):
        (root / "flights/2013-01/a.csv").write_text(f"count\n{count}\n")
        landing.set_aside(landing.files(PATTERN, "2013-01"))
    kept = sorted((root / ".retracted/flights/2013-01").iterdir())
    assert [file.name for file in kept] == ["a.csv", "a.csv.1", "a.csv.2"]
    assert [file.read_text() for file in kept] == ["count\n1\n", "count\n2\n", "count\n3\n"]


def test_what_is_set_aside_does_not_leave_the_landing(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / ".retracted").symlink_to(outside)
    landing = Landing(str(root))
    with pytest.raises(ServiceUnavailable, match=r"a.csv: cannot be moved to .*/.retracted \("):
        landing.set_aside(landing.files(PATTERN, "2013-01"))
    assert list(outside.iterdir()) == []
    assert (root / "flights/2013-01/a.csv").exists()


# --- limits and trouble


def test_a_folder_with_too_many_files_hides_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        land(root, f"flights/2013-02/{number}.csv")
    for number in range(3):
        land(root, f"flights/2013-03/{number}.csv")
    monkeypatch.setattr(folder, "MAX_FOLDER_ENTRIES", 3)
    assert list(Landing(str(root)).partitions(PATTERN)) == ["2013-01", "2013-03"]
    assert reasons(root) == {"flights/2013-02": "it has more than 3 entries."}


def test_too_many_files_under_a_pattern_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(root, "flights/2013-02/b.csv")
    monkeypatch.setattr(listing, "MAX_ENTRIES", 4)  # two folders, two files
    assert len(Landing(str(root)).partitions(PATTERN)) == 2
    land(root, "flights/2013-02/c.csv")
    with pytest.raises(DataContractError, match="at most 4 files and folders under a pattern"):
        Landing(str(root)).partitions(PATTERN)


def test_many_ignored_names_are_counted(root: Path) -> None:
    for number in range(60):
        land(root, f"flights/2013-01/{number:02}.CSV")
    said = Landing(str(root)).ignored(PATTERN)
    assert len(said) == 51
    assert said[49].startswith(f"{root}/flights/2013-01/49.CSV: not taken")
    assert said[50] == "10 more are not taken for 'flights/{partition}/*.csv'."


def test_a_file_that_is_too_large_is_told_and_not_read(root: Path) -> None:
    path = root / "flights/2013-01/b.csv"
    with path.open("wb") as file:
        file.truncate(checks.MAX_FILE_BYTES + 1)  # without a block on the disk
    began = time.perf_counter()
    with pytest.raises(DataContractError, match=r"b.csv: must have at most 2,147,483,648 bytes"):
        read(root)
    assert time.perf_counter() - began < 5.0


def test_a_folder_that_may_not_be_listed_hides_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(root, "flights/2013-02/b.csv")
    opened = os.open

    def refusing(path: str, *arguments: object, **more: object) -> int:
        if path == "2013-02":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(folder.os, "open", refusing)
    assert list(Landing(str(root)).partitions(PATTERN)) == ["2013-01"]
    assert reasons(root) == {"flights/2013-02": "it cannot be listed (Permission denied)."}


def test_a_landing_that_is_no_folder_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="the landing cannot be listed"):
        Landing(str(land(tmp_path, "landing"))).partitions(PATTERN)


# --- late writes


def fingerprint(root: Path) -> int:
    return Landing(str(root)).partitions(PATTERN)["2013-01"]


def test_a_changed_row_of_the_same_size_and_time_is_seen(root: Path) -> None:
    path = root / "flights/2013-01/a.csv"
    held, before = path.stat(), fingerprint(root)
    time.sleep(0.05)
    path.write_text("count\n2\n")
    os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (held.st_size, held.st_mtime_ns)
    assert fingerprint(root) != before


def test_a_file_that_another_replaces_is_seen(root: Path) -> None:
    path = root / "flights/2013-01/a.csv"
    held, before = path.stat(), fingerprint(root)
    draft = land(root, "flights/2013-01/.a.csv.tmp", "count\n2\n")
    os.utime(draft, ns=(held.st_atime_ns, held.st_mtime_ns))
    draft.replace(path)
    assert fingerprint(root) != before


@pytest.mark.parametrize(
    ("age_s", "stamp_ns", "certain"),
    [
        (0.0, 123_456_789, False),
        (0.03, 123_456_789, False),
        (0.05, 123_456_789, True),
        (0.0, 0, False),  # a file system that keeps whole seconds
        (2.0, 0, False),
        (2.1, 0, True),
        (-60.0, 123_456_789, False),  # written by a machine whose clock is ahead
    ],
)
def test_what_is_read_within_a_tick_of_its_change_is_not_certain(
    age_s: float, stamp_ns: int, certain: bool
) -> None:
    changed_ns = 1_700_000_000_000_000_000 + stamp_ns
    file = LandedFile("/land/new", "new", 1, "", 0, changed_ns)
    assert file.is_certain(changed_ns + round(age_s * 1e9)) is certain
