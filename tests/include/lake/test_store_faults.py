"""A store that fails: what may be tried again is never told as a fault of the data."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from include.errors import (
    ConfigError,
    DataContractError,
    FlywheelError,
    ServiceUnavailable,
    SettingsError,
)
from include.lake import errors
from include.lake import store as store_module
from include.lake.table import Lake, LakeTable, Published
from tests.support.object_store import CUT, SILENCE, ObjectStore, object_store

Publish = Callable[..., Published]
SCHEMA = pa.schema([("a", pa.int64())])
LOG, DATA = ".json", ".parquet"


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def remote(
    running: ObjectStore, publish: Publish, request: pytest.FixtureRequest
) -> Iterator[LakeTable]:
    """Return a table of two partitions in the object store, in a folder of its own."""
    running.fail(None)
    lake = Lake(f"s3://bucket/{abs(hash(request.node.name))}", running.options)
    table = lake.table("u", "raw")
    publish(table, "2013-01", 1)
    publish(table, "2013-02", 1)
    yield table
    running.fail(None)


CALLS: dict[str, Callable[[LakeTable, Publish], object]] = {
    "read": lambda table, publish: table.read(),
    "read an old version": lambda table, publish: table.read(version=0),
    "look up": lambda table, publish: table.made_from({"2013-01": ["landing"]}),
    "history": lambda table, publish: table.history(),
    "publish": lambda table, publish: publish(table, "2013-01", 2, [5]),
    "publish equal rows": lambda table, publish: publish(table, "2013-01", 2),
    "append": lambda table, publish: table.append(
        pa.table([[1]], schema=SCHEMA), partition="p", schema=SCHEMA, app_id="r", sequence=1
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "how", [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")]
)
def test_a_store_that_asks_for_patience_is_unavailable(
    running: ObjectStore, remote: LakeTable, publish: Publish, how: tuple[int, str], call: str
) -> None:
    running.fail(how)
    with pytest.raises(ServiceUnavailable, match=rf"table u\.raw at s3://.* {how[0]} .*tried aga"):
        CALLS[call](remote, publish)
    running.fail(None)
    CALLS[call](remote, publish)


@pytest.mark.parametrize("call", ["read", "publish"])
def test_a_store_that_does_not_answer_in_time_is_unavailable(
    running: ObjectStore, remote: LakeTable, publish: Publish, call: str
) -> None:
    running.fail(SILENCE)
    with pytest.raises(ServiceUnavailable, match="error sending request"):
        CALLS[call](remote, publish)


@pytest.mark.parametrize(
    "how", [(403, "AccessDenied"), (401, "Unauthorized"), (404, "NoSuchBucket")]
)
@pytest.mark.parametrize("call", ["read", "read an old version", "publish", "history"])
def test_a_store_that_refuses_is_a_matter_of_settings(
    running: ObjectStore, remote: LakeTable, publish: Publish, how: tuple[int, str], call: str
) -> None:
    running.fail(how)
    with pytest.raises(SettingsError, match=rf"{how[1]}.*FLYWHEEL_LAKE_URI.*AWS_"):
        CALLS[call](remote, publish)


def test_a_bucket_that_is_missing_is_no_table_without_rows(
    running: ObjectStore, remote: LakeTable
) -> None:
    running.fail((404, "NoSuchBucket"))
    with pytest.raises(SettingsError, match="NoSuchBucket"):
        Lake("s3://bucket/none", running.options).table("u", "raw").partitions()


@pytest.mark.parametrize("version", [None, 0])
@pytest.mark.parametrize("ending", [DATA, LOG])
def test_an_answer_that_ends_half_way_is_no_data(
    running: ObjectStore, remote: LakeTable, ending: str, version: int | None
) -> None:
    running.fail(CUT, ending)
    with pytest.raises(ServiceUnavailable, match="end of file before message length reached"):
        remote.read(version=version)
    running.fail(None)
    assert remote.read(version=version).num_rows == (2 if version is None else 1)


def test_a_log_entry_that_is_listed_and_not_there_yet_is_looked_for_again(
    running: ObjectStore, remote: LakeTable
) -> None:
    running.fail((404, "NoSuchKey"), "1.json")
    with pytest.raises(ServiceUnavailable, match=r"File not found: .*1.json"):
        remote.read()
    running.fail(None)
    assert remote.read().num_rows == 2


def test_only_writing_fails(running: ObjectStore, remote: LakeTable, publish: Publish) -> None:
    running.fail((503, "SlowDown"), method="PUT")
    with pytest.raises(ServiceUnavailable, match=r"could not be written: .*503"):
        publish(remote, "2013-01", 2, [5])
    assert remote.read(columns=["a"])["a"].to_pylist() == [1, 1]
    running.fail(None)
    assert publish(remote, "2013-01", 2, [5]).version == 2


def test_a_data_file_that_is_gone_is_told(running: ObjectStore, remote: LakeTable) -> None:
    running.fail((404, "NoSuchKey"), DATA)
    with pytest.raises(DataContractError, match=r"one is gone: .*parquet not found.*vacuumed"):
        remote.read()


@pytest.mark.parametrize(("ending", "kept"), [(DATA, 0), ("1.json", 60)])
def test_a_damaged_file_is_told(
    running: ObjectStore, remote: LakeTable, ending: str, kept: int
) -> None:
    folder = remote._store.uri.removeprefix("s3://bucket/")
    for key in running.listed():
        if key.startswith(folder) and key.endswith(ending):
            data = running.get(key)
            running.put(key, data[:kept] if kept else b"x" * len(data))
    with pytest.raises(DataContractError, match=r"one is damaged: .*from a backup") as told:
        remote.read()
    assert "<unknown>" not in str(told.value)


def test_a_version_that_is_not_there_is_told(remote: LakeTable) -> None:
    with pytest.raises(DataContractError, match=r"version 7 must be one that is kept.*newest is 1"):
        remote.read(version=7)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EIO, "Input/output error"), ServiceUnavailable),
        (OSError(errno.ENOSPC, "No space left on device"), ServiceUnavailable),
        (DeltaError("Generic error: No space left on device (os error 28)"), ServiceUnavailable),
        (OSError("Generic LocalFileSystem error: Permission denied (os error 13)"), SettingsError),
        (OSError(errno.EROFS, "Read-only file system"), SettingsError),
        (FileNotFoundError("x.parquet"), DataContractError),
        (pa.ArrowInvalid("Parquet magic bytes not found in footer"), DataContractError),
        (RuntimeError("something new"), ServiceUnavailable),
    ],
)
def test_a_disk_that_fails_or_is_full_may_be_tried_again(
    tmp_path: Path, error: Exception, kind: type[FlywheelError]
) -> None:
    assert type(errors.store_trouble("u.raw", str(tmp_path), "read", error)) is kind


def test_a_full_disk_writes_nothing_and_the_next_attempt_does(
    table: LakeTable, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DeltaError("Generic LocalFileSystem error: No space left on device (os error 28)")

    publish(table, "2013-01", 1)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "write_deltalake", full)
        with pytest.raises(ServiceUnavailable, match="No space left"):
            publish(table, "2013-01", 2, [5])
    assert publish(table, "2013-01", 2, [5]).version == 1


def test_what_may_be_tried_again_is_neither_kind_of_refusal() -> None:
    """Operators remember a refusal for both, and never for the other."""
    assert not issubclass(ServiceUnavailable, ConfigError | DataContractError)
