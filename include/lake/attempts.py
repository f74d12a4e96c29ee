"""Number the attempts at a use case's work, in the order in which they begin.

The lake counts them itself: each attempt commits to the Delta table `attempts` before it reads
anything, and the version of that commit is its number. Delta gives each version once, by a
compare-and-set of the store, so no clock of any worker has a say.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from include.errors import DataContractError, ServiceUnavailable
from include.lake.errors import STORE_ERRORS, make_folder, store_trouble
from include.lake.log import Log
from include.lake.writing import APPENDED
from include.settings import current

if TYPE_CHECKING:
    from include.lake.table import Lake

logger = logging.getLogger(__name__)

ATTEMPTS = "attempts"
"""The table, beside those of the stages. It holds no rows: its log is all that is wanted of it."""
FIRST = 2**62
"""The first number. Earlier releases took milliseconds and nanoseconds of a clock, which are below
it until the year 2116; a lake that they wrote is written on."""
_TRIES = 30
_UNCONFIRMED = 4
"""Commits without an answer that are repeated, for 3 s; a longer outage is for Airflow to retry."""
_NO_ROWS = pa.table({"attempt": pa.array([], pa.int64())})


def next_token(lake: Lake, use_case: str) -> int:
    """Return a number above all that were given for this use case before.

    Raises
    ------
    ServiceUnavailable
        The store fails, or too many attempts begin at once.
    """
    log = Log(f"{use_case}.{ATTEMPTS}", f"{lake.uri}/{use_case}/{ATTEMPTS}", lake.storage_options)
    unconfirmed = 0
    for tried in range(_TRIES):
        table = log.open()
        try:
            return FIRST + _commit(log, table)
        except STORE_ERRORS as error:
            faster = table is None and "already exists" in str(error)
            if faster or isinstance(error, CommitFailedError):
                logger.info("%s: another attempt was faster, counting again: %s", log.name, error)
            else:
                trouble = store_trouble(log.name, log.uri, "written", error)
                unconfirmed += 1
                if not isinstance(trouble, ServiceUnavailable) or unconfirmed > _UNCONFIRMED:
                    raise trouble from error
                # The store's client does not repeat a commit, which may have been applied. Here it
                # may be repeated: a number that nobody uses does no harm.
                logger.info("%s: not confirmed, counting again: %s", log.name, error)
                time.sleep(0.1 * 2**unconfirmed)
        time.sleep(random.uniform(0, 0.02 * (tried + 1)))  # noqa: S311 - no secret
    raise ServiceUnavailable(
        f"table {log.name}: other attempts were faster {_TRIES} times. Try again when fewer begin "
        "at once."
    )


def check_not_set_back(log: Log, number: int) -> None:
    """Refuse to believe a number that the table beside this one has not given yet.

    Where `attempts` was removed, or restored alone from an older copy, every attempt would lose
    against what was published before, and be skipped as overtaken.

    Raises
    ------
    DataContractError
        It was set back.
    """
    use_case, _, _ = log.name.partition(".")
    uri = f"{log.uri.rpartition('/')[0]}/{ATTEMPTS}"
    if number < FIRST:  # of a clock, by an earlier release
        return
    table = Log(f"{use_case}.{ATTEMPTS}", uri, log.options).open()
    newest = FIRST + table.version() if table is not None else FIRST - 1
    if newest < number:
        raise DataContractError(
            f"table {log.name}: attempt {number - FIRST} has published this partition, and the "
            f"table {use_case}.{ATTEMPTS} has counted to {newest - FIRST} only: it was removed or "
            "set back. Nothing was written. Restore it; docs/reliability.md says what to do "
            "without a copy."
        )


def _commit(log: Log, table: DeltaTable | None) -> int:
    if table is not None:
        write_deltalake(table, _NO_ROWS, mode="append")
        return table.version()
    make_folder(log.uri)
    write_deltalake(
        log.uri,
        _NO_ROWS,
        mode="error",
        configuration=dict(APPENDED),
        storage_options=current(log.options),
        # Delta must not try again by itself: it would then write version 1, and say nothing of it.
        commit_properties=CommitProperties(max_commit_retries=0),
    )
    return 0
