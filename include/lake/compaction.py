"""Small files of a table that is appended to, put together."""

from __future__ import annotations

import logging

from deltalake.exceptions import CommitFailedError

from include.errors import DataContractError
from include.lake.errors import STORE_ERRORS, store_trouble
from include.lake.log import Log
from include.lake.writing import APPENDED

_RETENTION = "delta.logRetentionDuration"
logger = logging.getLogger(__name__)


def compact(log: Log) -> tuple[int, int] | None:
    """Put the small files of each partition together, and remove those that were replaced.

    For a table whose log is kept for a short time: readers of an older version would lose their
    files. Beside appenders it is safe; where a publish is faster, it is left for the next time.

    Returns
    -------
    tuple of int and int, or None
        How many files there were and are; None where there is no table.

    Raises
    ------
    DataContractError
        When the table keeps its log: models are pinned to its old versions.
    """
    table = log.open()
    if table is None:
        return None
    kept = table.metadata().configuration.get(_RETENTION)
    if kept != APPENDED[_RETENTION]:
        raise DataContractError(
            f"table {log.name}: only a table whose log is kept for {APPENDED[_RETENTION]!r} may be "
            f"compacted, this one's is kept for {kept!r}: models are pinned to its old versions, "
            "which would be gone. Leave it as it is."
        )
    try:
        before = len(table.file_uris())
        table.optimize.compact()
        # Full: a file whose removal has expired from the log is known to nobody any more. One
        # that is younger than an hour may belong to a commit that is on its way.
        table.vacuum(1, dry_run=False, enforce_retention_duration=False, full=True)
        table.create_checkpoint()
        table.cleanup_metadata()
    except CommitFailedError as error:
        logger.info("%s: left for the next time: %s", log.name, error)
    except STORE_ERRORS as error:
        raise store_trouble(log.name, log.uri, "compacted", error) from error
    return before, len(table.file_uris())
