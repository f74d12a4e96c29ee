"""The fence under real processes: races, kills, and a store whose answer gets lost."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake import store as store_module
from include.lake.store import DeltaTable, write_deltalake
from include.lake.table import Lake, LakeTable, Published, StaleAttempt, Writer
from tests.include.lake.conftest import consumed, digest

Publish = Callable[..., Published]
SCHEMA = pa.schema([("a", pa.int64())])
REPO = Path(__file__).parents[3]


def publish_at_once(uri: str, token: int, barrier: object, answers: object) -> None:
    """Publish a partition of one's own, and then the one that all want."""
    found: dict[str, int | None] = {}
    for stage, partition in (("raw", f"p{token}"), ("clean", "p")):
        table = Lake(uri).table("u", stage)
        barrier.wait()  # type: ignore[attr-defined]
        try:
            published = table.publish(
                pa.table([[token] * 3], schema=SCHEMA),
                partition=partition,
                schema=SCHEMA,
                writer=Writer(f"run-{token}", 1, token, "c"),
            )
            found[stage] = published.version
        except StaleAttempt:
            found[stage] = None
    answers.put((token, found))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[int, dict[str, int]]]:
    """Three processes with rising tokens, twice at once: token to version, by stage."""
    uri = str(tmp_path_factory.mktemp("raced"))
    # Spawned, not forked: Delta's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=publish_at_once, args=(uri, token, barrier, answers))
        for token in range(3)
    ]
    for process in processes:
        process.start()
    found = dict(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    return Lake(uri), found


def test_the_first_publishes_of_many_partitions_at_once_all_stay(
    raced: tuple[Lake, dict[int, dict[str, int]]],
) -> None:
    lake, found = raced
    table = lake.table("u", "raw")
    versions = {token: one["raw"] for token, one in found.items()}
    assert sorted(versions.values()) == [0, 1, 2]
    assert Counter(table.read()["partition"].to_pylist()) == {"p0": 3, "p1": 3, "p2": 3}
    for token, version in versions.items():
        (record,) = [one for one in table.history() if one["version"] == version]
        assert record["run_id"] == f"run-{token}"


def test_of_many_attempts_at_one_partition_the_last_token_stays(
    raced: tuple[Lake, dict[int, dict[str, int]]],
) -> None:
    lake, found = raced
    table = lake.table("u", "clean")
    assert found[2]["clean"] is not None
    assert table.read(columns=["a"])["a"].to_pylist() == [2, 2, 2]
    order = [one["token"] for one in reversed(table.history())]
    assert order == sorted(order)
    assert set(order) == {token for token, one in found.items() if one["clean"] is not None}


@pytest.mark.parametrize("mode", ["publish", "publish equal rows", "append"])
def test_a_commit_whose_answer_got_lost_counts(
    table: LakeTable, publish: Publish, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def applied_but_503(*arguments: object, **named: object) -> None:
        write_deltalake(*arguments, **named)  # type: ignore[call-overload]
        raise OSError("503 Slow Down")

    publish(table, "2013-01", 1)
    monkeypatch.setattr(store_module, "write_deltalake", applied_but_503)
    if mode == "publish":
        done = publish(table, "2013-01", 2, [5, 6])
        assert (done.version, done.changed) == (1, True)
        assert table.read(columns=["a"])["a"].to_pylist() == [5, 6]
    elif mode == "publish equal rows":
        done = publish(table, "2013-01", 2, [1])
        assert (done.version, done.changed) == (1, False)
        assert table.read(columns=["a"])["a"].to_pylist() == [1]
    else:
        rows = pa.table([[7]], schema=SCHEMA)
        more = {"partition": "2013-01", "schema": SCHEMA, "app_id": "r", "sequence": 1}
        assert table.append(rows, **more) == 1  # type: ignore[arg-type]
        assert table.append(rows, **more) is None  # type: ignore[arg-type]
        assert sorted(table.read()["a"].to_pylist()) == [1, 7]


@pytest.mark.parametrize("values", [[1], [2]], ids=["equal rows", "other rows"])
def test_a_store_that_fails_is_unavailable(
    table: LakeTable, publish: Publish, monkeypatch: pytest.MonkeyPatch, values: list[int]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("\x1b[31m↳\x1b[0m disk full")

    publish(table, "2013-01", 1)
    monkeypatch.setattr(store_module, "write_deltalake", fails)
    with pytest.raises(ServiceUnavailable, match=r"could not be written: disk full. Check that"):
        publish(table, "2013-01", 2, values)
    assert table.partition_versions().get("2013-01") == digest([1])
    assert table.facts("2013-01")["token"] == 1


def test_a_late_writer_with_an_old_handle_is_fenced(
    table: LakeTable, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(table, "2013-01", 1)
    overtaken = False

    def slow(*arguments: object, **named: object) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            publish(table, "2013-01", 3, [3])  # while the attempt with token 2 is writing
        write_deltalake(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(store_module, "write_deltalake", slow)
    with pytest.raises(StaleAttempt, match="above 3, got 2"):
        publish(table, "2013-01", 2, [2])
    assert table.read(columns=["a"])["a"].to_pylist() == [3]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something between the next writer's look at the fence and its commit."""

    def arrange(action: Callable[[], object]) -> None:
        waiting = [action]

        def slow(*arguments: object, **named: object) -> None:
            if waiting:
                waiting.pop()()
            write_deltalake(*arguments, **named)  # type: ignore[call-overload]

        monkeypatch.setattr(store_module, "write_deltalake", slow)

    return arrange


def test_a_clear_of_nothing_fences_a_writer_that_has_begun(
    table: LakeTable, publish: Publish, meanwhile: Callable[..., None]
) -> None:
    publish(table, "2013-01", 1)
    meanwhile(lambda: table.clear("2013-02", Writer("c", 1, 9, "abc")))
    with pytest.raises(StaleAttempt, match="above 9, got 8"):
        publish(table, "2013-02", 8)
    assert table.partitions() == ["2013-01"]


def test_equal_rows_do_not_hide_a_later_attempt_that_came_between(
    table: LakeTable, publish: Publish, meanwhile: Callable[..., None]
) -> None:
    """The attempt with token 2 has seen its own rows there; then the one with token 3 writes."""
    publish(table, "2013-01", 1, [5])
    meanwhile(lambda: publish(table, "2013-01", 3, [6]))
    with pytest.raises(StaleAttempt, match="above 3, got 2"):
        publish(table, "2013-01", 2, [5], consumed={"landing": 2})
    assert table.read(columns=["a"])["a"].to_pylist() == [6]
    assert table.partition_versions().get("2013-01") == digest([6])
    assert consumed(table, "2013-01", "landing") is None


def test_equal_rows_are_written_when_others_came_between(
    table: LakeTable, publish: Publish, meanwhile: Callable[..., None]
) -> None:
    """An earlier attempt replaced the rows after the later one had found them to be its own."""
    publish(table, "2013-01", 1, [5])
    meanwhile(lambda: publish(table, "2013-01", 2, [6]))
    done = publish(table, "2013-01", 3, [5])
    assert (done.changed, done.partition_version) == (True, digest([5]))
    assert table.read(columns=["a"])["a"].to_pylist() == [5]


@pytest.mark.parametrize("begun", [True, False], ids=["a table", "no table yet"])
def test_of_two_runs_that_append_one_sequence_one_is_told_that_it_did(
    table: LakeTable, meanwhile: Callable[..., None], begun: bool
) -> None:
    def append(sequence: int, run_id: str) -> int | None:
        rows = pa.table([[sequence]], schema=SCHEMA)
        return table.append(
            rows, partition="p", schema=SCHEMA, app_id="r", sequence=sequence, run_id=run_id
        )

    if begun:
        append(1, "first")
    won: list[int | None] = []
    meanwhile(lambda: won.append(append(2, "faster")))
    assert append(2, "slower") is None
    assert won == [1 if begun else 0]
    newest = table.history()[0]
    assert (newest["run_id"], newest["fence"]) == ("faster", ["append:r", 2])
    assert table.read(columns=["a"])["a"].to_pylist().count(2) == 1


def test_one_sequence_appended_twice_at_once_is_there_once(
    table: LakeTable, meanwhile: Callable[..., None]
) -> None:
    def append(sequence: int) -> None:
        rows = pa.table([[sequence]], schema=SCHEMA)
        table.append(rows, partition="p", schema=SCHEMA, app_id="r", sequence=sequence)

    append(1)
    meanwhile(lambda: append(2))
    append(2)
    assert sorted(table.read()["a"].to_pylist()) == [1, 2]


def test_writers_that_never_get_through_give_up(
    table: LakeTable, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflicts(*_: object, **__: object) -> None:
        raise store_module.CommitFailedError("concurrent")

    publish(table, "2013-01", 1)
    monkeypatch.setattr(store_module, "write_deltalake", conflicts)
    monkeypatch.setattr(store_module, "_TRIES", 3)
    with pytest.raises(ServiceUnavailable, match="in the way of partition '2013-01' 3 times"):
        publish(table, "2013-01", 2)


KILLED = """
import sys
import pyarrow as pa
from include.lake.table import Lake, Writer
schema = pa.schema([("a", pa.int64())])
table = Lake(sys.argv[1]).table("u", "raw")
token = int(sys.argv[2])
while True:
    token += 1
    rows = pa.table({"a": pa.array([token] * 200_000, pa.int64())})
    table.publish(rows, partition="p", schema=schema, writer=Writer("r", token, token, "c"))
    print(token, flush=True)
"""


def test_kill_9_leaves_whole_partitions_and_the_next_attempt_goes_on(tmp_path: Path) -> None:
    table = Lake(str(tmp_path)).table("u", "raw")
    said = 0
    for pause_s in (0.005, 0.021):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(said + 10)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPO, text=True)
        assert process.stdout is not None
        said = int(process.stdout.readline())
        time.sleep(pause_s)
        process.send_signal(signal.SIGKILL)
        said = int(([said, *process.stdout.read().split()])[-1])
        process.wait()
        values = table.read(columns=["a"])["a"]
        assert len(values) == 200_000
        (value,) = values.unique().to_pylist()
        assert table.partition_versions().get("p") == digest([value] * 200_000)
        assert value in (said, said + 1)  # killed before or after the commit, never within


def test_a_folder_that_cannot_be_is_a_matter_of_settings(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    table = Lake(str(tmp_path / "file")).table("u", "raw")
    with pytest.raises(
        ConfigError, match=f"lake folder {tmp_path}/file/u/raw: .*FLYWHEEL_LAKE_URI"
    ):
        publish(table, "2013-01", 1)


def test_an_object_store_that_does_not_answer_is_unavailable(publish: Publish) -> None:
    options = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
        "max_retries": "0",
        "retry_timeout": "1s",
    }
    table = Lake("s3://bucket/lake/", options).table("u", "raw")
    for ask in (table.exists, lambda: publish(table, "2013-01", 1)):
        with pytest.raises(
            ServiceUnavailable, match=r"table u.raw at s3://bucket/lake/u/raw: could"
        ):
            ask()


def test_a_delta_table_of_someone_else_is_refused(lake: Lake, publish: Publish) -> None:
    table = lake.table("u", "raw")
    write_deltalake(f"{lake.uri}/u/raw", pa.table({"b": [1]}))
    with pytest.raises(DataContractError, match=r"must have the column 'partition', got .*'b'"):
        publish(table, "2013-01", 1)
    assert DeltaTable(f"{lake.uri}/u/raw").version() == 0
