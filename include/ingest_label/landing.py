"""The landing folder or bucket: what landed, whether it is news, and what it holds."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pa_fs

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.ingest_label.files import parse
from include.partitions import check_key
from include.use_cases.schema import Columns, Grain

log = logging.getLogger(__name__)

WHOLE = ""  # the key of what lands without partitions


class Landing:
    """Files under one root, found by pattern.

    Parameters
    ----------
    uri : str
        A folder, or `s3://bucket/prefix`.
    storage_options : mapping of str to str, optional
        `AWS_*` settings, as for the lake; nothing for a folder.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.uri = uri
        self._fs, self._root = _filesystem(uri, storage_options or {})

    def partitions(self, pattern: str, grain: Grain = "month") -> dict[str, int]:
        """Tell what landed under a pattern.

        Returns
        -------
        dict of str to int
            Partition key to fingerprint: a number below 2**63 that changes when a file comes, goes
            or is written again. The key is '' for a pattern without `{partition}`.
        """
        return {key: _fingerprint(infos) for key, infos in self._found(pattern, grain).items()}

    def files(self, pattern: str, partition: str, grain: Grain = "month") -> list[str]:
        """List the paths that `read` reads, sorted."""
        return [info.path for info in self._found(pattern, grain).get(partition, [])]

    def read(
        self, pattern: str, partition: str, columns: Columns, grain: Grain = "month"
    ) -> tuple[pa.Table, int]:
        """Read all files of one partition, in the order of their paths.

        Returns
        -------
        table : Table
            Exactly the columns asked for.
        fingerprint : int
            Of exactly the files read.

        Raises
        ------
        DataContractError
            Nothing landed, or a file is not as declared: which file, row and column.
        ServiceUnavailable
            A file changed while it was read.
        """
        found = self._found(pattern, grain).get(partition, [])
        if not found:
            landed = sorted(self.partitions(pattern, grain))
            raise DataContractError(
                f"{self.uri}: nothing landed for {pattern!r} in partition {partition!r}; "
                f"landed are {landed}. "
                "Land the files first."
            )
        tables = [parse(self._bytes(info.path), info.path, columns) for info in found]
        fingerprint = _fingerprint(found)
        if self.partitions(pattern, grain).get(partition) != fingerprint:
            raise ServiceUnavailable(
                f"{self.uri}: files of {pattern!r} in partition {partition!r} changed while "
                "they were read. "
                "Try again when they have landed; write beside and rename to avoid it."
            )
        # In one piece: Delta writes the pieces of a table in any order, and "the last stays" needs
        # this one.
        return pa.concat_tables(tables).combine_chunks(), fingerprint

    def set_aside(self, files: Sequence[str]) -> None:
        """Move files below `.retracted/` of the root, where no pattern finds them.

        Parameters
        ----------
        files : sequence of str
            As `files` gives them. One that is gone already is left.
        """
        for file in files:
            inside = file[len(self._root) + 1 :]
            target = f"{self._root}/.retracted/{inside}"
            try:
                if self._fs.get_file_info(file).type == pa_fs.FileType.NotFound:
                    continue
                self._fs.create_dir(target.rpartition("/")[0], recursive=True)
                self._fs.move(file, target)
            except OSError as error:
                raise ServiceUnavailable(
                    f"{file}: cannot be moved to {target} ({error}). Check the landing's store."
                ) from error

    def _found(self, pattern: str, grain: Grain) -> dict[str, list[pa_fs.FileInfo]]:
        fixed = pattern.split("{partition}")[0].split("*")[0].rpartition("/")[0]
        base = f"{self._root}/{fixed}" if fixed else self._root
        regex, found = _regex(pattern), defaultdict(list)
        try:
            infos = self._fs.get_file_info(
                pa_fs.FileSelector(base, recursive=True, allow_not_found=True)
            )
        except OSError as error:
            raise ServiceUnavailable(
                f"{self.uri}: the landing cannot be listed ({error}). Check "
                "FLYWHEEL_LANDING_URI and the store."
            ) from error
        for info in sorted(infos, key=lambda info: str(info.path)):
            match = regex.fullmatch(info.path[len(self._root) + 1 :])
            if info.is_file and match is not None:
                key = match.groupdict().get("partition", WHOLE)
                if key == WHOLE or _is_key(key, grain, info.path):
                    found[key].append(info)
        return dict(found)

    def _bytes(self, path: str) -> bytes:
        try:
            with self._fs.open_input_file(path) as file:
                return bytes(file.read())
        except OSError as error:
            raise ServiceUnavailable(
                f"{path}: cannot be read ({error}). Check the landing's store."
            ) from error


def _filesystem(uri: str, options: Mapping[str, str]) -> tuple[pa_fs.FileSystem, str]:
    if not uri.startswith("s3://"):
        return pa_fs.LocalFileSystem(), str(Path(uri).absolute())
    named = {key.upper(): value for key, value in options.items()}
    endpoint = named.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = endpoint.rpartition("://")
    filesystem = pa_fs.S3FileSystem(
        access_key=named.get("AWS_ACCESS_KEY_ID"),
        secret_key=named.get("AWS_SECRET_ACCESS_KEY"),
        session_token=named.get("AWS_SESSION_TOKEN"),
        region=named.get("AWS_REGION") or named.get("AWS_DEFAULT_REGION"),
        endpoint_override=host or None,
        scheme=scheme or "https",
    )
    return filesystem, uri.removeprefix("s3://").rstrip("/")


def _regex(pattern: str) -> re.Pattern[str]:
    """`*` stays within one step of the path and, as in a shell, does not match hidden files."""
    text, seen = "", False
    for part in re.split(r"(\{partition\}|\*)", pattern):
        if part == "*":
            text += r"(?![._])[^/]*" if text == "" or text.endswith("/") else "[^/]*"
        elif part == "{partition}":
            text += "(?P=partition)" if seen else "(?P<partition>[^/]+)"
            seen = True
        else:
            text += re.escape(part)
    return re.compile(text)


def _is_key(key: str, grain: Grain, path: str) -> bool:
    try:
        check_key(key, grain)
    except ConfigError as error:
        # One misnamed folder must not stop the partitions beside it.
        log.warning(
            "%s: not taken, for %r is no partition of grain %r: %s", path, key, grain, error
        )
        return False
    return True


def _fingerprint(infos: list[pa_fs.FileInfo]) -> int:
    facts = "\n".join(f"{info.path} {info.size} {info.mtime_ns}" for info in infos)
    return int.from_bytes(hashlib.sha256(facts.encode()).digest()[:8], "big") >> 1
