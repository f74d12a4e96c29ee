"""Prove that an object store keeps Delta's commits, before anything is written to it.

Delta commits by a conditional PUT: of two writers of one version exactly one may succeed. Some
stores ignore the condition, or check it and then write without a lock; Ceph ignores it where the
bucket has versioning. On them Delta loses commits without a word. So the store is asked.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from include.errors import ServiceUnavailable, SettingsError
from include.lake.errors import is_remote
from include.lake.s3 import s3_client

WRITERS = 8
"""Conditional PUTs of one key at once. A store that checks first and writes later lets several win
within milliseconds: SeaweedFS 4.16 let all of three (its issue 8800)."""
ROUNDS = 5
"""Keys that are tried so: a race that is won by chance once is not won five times."""
_REFUSED = {409, 412}
"""What S3 answers to a conditional PUT that lost: a conflict, or a failed precondition."""
_FOLDER = "_proof"


def prove(lake_uri: str, options: Mapping[str, str]) -> None:
    """Let conditional PUTs of one key race; exactly one must win, each time.

    A lake in a folder needs no proof: the file system's own exclusive creation is used there.

    Parameters
    ----------
    lake_uri : str
        A folder, or ``s3://bucket/prefix``.
    options : mapping of str to str
        `Settings.storage_options()`.

    Raises
    ------
    SettingsError
        Not exactly one succeeded: the store must not hold a lake.
    ServiceUnavailable
        The store did not answer.
    """
    if not is_remote(lake_uri):
        return
    bucket, _, prefix = lake_uri.removeprefix("s3://").rstrip("/").partition("/")
    client = s3_client(
        options,
        # A PUT that is sent again after an answer was lost would fail its own condition.
        retries={"total_max_attempts": 1},
        max_pool_connections=WRITERS,
    )
    folder = "/".join(filter(None, (prefix, _FOLDER, uuid.uuid4().hex)))
    keys = [f"{folder}/{number}" for number in range(ROUNDS)]
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            for key in keys:
                _check(_race(pool, client, bucket, key), client, bucket, key, lake_uri)
    finally:
        for key in keys:
            _remove(client, bucket, key)


def _race(pool: ThreadPoolExecutor, client: Any, bucket: str, key: str) -> list[str]:
    """Return whose PUT succeeded; all are sent at once, and one more after them."""
    start = threading.Barrier(WRITERS)

    def put(name: str, together: bool) -> str | None:
        if together:
            start.wait(timeout=30)
        return name if _put(client, bucket, key, name.encode()) else None

    found = [pool.submit(put, f"writer {number}", together=True) for number in range(WRITERS)]
    winners = [name for each in found if (name := each.result()) is not None]
    late = put("late writer", together=False)
    return [*winners, *filter(None, [late])]


def _check(winners: list[str], client: Any, bucket: str, key: str, lake_uri: str) -> None:
    kept = _get(client, bucket, key) if len(winners) == 1 else ""
    if len(winners) == 1 and kept == winners[0]:
        return
    found = (
        f"{winners[0]} was told that it succeeded, and {kept!r} is kept"
        if len(winners) == 1
        else f"{len(winners)} succeeded"
    )
    raise SettingsError(
        f"{lake_uri}: of {WRITERS + 1} conditional PUTs (If-None-Match: *) of one key exactly one "
        f"must succeed, and {found}. The bucket's versioning is {_versioning(client, bucket)}. "
        "Delta would lose commits here, without a word, so no lake is kept in this store. Switch "
        "versioning off where the store ignores conditions with it (Ceph), update the store, or "
        "name another by AWS_ENDPOINT_URL; docs/scaling.md lists what was proven."
    )


def _put(client: Any, bucket: str, key: str, body: bytes) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in _REFUSED:
            return False
        raise _unavailable(bucket, error) from error
    except BotoCoreError as error:
        raise _unavailable(bucket, error) from error
    return True


def _get(client: Any, bucket: str, key: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client.get_object(Bucket=bucket, Key=key)["Body"].read().decode())
    except (BotoCoreError, ClientError) as error:
        raise _unavailable(bucket, error) from error


def _remove(client: Any, bucket: str, key: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.delete_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError):
        return  # what the proof found counts, not a few bytes that stay


def _versioning(client: Any, bucket: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client.get_bucket_versioning(Bucket=bucket).get("Status", "off")).lower()
    except (BotoCoreError, ClientError):
        return "unknown: the store does not tell"


def _unavailable(bucket: str, error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"s3://{bucket}: the store did not answer as it must when it was asked to prove itself "
        f"({error}). Check AWS_ENDPOINT_URL, the login and the bucket."
    )
