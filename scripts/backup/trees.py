"""Copy files between a folder or bucket and a backup's folder, with the digest of each."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs

from include.errors import ConfigError, ServiceUnavailable
from include.lake.errors import is_remote

_CHUNK_BYTES = 1 << 20
_AT_ONCE = 8
STILL_S = 2.0
"""A landed file that changed less than so long ago may still be being written."""
_STILL_WITHIN_S = 60.0


@dataclass(frozen=True)
class Digest:
    """What a backup knows of one of its files."""

    size: int
    sha256: str


Digests = dict[str, Digest]
"""By the path below the backup's folder."""


class Tree:
    """All files below a folder, or below a prefix of a bucket.

    Parameters
    ----------
    uri
        A path, or `s3://bucket/prefix`.
    options
        Login and address of the object store: `Settings.storage_options()`.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._files, self._root = _opened(self.uri, options or {})

    def paths(self) -> list[str]:
        """Return the files' paths below the root, sorted."""
        return self.below("")

    def below(self, folder: str) -> list[str]:
        """Return the paths of the files in one folder of the tree, sorted."""
        start = f"{self._root}/{folder}".rstrip("/")
        selector = fs.FileSelector(start, recursive=True, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except OSError as error:
            raise ServiceUnavailable(f"{self.uri} cannot be listed: {error}") from error
        files = (info.path for info in found if info.type == fs.FileType.File)
        return sorted(path.removeprefix(self._root).lstrip("/") for path in files)

    def save(self, paths: Iterable[str], folder: Path, *, still: bool = False) -> Digests:
        """Copy these files into a folder of the backup; one that is gone by then is left out.

        Parameters
        ----------
        paths
            Below the root.
        folder
            Where they go.
        still
            Whether to wait until a file is no longer being written.
        """
        found = self._each(paths, lambda path: self._save(path, folder / path, still))
        return {path: digest for path, digest in found.items() if digest is not None}

    def fill(self, folder: Path) -> None:
        """Copy all files of a folder here."""
        found = [file.relative_to(folder).as_posix() for file in _files_below(folder)]
        self._each(found, lambda path: self._put(folder / path, path))

    def empty(self) -> None:
        """Remove every file below the root."""
        if self.paths():  # deleted one by one, they would leave markers of folders in a bucket
            self._files.delete_dir_contents(self._root)

    def _each(self, paths: Iterable[str], do: Callable[[str], Any]) -> dict[str, Any]:
        paths = list(paths)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                return dict(zip(paths, pool.map(do, paths), strict=True))
            except OSError as error:
                raise ServiceUnavailable(f"{self.uri}: {error}. Start it again.") from error

    def _save(self, path: str, target: Path, still: bool) -> Digest | None:
        source = f"{self._root}/{path}"
        end = time.monotonic() + _STILL_WITHIN_S
        while True:
            target.unlink(missing_ok=True)  # of the round before, when it changed meanwhile
            before = self._files.get_file_info(source)
            if before.type == fs.FileType.NotFound:  # renamed or removed since it was listed
                return None
            resting = not still or time.time() - before.mtime_ns / 1e9 >= STILL_S
            if resting:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                try:
                    with self._files.open_input_stream(source) as reading:
                        digest = _written(reading, target)
                except FileNotFoundError:
                    continue
                after = self._files.get_file_info(source)
                if not still or (before.size, before.mtime_ns) == (after.size, after.mtime_ns):
                    # Landed rows that contradict each other are ordered by these times.
                    os.utime(target, ns=(before.mtime_ns, before.mtime_ns))
                    return digest
            if time.monotonic() > end:
                raise ServiceUnavailable(
                    f"{self.uri}/{path} is being written all the time. Start the backup again when "
                    "its writer has finished."
                )
            time.sleep(STILL_S / 4)

    def _put(self, file: Path, path: str) -> None:
        target = f"{self._root}/{path}"
        if isinstance(self._files, fs.LocalFileSystem):
            Path(target).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("rb") as reading, self._files.open_output_stream(target) as writing:
            while chunk := reading.read(_CHUNK_BYTES):
                writing.write(chunk)
        if isinstance(self._files, fs.LocalFileSystem):
            changed_ns = file.stat().st_mtime_ns
            os.utime(target, ns=(changed_ns, changed_ns))


def digest_of(file: Path) -> Digest:
    """Read a file of a backup, and return its digest."""
    digest = hashlib.sha256()
    with file.open("rb") as reading:
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
    return Digest(file.stat().st_size, digest.hexdigest())


def digests_below(folder: Path) -> Digests:
    """Return the digest of each file below a folder, by its path there."""
    return {file.relative_to(folder).as_posix(): digest_of(file) for file in _files_below(folder)}


def _files_below(folder: Path) -> list[Path]:
    if links := [str(path) for path in folder.rglob("*") if path.is_symlink()]:
        raise ConfigError(f"{folder} must hold no symbolic links, got {links[:3]}. Remove them.")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _written(reading: Any, target: Path) -> Digest:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return Digest(size, digest.hexdigest())


def _opened(uri: str, options: Mapping[str, str]) -> tuple[Any, str]:
    if not is_remote(uri):
        return fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    scheme, _, path = uri.partition("://")
    if scheme != "s3":
        raise ConfigError(f"{uri}: a backup copies folders and s3:// addresses only.")
    given = {
        "access_key": options.get("AWS_ACCESS_KEY_ID"),
        "secret_key": options.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": options.get("AWS_SESSION_TOKEN"),
        "region": options.get("AWS_REGION") or options.get("AWS_DEFAULT_REGION"),
        "endpoint_override": options.get("AWS_ENDPOINT_URL"),
    }
    known = {name: value for name, value in given.items() if value}
    return fs.S3FileSystem(**known), path
