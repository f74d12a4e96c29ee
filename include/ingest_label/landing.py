"""The landing folder or bucket: what has landed, whether it changed, and what it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from include.errors import DataContractError, bounded
from include.ingest_label.bucket import Bucket
from include.ingest_label.folder import Folder
from include.ingest_label.listing import LandedFile, Listing, Store, changed_since
from include.ingest_label.patterns import WHOLE, Pattern
from include.lake.records import digest_63
from include.settings import StorageOptions
from include.use_cases.schema import Grain

__all__ = ["WHOLE", "Landing"]

# No step up, nothing hidden, and nothing that a pattern would take for more than one name.
_STEP = r"[^/.*?\[\]{}\\\x00-\x1f][^/*?\[\]{}\\\x00-\x1f]*"
_PLAIN = re.compile(rf"{_STEP}(/{_STEP})*")
_MOST_BYTES, _MOST_OF_A_STEP = 1024, 255
"""What S3 takes for a key ("Naming Amazon S3 objects"), and Linux for a name (NAME_MAX)."""


class Landing:
    """Files under one root, found by pattern.

    Parameters
    ----------
    uri : str
        A folder, or `s3://bucket/prefix`.
    storage_options : mapping of str to str, or callable, optional
        `AWS_*` settings, as for the lake; nothing for a folder.
    """

    def __init__(self, uri: str, storage_options: StorageOptions | None = None) -> None:
        self.uri = uri
        self._store: Store = (
            Bucket(uri, storage_options or {}) if uri.startswith("s3://") else Folder(uri)
        )

    def list(self, pattern: str, grain: Grain = "month", partition: str | None = None) -> Listing:
        """List what landed under a pattern, in one look at the store.

        Parameters
        ----------
        pattern : str
            Path below the root.
        grain : {'day', 'month'}
            What `{partition}` stands for.
        partition : str, optional
            Only the files of this one, without a look at the others.
        """
        whole = Pattern(pattern, grain)
        if partition is None:
            return self._store.list(whole)
        one = whole.of(partition)
        listing = Listing() if one is None else self._store.list(one)
        if WHOLE in listing.files and partition != WHOLE:
            listing.files[partition] = listing.files.pop(WHOLE)
        return listing

    def partitions(self, pattern: str, grain: Grain = "month") -> dict[str, int]:
        """Tell what landed under a pattern, without reading it.

        Returns
        -------
        dict of str to int
            Partition key to a number below 2**63 that changes when a file comes, goes or is written
            again. The key is '' for a pattern without `{partition}`.
        """
        found = self.list(pattern, grain).files
        return {key: as_seen(files) for key, files in sorted(found.items())}

    def files(self, pattern: str, partition: str, grain: Grain = "month") -> Sequence[str]:
        """List the paths of one partition's files, sorted."""
        return [file.path for file in self.list(pattern, grain, partition).files[partition]]

    def ignored(self, pattern: str, grain: Grain = "month") -> Sequence[str]:
        """List the files and folders under the pattern's folder that are not ingested, and why.

        Such as a link, a file `F.CSV` where the pattern says `*.csv`, or a folder `2013-7`. Hidden
        names (`.x`, `_x`) are not listed.

        Returns
        -------
        list of str
            A sentence for each, sorted by path; at most 50, and one that counts the others.
        """
        return self.list(pattern, grain).sentences(pattern)

    def digest(self, file: LandedFile) -> str:
        """Return the sha256 of a file that was listed, in hexadecimal digits.

        Raises
        ------
        FileUnavailable
            It cannot be read, or changed since it was listed.
        DataContractError
            It is too large.
        """
        digest = hashlib.sha256()
        for piece in self._store.read(file):
            digest.update(piece)
        return digest.hexdigest()

    def read(self, file: LandedFile, sha256: str) -> bytes:
        """Read a file that was listed and digested.

        Raises
        ------
        FileUnavailable
            It cannot be read, or has another content by now.
        DataContractError
            It is too large.
        """
        content = b"".join(self._store.read(file))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise changed_since(file.path)
        return content

    def read_path(self, name: str) -> bytes:
        """Read a file that a row names, such as its picture.

        Parameters
        ----------
        name : str
            Its path below the root.

        Raises
        ------
        DataContractError
            It is no such path, there is no such file, or it is too large.
        FileUnavailable
            It cannot be read, or is being written.
        """
        if not _PLAIN.fullmatch(name):
            got = bounded(repr(name), 300)
            raise DataContractError(
                f"{self.uri}: a file must be named by its path below the landing, like "
                f"'scans/2024-05/one.png', got {got}. Correct the column."
            )
        longest = max(len(step.encode()) for step in name.split("/"))
        if len(name.encode()) > _MOST_BYTES or longest > _MOST_OF_A_STEP:
            raise DataContractError(
                f"{self.uri}: the path of a file may have {_MOST_BYTES} bytes, and each name in it "
                f"{_MOST_OF_A_STEP}, got {bounded(repr(name), 300)}. Correct the column."
            )
        listing = self._store.list(Pattern(name, "month"))
        if not (found := listing.files.get(WHOLE)):
            reasons = ["there is no such file.", *listing.sentences(name), "Land it."]
            raise DataContractError(f"{self.uri}/{name}: {' '.join(reasons)}")
        return b"".join(self._store.read(found[0]))

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


def as_seen(files: Sequence[LandedFile]) -> int:
    """Return a number for what was seen: another one where a file was written meanwhile."""
    facts = "\n".join(f"{file.name} {file.identity}" for file in files)
    return digest_63(facts.encode())
