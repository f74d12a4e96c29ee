"""The table `landed`: which content has landed for each partition, since when, under which names.

Content is known by its sha256. A name, a time or a root is not content: what is moved, touched,
copied or uploaded again with the same bytes stays what it was.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from include.ingest_label.listing import LandedFile
from include.lake.frames import arrow_schema
from include.lake.records import digest_63
from include.lake.table import LakeTable, Writer

LANDED = "landed"
"""Stage of the lake; its partitions are the tables that files are taken into."""

_COLUMNS = {
    "key": "string",
    "path": "string",
    "sha256": "string",
    "size": "int64",
    "identity": "string",
    "modified_at": "timestamp",
    "first_seen": "timestamp",
    "gone_at": "timestamp",
    "retracted_at": "timestamp",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 2**52  # in the year 2112
_NUMBERS = re.compile(r"([0-9]+)")

UNCERTAIN = " ?"
_ID_DIGITS = 16  # 64 bits: two files of one partition share them once in 10**13 partitions


@dataclass(frozen=True)
class Entry:
    """One file of one partition.

    Attributes
    ----------
    key : str
        The partition; `WHOLE` for what lands without partitions.
    path : str
        Below the root of the landing.
    sha256 : str
        Of its content, in hexadecimal digits.
    size : int
        Bytes.
    identity : str
        The file is not read again while its size, times and inode, or its ETag, are these. It ends
        in `UNCERTAIN`, and matches none, where the file was read so early that a later change could
        leave them as they are.
    modified_at, first_seen : datetime
        When this content was written, and when a look first saw it here. They do not change when
        the file is moved, touched or copied: corrections are ordered by them.
    gone_at : datetime or None
        Since when a look has missed the file, whose rows are kept.
    retracted_at : datetime or None
        When the partition was retracted with this file in it.
    """

    key: str
    path: str
    sha256: str
    size: int
    identity: str
    modified_at: datetime
    first_seen: datetime
    gone_at: datetime | None = None
    retracted_at: datetime | None = None

    @property
    def file_id(self) -> str:
        """The beginning of the sha256, which rows name their file by."""
        return self.sha256[:_ID_DIGITS]


@dataclass(frozen=True)
class Content:
    """One landed content of a partition: `paths` are its names, `file` is None where all are gone.

    Attributes
    ----------
    landed : tuple
        What contents are ordered by: the time of the first look at it, then that of its
        modification, then its name, in which `part-10` comes after `part-2`.
    """

    sha256: str
    paths: tuple[str, ...]
    landed: tuple[datetime, datetime, list[tuple[int, str]]]
    file: LandedFile | None

    @property
    def file_id(self) -> str:
        """The beginning of the sha256, which rows name their file by."""
        return self.sha256[:_ID_DIGITS]


Digest = Callable[[LandedFile, Entry | None], tuple[str, str]]
"""Gives the sha256 of a file, which may have an entry, and the identity to remember it under."""


def updated(
    entries: Sequence[Entry],
    files: Sequence[LandedFile],
    key: str,
    *,
    digest: Digest,
    retracted_at: datetime | None,
    now: datetime,
) -> list[Entry]:
    """Bring the entries of one partition up to date with what is there now.

    Parameters
    ----------
    entries : sequence of Entry
        Of this partition, as of the last look.
    files : sequence of LandedFile
        Of this partition, as they are listed now.
    key : str
        The partition.
    digest : callable
        Reads a file. It is asked only where the identity is not known.
    retracted_at : datetime or None
        When the partition was last retracted: what was seen before, and is not there, was taken
        back; what is there has landed anew.
    now : datetime
        The time of this look.

    Returns
    -------
    list of Entry
        Sorted by path. A file that is gone, and whose content is here under another name, is left
        out; so is the former content of a file that was written again.

    Raises
    ------
    FileUnavailable
        As `digest` does.
    """
    before = {entry.path: entry for entry in entries}
    standing = [entry for entry in entries if not _taken_back(entry, retracted_at)]
    origin = {entry.sha256: entry for entry in sorted(standing, key=_landed, reverse=True)}
    after = {}
    for file in files:
        known = before.get(file.name)
        if known is not None and known.identity == file.identity:
            sha256, identity = known.sha256, known.identity
        else:
            sha256, identity = digest(file, known)
        entry = Entry(key, file.name, sha256, file.size, identity, _moment(file.modified_ns), now)
        if (same := origin.get(sha256)) is not None:
            entry = replace(entry, first_seen=same.first_seen, modified_at=same.modified_at)
        after[file.name] = entry
    here = {entry.sha256 for entry in after.values()}
    for entry in entries:
        if entry.path in after or entry.sha256 in here:
            continue
        gone_at = entry.gone_at or now
        taken_back = retracted_at if _taken_back(entry, retracted_at) else None
        after[entry.path] = replace(entry, gone_at=gone_at, retracted_at=taken_back)
    return [after[path] for path in sorted(after)]


def contents_of(entries: Sequence[Entry], files: Sequence[LandedFile]) -> list[Content]:
    """Put the contents of one partition into the order in which they landed; each stands once."""
    there = {file.name: file for file in files}
    named: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=_landed):
        if entry.retracted_at is None:
            named[entry.sha256].append(entry)
    return [
        Content(
            sha256,
            tuple(entry.path for entry in held),
            _landed(held[0]),
            next((there[entry.path] for entry in held if entry.path in there), None),
        )
        for sha256, held in named.items()
    ]


def fingerprint(contents: Sequence[Content]) -> int:
    """Return a number below 2**63 for the contents of a partition and their order."""
    text = "\n".join(content.sha256 for content in contents)
    return digest_63(text.encode())


def read_entries(table: LakeTable, stage: str) -> list[Entry]:
    """Read what has landed for a table of the lake."""
    if stage not in table.partitions():
        return []
    return [Entry(**row) for row in table.read([stage], list(_COLUMNS)).to_pylist()]


def write_entries(table: LakeTable, stage: str, entries: Sequence[Entry], writer: Writer) -> None:
    """Replace what has landed for a table of the lake."""
    schema = arrow_schema(_COLUMNS)
    if not entries:
        table.clear(stage, writer)
        return
    rows = pa.Table.from_pylist([asdict(entry) for entry in entries], schema=schema)
    table.publish(rows, partition=stage, schema=schema, writer=writer)


def _moment(since_1970_ns: int) -> datetime:
    # A file system keeps whatever time a program sets, also one beyond Python's dates.
    return _EPOCH + timedelta(microseconds=min(max(since_1970_ns, 0) // 1000, _LATEST_US))


def _taken_back(entry: Entry, retracted_at: datetime | None) -> bool:
    if entry.retracted_at is not None:
        return True
    return retracted_at is not None and entry.first_seen <= retracted_at


def _landed(entry: Entry) -> tuple[datetime, datetime, list[tuple[int, str]]]:
    return entry.first_seen, entry.modified_at, natural(entry.path)


def natural(path: str) -> list[tuple[int, str]]:
    """Order of names in which `part-2` comes before `part-10`.

    Examples
    --------
    >>> sorted(["part-10", "part-2"], key=natural)
    ['part-2', 'part-10']
    """
    return [
        (int(part), "") if number % 2 else (-1, part)
        for number, part in enumerate(_NUMBERS.split(path))
    ]
