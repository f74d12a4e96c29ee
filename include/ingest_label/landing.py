"""The landing folder or bucket: what has landed, whether it changed, and what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pyarrow as pa

from include.errors import DataContractError, FileUnavailable, bounded
from include.ingest_label.bucket import Bucket
from include.ingest_label.files import parse
from include.ingest_label.folder import Folder
from include.ingest_label.listing import LandedFile, Listing, Store, settle
from include.ingest_label.patterns import WHOLE, Pattern
from include.use_cases.schema import Columns, Grain

__all__ = ["WHOLE", "Landing"]


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
        self._store: Store = (
            Bucket(uri, storage_options or {}) if uri.startswith("s3://") else Folder(uri)
        )

    def partitions(self, pattern: str, grain: Grain = "month") -> dict[str, int]:
        """Tell what landed under a pattern.

        Returns
        -------
        dict of str to int
            Partition key to fingerprint: a number below 2**63 that changes when a file comes, goes
            or is written again. The key is '' for a pattern without `{partition}`.
        """
        found = self._list(pattern, grain).files
        return {key: _fingerprint(files) for key, files in sorted(found.items())}

    def files(self, pattern: str, partition: str, grain: Grain = "month") -> list[str]:
        """List the paths that `read` reads, sorted."""
        return [file.path for file in self._of(pattern, partition, grain)]

    def ignored(self, pattern: str, grain: Grain = "month") -> list[str]:
        """List the files and folders under the pattern's folder that are not ingested, and why.

        Such as a link, a file `F.CSV` where the pattern says `*.csv`, or a folder `2013-7`. Hidden
        names (`.x`, `_x`) are not listed.

        Returns
        -------
        list of str
            A sentence for each, sorted by path; at most 50, and one that counts the others.
        """
        return self._list(pattern, grain).sentences(pattern)

    def read(
        self, pattern: str, partition: str, columns: Columns, grain: Grain = "month"
    ) -> tuple[pa.Table, int]:
        """Read all files of one partition, in the order of their paths.

        Waits until the newest file is older than a tick of the file system's clock (`settle`: 0.05
        s, on file systems with times in whole seconds 2.1 s), so that a later change is sure to
        change the fingerprint.

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
        FileUnavailable
            A file cannot be read, or changed while it was read.
        """
        files = self._found(pattern, partition, grain)
        if settle(files):
            files = self._found(pattern, partition, grain)
        tables = [parse(self._store.read(file), file.path, columns) for file in files]
        fingerprint = _fingerprint(files)
        if _fingerprint(self._of(pattern, partition, grain)) != fingerprint:
            raise FileUnavailable(
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

        Raises
        ------
        ServiceUnavailable
            A file cannot be moved.
        """
        for file in files:
            self._store.set_aside(file)

    def _found(self, pattern: str, partition: str, grain: Grain) -> list[LandedFile]:
        if files := self._of(pattern, partition, grain):
            return files
        listing = self._list(pattern, grain)
        told = " ".join(listing.sentences(pattern)[:3])
        raise DataContractError(
            f"{self.uri}: nothing landed for {pattern!r} in partition {partition!r}; "
            f"landed are {bounded(str(sorted(listing.files)), 500)}. "
            f"Land the files first. {told}".rstrip()
        )

    def _of(self, pattern: str, partition: str, grain: Grain) -> list[LandedFile]:
        """List the files of one partition, without a look at the others."""
        one = Pattern(pattern, grain).of(partition)
        return [] if one is None else self._store.list(one).files.get(WHOLE, [])

    def _list(self, pattern: str, grain: Grain) -> Listing:
        return self._store.list(Pattern(pattern, grain))


def _fingerprint(files: list[LandedFile]) -> int:
    facts = "\n".join(f"{file.path} {file.identity}" for file in files)
    return int.from_bytes(hashlib.sha256(facts.encode()).digest()[:8], "big") >> 1
