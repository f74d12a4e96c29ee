"""What a listing of the landing finds, and its limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from include.errors import DataContractError, FileUnavailable
from include.ingest_label.checks import MAX_FILE_BYTES
from include.ingest_label.patterns import Pattern, shown

# Twice a second each use case's patterns are listed, at about 10 microseconds an entry: the limits
# keep a look at a pattern within 2 seconds. A file per minute gives a month 44,640.
MAX_FOLDER_ENTRIES = 50_000
MAX_ENTRIES = 200_000
MAX_IGNORED = 50  # sentences: more of them are not read

# A file system stamps a change with the time of its clock's last tick, so that two changes within
# one tick carry the same times. Ticks are up to 10 ms on Linux. File systems that keep no fractions
# of a second, or only even seconds (FAT), are recognised by their times.
_TICK_NS, _COARSE_TICK_NS = 50_000_000, 2_100_000_000


@dataclass(frozen=True)
class LandedFile:
    """A file that belongs to a pattern.

    Attributes
    ----------
    path : str
        Where it is, as messages name it: with the root before it.
    name : str
        Its path below the root, which is the same wherever the root is.
    size : int
        Bytes.
    identity : str
        Changes whenever the file is written again: size, times and inode, or the ETag.
    modified_ns : int
        When it was written, in nanoseconds since 1970; a program that copies may set it.
    changed_ns : int
        When the file system last saw a change, in nanoseconds since 1970; 0 where `identity` is
        made of the content.
    """

    path: str
    name: str
    size: int
    identity: str
    modified_ns: int
    changed_ns: int

    def is_certain(self, now_ns: int) -> bool:
        """Whether a change from now on is sure to change the identity.

        A file that was changed within the last tick of the file system's clock can be changed
        again with the same times and size. What is read after that tick cannot.
        """
        coarse = self.changed_ns % 1_000_000_000 == 0
        return now_ns - self.changed_ns >= (_COARSE_TICK_NS if coarse else _TICK_NS)


@dataclass
class Listing:
    """What belongs to a pattern, by partition key and sorted by path, and why the rest does not."""

    files: dict[str, list[LandedFile]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[str, str] = field(default_factory=dict)
    _seen: int = 0

    def count(self, subject: str) -> None:
        """Count an entry that was listed.

        Raises
        ------
        DataContractError
            There are too many of them.
        """
        self._seen += 1
        if self._seen > MAX_ENTRIES:
            raise DataContractError(
                f"{subject}: the landing must have at most {MAX_ENTRIES:,} files and folders under "
                "a pattern, but has more. Move old partitions away, or land fewer, larger files."
            )

    def ignore(self, path: str, why: str) -> None:
        """Keep the reason why something is not ingested; an empty reason is not reported."""
        if why:
            self.reasons.setdefault(shown(path), why)

    def sort(self) -> None:
        """Put the files of each partition into the order of their paths."""
        for files in self.files.values():
            files.sort(key=lambda file: file.path)

    def sentences(self, pattern: str) -> list[str]:
        """Write the reasons for a person, at most `MAX_IGNORED` of them and how many more."""
        lines = [
            f"{path}: not taken for {pattern!r}: {why}."
            for path, why in sorted(self.reasons.items())
        ]
        more = len(lines) - MAX_IGNORED
        rest = [f"{more} more are not taken for {pattern!r}."] if more > 0 else []
        return lines[:MAX_IGNORED] + rest


PIECE_BYTES = 2**20
RETRACTED = ".retracted"  # hidden, so that no pattern finds what lies there

NOT_A_FILE = "it must be a file, not a folder. Move its files up"
NOT_A_FOLDER = "it must be a folder, not a file or a link. Move it"


class Store(Protocol):
    """A place where files land."""

    def list(self, pattern: Pattern) -> Listing:
        """Find what belongs to a pattern."""

    def read(self, file: LandedFile) -> Iterator[bytes]:
        """Read a file that `list` found, piece by piece; refuse one that changed since."""

    def set_aside(self, path: str) -> None:
        """Move a file below `RETRACTED`; one that is gone already is left."""


def check_size(file: LandedFile) -> None:
    """Refuse to read a file that does not fit into memory.

    Raises
    ------
    DataContractError
        It has more than `MAX_FILE_BYTES`.
    """
    if file.size > MAX_FILE_BYTES:
        raise DataContractError(
            f"{file.path}: must have at most {MAX_FILE_BYTES:,} bytes, got {file.size:,}. Split "
            "the file."
        )


class StillChanging(FileUnavailable):
    """A file may still be being written: it is taken once it holds still."""


def changed_since(path: str) -> StillChanging:
    """Make the error for a file that is not as it was listed."""
    return StillChanging(
        f"{path}: changed after it was listed, so it may still be being written. It is taken when "
        "it has held still; write beside and rename to avoid it."
    )
