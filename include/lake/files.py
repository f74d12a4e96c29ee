"""Files beside the tables of the lake, such as pictures: written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.errors import is_remote
from include.lake.s3 import s3_client
from include.lake.table import Lake
from include.settings import current

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)+")


class LakeFiles:
    """Files below the lake's root, in a folder or a bucket.

    Parameters
    ----------
    lake : Lake
        Its address and its login.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def write(self, path: str, content: bytes) -> None:
        """Write a file; a former one is replaced.

        Raises
        ------
        ConfigError
            The path has a part that is no plain name.
        ServiceUnavailable
            The store fails.
        """
        _check(path)
        try:
            if is_remote(self._lake.uri):
                bucket, key = self._key(path)
                self._client().put_object(Bucket=bucket, Key=key, Body=content)
            else:
                file = Path(self._lake.uri) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
                draft.write_bytes(content)
                draft.replace(file)
        except _errors() as error:
            raise self._trouble(path, "written", error) from error

    def read(self, path: str) -> bytes:
        """Read a file.

        Raises
        ------
        ConfigError
            The path has a part that is no plain name.
        DataContractError
            There is no such file.
        ServiceUnavailable
            The store fails.
        """
        _check(path)
        remote = is_remote(self._lake.uri)
        try:
            content = self._object(path) if remote else self._file(path)
        except _errors() as error:
            raise self._trouble(path, "read", error) from error
        if content is None:
            raise DataContractError(
                f"{self._lake.uri}/{path}: there is no such file. Run the phase that makes it."
            )
        return content

    def under(self, folder: str) -> list[str]:
        """List the paths of the files of a folder, sorted; none where there is no folder."""
        _check(folder)
        try:
            if is_remote(self._lake.uri):
                bucket, prefix = self._key(f"{folder}/")
                found = list(self._keys(bucket, prefix))
                return sorted(f"{folder}/{key.removeprefix(prefix)}" for key in found)
            there = Path(self._lake.uri) / folder
            if not there.is_dir():
                return []
            files = (file for file in there.iterdir() if not file.name.startswith("."))
            return sorted(f"{folder}/{file.name}" for file in files)
        except _errors() as error:
            raise self._trouble(folder, "listed", error) from error

    def remove(self, folder: str) -> int:
        """Remove the files of a folder; return how many there were."""
        paths = self.under(folder)
        try:
            for path in paths:
                if is_remote(self._lake.uri):
                    bucket, key = self._key(path)
                    self._client().delete_object(Bucket=bucket, Key=key)
                else:
                    (Path(self._lake.uri) / path).unlink(missing_ok=True)
        except _errors() as error:
            raise self._trouble(folder, "removed", error) from error
        return len(paths)

    def _object(self, path: str) -> bytes | None:
        client, (bucket, key) = self._client(), self._key(path)
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return content

    def _file(self, path: str) -> bytes | None:
        root = Path(self._lake.uri)
        # A link that somebody made must not show what is outside the lake.
        file = (root / path).resolve()
        inside = file.is_relative_to(root.resolve())
        return file.read_bytes() if inside and file.is_file() else None

    def _client(self) -> Any:
        return s3_client(current(self._lake.storage_options))

    def _key(self, path: str) -> tuple[str, str]:
        bucket, _, prefix = self._lake.uri.partition("://")[2].partition("/")
        return bucket, f"{prefix}/{path}" if prefix else path

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self._client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", ()):
                yield one["Key"]

    def _trouble(self, path: str, doing: str, error: Exception) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"{self._lake.uri}/{path}: could not be {doing}: {error}. Check that the store answers "
            "and has room; the same run can then be tried again."
        )


def _errors() -> tuple[type[Exception], ...]:
    """Return what a folder and a bucket raise; looked up only when something failed."""
    from botocore.exceptions import (  # type: ignore[import-untyped]  # slow to load
        BotoCoreError,
        ClientError,
    )

    return (OSError, BotoCoreError, ClientError)


def _check(path: str) -> None:
    if not _PATH.fullmatch(path) or ".." in path:
        raise ConfigError(
            f"a path below the lake must be plain names with '/' between them, got {path!r}. "
            "Correct it."
        )
