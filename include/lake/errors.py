"""Errors of the lake besides broken contracts, and the translation of a store's errors."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError

from include.errors import DataContractError, FlywheelError, ServiceUnavailable, SettingsError

STORE_ERRORS = (OSError, DeltaError, pa.ArrowException)
"""What `deltalake` and `pyarrow` raise when they cannot read or write a table's files."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BACKTRACE = re.compile(r"\s0: <unknown>.*", re.DOTALL)
# Texts of deltalake 1.6 and pyarrow 25: their exceptions have no types or codes for these.
# `tests/include/lake/test_store_faults.py` provokes each with an object store that fails.
_REFUSED = re.compile(
    r"\b(401 Unauthorized|403 Forbidden|NoSuchBucket|ExpiredToken|InvalidAccessKeyId"
    r"|SignatureDoesNotMatch)\b|\(os error (1|13|30)\)|Permission denied|Read-only file system"
)
_LOST = re.compile(r"\.parquet not found\b|\.parquet'.*No such file", re.DOTALL)
_DAMAGED = re.compile(
    r"Parquet magic bytes not found|Json error|Couldn't deserialize|Corrupt|Invalid Parquet"
)


class StaleAttempt(FlywheelError):  # noqa: N818 - says what happened, as the family does
    """A later attempt has published this partition: what this one holds is not written."""


def is_remote(uri: str) -> bool:
    """Whether a table is in an object store and not in a folder."""
    return "://" in uri


def make_folder(uri: str) -> None:
    """Make the folder of a new table; object stores need none.

    Raises
    ------
    SettingsError
        When the folder cannot be made: Delta's own error would say that the table was not found.
    """
    if is_remote(uri):
        return
    try:
        Path(uri).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(uri, error) from error


def store_trouble(name: str, uri: str, doing: str, error: Exception) -> FlywheelError:
    """Translate an error of the store; the caller raises the result from it.

    Returns
    -------
    SettingsError
        The store answers that we may not, or that there is no such bucket.
    DataContractError
        A file of the table is damaged, or a data file that the log names is gone.
    ServiceUnavailable
        Anything else: no answer, half of one, 429 and 5xx, a disk that is full or fails, a log
        entry that is listed and not there yet. An unknown error is worth a retry.
    """
    if not is_remote(uri) and Path(uri).exists() and not os.access(uri, os.W_OK):
        return _not_writable(uri, error)
    cause = _told(error)
    where = f"table {name} at {uri}"
    if _REFUSED.search(cause):
        return SettingsError(
            f"{where}: the store must let this process read and write, got: {cause}. "
            "Check FLYWHEEL_LAKE_URI, that the bucket is there, and the AWS_ variables or the "
            "folder's rights."
        )
    if isinstance(error, FileNotFoundError) or _LOST.search(cause):
        return DataContractError(
            f"{where}: its data files must be there, but one is gone: {cause}. "
            "Someone vacuumed the table: read a newer version, or restore the file from a backup."
        )
    if _DAMAGED.search(cause):
        return DataContractError(
            f"{where}: its files must be whole, but one is damaged: {cause}. "
            "Restore it from a backup, or publish the partition again."
        )
    return ServiceUnavailable(
        f"{where}: could not be {doing}: {cause}. "
        "Check that the store answers and has room; the same run can then be tried again."
    )


def _told(error: Exception) -> str:
    text = _BACKTRACE.sub("", _COLOURS.sub("", str(error)).replace("↳", " "))
    return " ".join(text.split())


def _not_writable(uri: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"lake folder {uri}: must be a folder that this process may write, got: {error}. "
        "Make it writable, or set FLYWHEEL_LAKE_URI to another folder or s3:// address."
    )
