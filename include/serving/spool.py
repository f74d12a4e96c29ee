"""Journals on disk between a prediction and the lake: what is written here survives a kill -9.

One folder for each replica, named by its id and locked by its process. A journal file holds JSON
lines of one use case and one UTC day, and has a sequence number that is never used again: by
replica id and sequence the lake knows what it has.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import threading
import uuid
from pathlib import Path

# While files of a use case wait for the lake, its journal goes on up to this size: an outage of a
# day leaves some large files, not 43,200 small ones.
FULL_BYTES = 8_000_000

_NEXT = "next_sequence"
_log = logging.getLogger(__name__)


class Spool:
    """The journals of one replica.

    Parameters
    ----------
    folder : Path
        Named by the replica's id; exists.
    lock : int
        Descriptor that holds the folder's lock.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.replica = folder.name
        self._folder = folder
        self._lock_file = lock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], tuple[Path, io.FileIO]] = {}
        self._next = max([self._counted(), *(sequence_of(path) + 1 for path in self._files())])

    def write(self, use_case: str, day: str, lines: bytes) -> None:
        """Add lines, each of which ends in a newline, to the journal of a use case and a day.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        with self._lock:
            key = (use_case, day)
            if key not in self._open:
                self._open[key] = self._begin(use_case, day)
            journal = self._open[key][1]
            try:
                if journal.write(lines) != len(lines):
                    raise OSError(f"{journal.name}: the disk took only part of a line.")
            except OSError:
                # Half a line may stand there: no other may be written behind it.
                self._open.pop(key)[1].close()
                raise

    def seal(self, *, everything: bool = False) -> None:
        """Close the journals, so that they can go to the lake; new lines begin new ones.

        Parameters
        ----------
        everything : bool
            Close those too that would rather wait for their use case's older files.
        """
        with self._lock:
            waiting = {use_case_of(path) for path in self._waiting()}
            full = {
                use_case
                for (use_case, _), (_, journal) in self._open.items()
                if journal.tell() >= FULL_BYTES
            }
            for key in list(self._open):
                # All days of a use case together: its files must reach the lake in order.
                if everything or key[0] not in waiting or key[0] in full:
                    self._open.pop(key)[1].close()

    def waiting(self) -> list[Path]:
        """List the closed journals, oldest first."""
        with self._lock:
            return self._waiting()

    def size_bytes(self) -> int:
        """Return the size of all journals."""
        return sum(path.stat().st_size for path in self._files())

    def close(self) -> None:
        """Give the folder free for another process."""
        self.seal(everything=True)
        os.close(self._lock_file)

    def _waiting(self) -> list[Path]:
        being_written = {path for path, _ in self._open.values()}
        return [path for path in self._files() if path not in being_written]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _begin(self, use_case: str, day: str) -> tuple[Path, io.FileIO]:
        sequence, self._next = self._next, self._next + 1
        # Counted before it is used: the lake passes over a number that it has seen.
        unfinished = self._folder / f"{_NEXT}.tmp"
        unfinished.write_text(str(self._next))
        unfinished.replace(self._folder / _NEXT)
        path = self._folder / f"{sequence:012d}.{use_case}.{day}.jsonl"
        return path, path.open("ab", buffering=0)

    def _counted(self) -> int:
        counter = self._folder / _NEXT
        return int(counter.read_text()) if counter.exists() else 1


def claim(root: Path) -> list[Spool]:
    """Lock every replica's folder that no living process has; make one if there is none.

    The first is to be written to; the others were left behind with journals for the lake.
    """
    root.mkdir(parents=True, exist_ok=True)
    free = [_claimed(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]
    spools = [spool for spool in free if spool is not None]
    while not spools:
        folder = root / uuid.uuid4().hex
        folder.mkdir()
        if (made := _claimed(folder)) is not None:  # a starting neighbour may be faster
            spools = [made]
    return spools


def use_case_of(path: Path) -> str:
    """Return the use case a journal is of."""
    return path.name.split(".")[1]


def day_of(path: Path) -> str:
    """Return the UTC day a journal is of."""
    return path.name.split(".")[2]


def sequence_of(path: Path) -> int:
    """Return the sequence number of a journal."""
    return int(path.name.split(".")[0])


def _claimed(folder: Path) -> Spool | None:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    try:
        return Spool(folder, lock)
    except (OSError, ValueError):
        # Without its counter a number might be used twice, and its rows passed over.
        _log.exception("%s is damaged and left alone; look at its files by hand", folder)
        os.close(lock)
        return None
