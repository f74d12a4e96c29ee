"""A landing that is a prefix of a bucket."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from include.errors import FileUnavailable, ServiceUnavailable
from include.ingest_label.listing import (
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
from include.lake.s3 import s3_client
from include.settings import StorageOptions, current


class Bucket:
    """A prefix of a bucket that speaks S3.

    An object's ETag changes with its content: it is listed with it, and read under the condition
    that it still has it.
    """

    def __init__(self, uri: str, options: StorageOptions) -> None:
        self._uri = uri
        self._root = uri.removeprefix("s3://").rstrip("/")
        self._bucket, _, prefix = self._root.partition("/")
        self._above = f"{prefix}/" if prefix else ""
        self._options = options
        self._made: tuple[dict[str, str], Any] | None = None

    @property
    def client(self) -> Any:
        """The way to the objects; another one when the login was renewed."""
        options = {key.upper(): value for key, value in current(self._options).items()}
        if self._made is None or self._made[0] != options:
            self._made = options, s3_client(options)
        return self._made[1]

    def list(self, pattern: Pattern) -> Listing:
        """Find what belongs to a pattern.

        Raises
        ------
        ServiceUnavailable
            The bucket does not answer, or refuses to.
        DataContractError
            There are too many objects.
        """
        listing, above = Listing(), self._above
        fixed = pattern.text.split("{partition}")[0].split("*")[0].rpartition("/")[0]
        start = f"{above}{fixed}/" if fixed else above
        try:
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=start):
                for item in page.get("Contents", []):
                    listing.count(self._uri)
                    self._judge(item, item["Key"][len(above) :], pattern, listing)
        except _trouble() as error:
            raise ServiceUnavailable(
                f"{self._uri}: the landing cannot be listed ({error}). Check "
                "FLYWHEEL_LANDING_URI and the store."
            ) from error
        listing.sort()
        return listing

    def read(self, file: LandedFile) -> Iterator[bytes]:
        """Read an object that `list` found, piece by piece.

        Raises
        ------
        FileUnavailable
            It cannot be read now, or was written again since it was listed.
        DataContractError
            It is too large.
        """
        check_size(file)
        etag = file.identity.partition(" ")[2]
        unchanged = {"IfMatch": etag} if etag.startswith('"') else {}
        try:
            answer = self.client.get_object(
                Bucket=self._bucket, Key=self._key(file.path), **unchanged
            )
            yield from answer["Body"].iter_chunks(PIECE_BYTES)
        except _trouble() as error:
            if _status(error) == 412:
                raise changed_since(file.path) from error
            raise FileUnavailable(
                f"{file.path}: cannot be read ({error}). Check the landing's store."
            ) from error

    def set_aside(self, path: str) -> None:
        """Move an object below `RETRACTED`; one that is gone already is left.

        Raises
        ------
        ServiceUnavailable
            It cannot be moved.
        """
        key = self._key(path)
        aside = target = f"{self._above}{RETRACTED}/{key[len(self._above) :]}"
        try:
            if not self._is_there(key):
                return
            for number in itertools.count(1):
                if not self._is_there(target):
                    break
                target = f"{aside}.{number}"
            # A store has no rename: the copy must be there before the object goes.
            source = {"Bucket": self._bucket, "Key": key}
            self.client.copy(source, self._bucket, target)
            self.client.delete_object(Bucket=self._bucket, Key=key)
        except _trouble() as error:
            raise ServiceUnavailable(
                f"{path}: cannot be moved to {target} ({error}). Check the landing's store."
            ) from error

    def _is_there(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self._bucket, Key=key)
        except _trouble() as error:
            if _status(error) == 404:
                return False
            raise
        return True

    def _key(self, path: str) -> str:
        return path[len(self._bucket) + 1 :]

    def _judge(
        self, item: Mapping[str, Any], path: str, pattern: Pattern, listing: Listing
    ) -> None:
        names, steps, key = path.split("/"), len(pattern.steps), WHOLE
        if names[-1] == "":
            return  # the mark that a console leaves for an empty folder
        for depth, name in enumerate(names[:steps]):
            here = f"{self._root}/{'/'.join(names[: depth + 1])}"
            verdict = pattern.judge(depth, name, key)
            if not verdict.taken:
                listing.ignore(here, verdict.why)
                return
            key = verdict.key
        if len(names) != steps:
            listing.ignore(here, NOT_A_FILE if len(names) > steps else NOT_A_FOLDER)
            return
        # Not every store that speaks S3 gives an ETag.
        identity = f"{item['Size']} {item.get('ETag') or item['LastModified']}"
        modified_ns = int(item["LastModified"].timestamp() * 1_000_000_000)
        listing.files[key].append(
            LandedFile(f"{self._root}/{path}", path, item["Size"], identity, modified_ns, 0)
        )


def _trouble() -> tuple[type[Exception], ...]:
    """Name what a store's trouble is raised as, also where a connection breaks in mid-object."""
    from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    return (BotoCoreError, ClientError, Boto3Error, OSError)


def _status(error: Exception) -> int | None:
    """Return the HTTP status of an answer, None where there was none."""
    answer = getattr(error, "response", None) or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None
