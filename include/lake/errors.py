"""What the lake refuses besides broken contracts, and how a store's troubles are told."""

from __future__ import annotations

import os
import re
from pathlib import Path

from include.errors import FlywheelError, ServiceUnavailable, SettingsError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


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
    """Tell an error of the store in Flywheel's words; the caller raises it from the cause."""
    if not is_remote(uri) and Path(uri).exists() and not os.access(uri, os.W_OK):
        return _not_writable(uri, error)
    cause = " ".join(_COLOURS.sub("", str(error)).replace("↳", " ").split())
    return ServiceUnavailable(
        f"table {name} at {uri}: could not be {doing}: {cause}. "
        "Check that the store answers and has room; the same run can then be tried again."
    )


def _not_writable(uri: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"lake folder {uri}: must be a folder that this process may write, got: {error}. "
        "Make it writable, or set FLYWHEEL_LAKE_URI to another folder or s3:// address."
    )
