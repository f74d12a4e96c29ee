"""A landing that is a folder of this machine."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from include.errors import FileUnavailable, ServiceUnavailable
from include.ingest_label.listing import (
    MAX_FOLDER_ENTRIES,
    NOT_A_FILE,
    NOT_A_FOLDER,
    PIECE_BYTES,
    RETRACTED,
    LandedFile,
    Listing,
    changed_since,
    check_size,
)
from include.ingest_label.patterns import WHOLE, Pattern

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Never through a link, and never waiting for the other end of a pipe.
_NO_LINK = os.O_NOFOLLOW | os.O_NONBLOCK


class Folder:
    """A folder of this machine.

    The root may be a link, since whoever runs Flywheel chose it. Nothing below it is followed: who
    can land files must not thereby read others of this machine. Only folders that the pattern
    names are entered, so that its number of steps bounds the depth.
    """

    def __init__(self, path: str) -> None:
        self._root = str(Path(path).absolute())

    def list(self, pattern: Pattern) -> Listing:
        """Find what belongs to a pattern.

        Raises
        ------
        ServiceUnavailable
            The folder cannot be listed.
        DataContractError
            There are too many files.
        """
        listing = Listing()
        try:
            with _opened(self._root, _DIRECTORY, None) as root:
                self._walk(root, "", pattern, 0, WHOLE, listing)
        except FileNotFoundError:
            pass  # nothing has landed yet
        except OSError as error:
            raise ServiceUnavailable(
                f"{self._root}: the landing cannot be listed ({error.strerror}). Check "
                "FLYWHEEL_LANDING_URI and the disk."
            ) from error
        listing.sort()
        return listing

    def read(self, file: LandedFile) -> Iterator[bytes]:
        """Read a file that `list` found, piece by piece.

        Raises
        ------
        FileUnavailable
            It is not there any more, became something else than a file, or changed since it was
            listed.
        DataContractError
            It is too large.
        """
        folders = [self._root, *file.name.split("/")]
        name = folders.pop()
        check_size(file)
        try:
            with _opened_folder(folders) as folder, _opened(name, os.O_RDONLY, folder) as opened:
                if not stat.S_ISREG(os.fstat(opened).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file any more")
                if _identity(os.fstat(opened)) != file.identity:
                    raise changed_since(file.path)
                left = file.size  # and not to its end, which may be moving on
                while left > 0 and (piece := os.read(opened, min(PIECE_BYTES, left))):
                    left -= len(piece)
                    yield piece
                if _identity(os.fstat(opened)) != file.identity:
                    raise changed_since(file.path)
        except OSError as error:
            raise FileUnavailable(
                f"{file.path}: cannot be read ({error.strerror}). Check the landing's disk, and "
                "whether the file is still there."
            ) from error

    def set_aside(self, path: str) -> None:
        """Move a file below `RETRACTED`; one that is gone already is left.

        One of the same name that was moved before is kept: this one then ends in `.1`, `.2`, …

        Raises
        ------
        ServiceUnavailable
            It cannot be moved.
        """
        *folders, name = path[len(self._root) + 1 :].split("/")
        try:
            with _opened_folder([self._root, *folders]) as origin:
                os.stat(name, dir_fd=origin, follow_symlinks=False)  # gone already?
                with _opened_folder([self._root, RETRACTED, *folders], make=True) as target:
                    os.rename(name, _free_name(target, name), src_dir_fd=origin, dst_dir_fd=target)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ServiceUnavailable(
                f"{path}: cannot be moved to {self._root}/{RETRACTED} ({error.strerror}). Check "
                "the landing's disk."
            ) from error

    def _walk(
        self, folder: int, below: str, pattern: Pattern, depth: int, key: str, listing: Listing
    ) -> None:
        """List an open folder; `below` is its path under the root, empty or ending in a slash."""
        last = depth == len(pattern.steps) - 1
        if pattern.is_literal(depth) and not last:
            # The folders beside it are none of this pattern's.
            self._enter(folder, below + pattern.steps[depth], pattern, depth, key, listing)
            return
        path = f"{self._root}/{below}".rstrip("/")
        with os.scandir(folder) as entries:
            found = []
            for entry in entries:
                listing.count(path)
                found.append(entry)
                if len(found) > MAX_FOLDER_ENTRIES:
                    listing.ignore(path, f"it has more than {MAX_FOLDER_ENTRIES:,} entries")
                    return
            for entry in found:
                verdict = pattern.judge(depth, entry.name, key)
                if not verdict.taken:
                    listing.ignore(f"{path}/{entry.name}", verdict.why)
                elif last:
                    self._take(entry, below + entry.name, verdict.key, listing)
                else:
                    self._enter(folder, below + entry.name, pattern, depth, verdict.key, listing)

    def _enter(
        self, folder: int, name: str, pattern: Pattern, depth: int, key: str, listing: Listing
    ) -> None:
        path = f"{self._root}/{name}"
        try:
            with _opened(name.rpartition("/")[2], _DIRECTORY, folder) as opened:
                self._walk(opened, f"{name}/", pattern, depth + 1, key, listing)
        except FileNotFoundError:
            pass  # not landed yet, or gone since it was listed
        except PermissionError as error:
            listing.ignore(path, f"it cannot be listed ({error.strerror})")
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            listing.ignore(path, NOT_A_FOLDER)

    def _take(self, entry: os.DirEntry[str], name: str, key: str, listing: Listing) -> None:
        path = f"{self._root}/{name}"
        if entry.is_symlink():
            listing.ignore(path, "it is a link, and links are not followed. Land the file itself")
        elif entry.is_dir(follow_symlinks=False):
            listing.ignore(path, NOT_A_FILE)
        elif not entry.is_file(follow_symlinks=False):
            listing.ignore(path, "it must be a file, not a pipe, socket or device. Remove it")
        else:
            try:
                held = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                return  # gone since it was listed
            listing.files[key].append(
                LandedFile(
                    path, name, held.st_size, _identity(held), held.st_mtime_ns, held.st_ctime_ns
                )
            )


def _identity(held: os.stat_result) -> str:
    # A writer can set the time of modification; the time of change and the inode it cannot.
    return f"{held.st_size} {held.st_mtime_ns} {held.st_ctime_ns} {held.st_ino}"


@contextmanager
def _opened(name: str, flags: int, folder: int | None) -> Iterator[int]:
    """Open by descriptor, so that what was checked cannot be exchanged before it is used."""
    opened = os.open(name, flags | (_NO_LINK if folder is not None else 0), dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _opened_folder(names: list[str], make: bool = False) -> Iterator[int]:
    """Open a folder step by step, so that no step is a link; `make` what is not there."""
    opened = os.open(names[0], _DIRECTORY)
    try:
        for name in names[1:]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=opened)
            inner = os.open(name, _DIRECTORY | _NO_LINK, dir_fd=opened)
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _free_name(folder: int, name: str) -> str:
    """Return the name, with a number behind it where it is taken."""
    for candidate in itertools.chain([name], (f"{name}.{n}" for n in itertools.count(1))):
        try:
            os.stat(candidate, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return candidate
    raise AssertionError("unreachable")
