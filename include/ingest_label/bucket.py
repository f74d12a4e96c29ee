"""A landing that is a prefix of a bucket."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pyarrow.fs as pa_fs

from include.errors import FileUnavailable, ServiceUnavailable
from include.ingest_label.listing import (
    NOT_A_FILE,
    NOT_A_FOLDER,
    RETRACTED,
    LandedFile,
    Listing,
    check_size,
)
from include.ingest_label.patterns import WHOLE, Pattern


class Bucket:
    """A prefix of a bucket that speaks S3.

    boto3 lists it, because its answer has each object's ETag, which changes with the content;
    pyarrow reads it.
    """

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        self._uri = uri
        self._root = uri.removeprefix("s3://").rstrip("/")
        self._options = {key.upper(): value for key, value in options.items()}
        self._endpoint = self._options.get("AWS_ENDPOINT_URL", "")
        self._region = self._options.get("AWS_REGION") or self._options.get("AWS_DEFAULT_REGION")

    @cached_property
    def filesystem(self) -> pa_fs.S3FileSystem:
        """The way to the objects' content."""
        scheme, _, host = self._endpoint.rpartition("://")
        return pa_fs.S3FileSystem(
            access_key=self._options.get("AWS_ACCESS_KEY_ID"),
            secret_key=self._options.get("AWS_SECRET_ACCESS_KEY"),
            session_token=self._options.get("AWS_SESSION_TOKEN"),
            region=self._region,
            endpoint_override=host or None,
            scheme=scheme or "https",
        )

    @cached_property
    def client(self) -> Any:
        """The way to the list of objects."""
        import boto3  # type: ignore[import-untyped]  # a third of a second that folders need not pay
        from botocore.config import Config  # type: ignore[import-untyped]

        return boto3.client(
            "s3",
            aws_access_key_id=self._options.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=self._options.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=self._options.get("AWS_SESSION_TOKEN"),
            region_name=self._region,
            endpoint_url=self._endpoint or None,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"max_attempts": 3, "mode": "standard"},
                # An endpoint of one's own seldom has a host name for each bucket.
                s3={"addressing_style": "path" if self._endpoint else "auto"},
            ),
        )

    def list(self, pattern: Pattern) -> Listing:
        """Find what belongs to a pattern.

        Raises
        ------
        ServiceUnavailable
            The bucket does not answer, or refuses to.
        DataContractError
            There are too many objects.
        """
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
        )

        listing = Listing()
        bucket, _, prefix = self._root.partition("/")
        above = f"{prefix}/" if prefix else ""
        fixed = pattern.text.split("{partition}")[0].split("*")[0].rpartition("/")[0]
        start = f"{above}{fixed}/" if fixed else above
        try:
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=start):
                for item in page.get("Contents", []):
                    listing.count(self._uri)
                    self._judge(item, item["Key"][len(above) :], pattern, listing)
        except (BotoCoreError, ClientError) as error:
            raise ServiceUnavailable(
                f"{self._uri}: the landing cannot be listed ({error}). Check "
                "FLYWHEEL_LANDING_URI and the store."
            ) from error
        listing.sort()
        return listing

    def read(self, file: LandedFile) -> bytes:
        """Read an object that `list` found.

        Raises
        ------
        ServiceUnavailable
            It cannot be read.
        DataContractError
            It is too large.
        """
        check_size(file)
        try:
            with self.filesystem.open_input_file(file.path) as opened:
                return bytes(opened.read(file.size))
        except OSError as error:
            raise FileUnavailable(
                f"{file.path}: cannot be read ({error}). Check the landing's store."
            ) from error

    def _is_there(self, path: str) -> bool:
        return bool(self.filesystem.get_file_info(path).type != pa_fs.FileType.NotFound)

    def set_aside(self, path: str) -> None:
        """Move an object below `RETRACTED`; one that is gone already is left.

        Raises
        ------
        ServiceUnavailable
            It cannot be moved.
        """
        aside = f"{self._root}/{RETRACTED}/{path[len(self._root) + 1 :]}"
        target = aside
        try:
            if not self._is_there(path):
                return
            for number in itertools.count(1):
                if not self._is_there(target):
                    break
                target = f"{aside}.{number}"
            self.filesystem.move(path, target)
        except OSError as error:
            raise ServiceUnavailable(
                f"{path}: cannot be moved to {target} ({error}). Check the landing's store."
            ) from error

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
        listing.files[key].append(LandedFile(f"{self._root}/{path}", item["Size"], identity, 0))
