"""Numbers of attempts: each once, in the order in which they are asked for, from any process."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
import time
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError

from include.errors import DataContractError, ServiceUnavailable
from include.lake import attempts
from include.lake.attempts import ATTEMPTS, FIRST, next_token
from include.lake.table import Lake, StaleAttempt


def take_some(uri: str, count: int, barrier: object, answers: object) -> None:
    """Take numbers in a process of its own, at once with others."""
    barrier.wait()  # type: ignore[attr-defined]
    answers.put([next_token(Lake(uri), "u") for _ in range(count)])  # type: ignore[attr-defined]


def test_numbers_rise_by_one_and_each_use_case_has_its_own(lake: Lake) -> None:
    assert [next_token(lake, "u") - FIRST for _ in range(3)] == [0, 1, 2]
    assert next_token(lake, "v") == FIRST


def test_processes_at_once_get_each_number_once_also_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # Delta's threads do not survive a fork
    barrier, answers = context.Barrier(3), context.Queue()
    arguments = (str(tmp_path / "lake"), 5, barrier, answers)
    processes = [context.Process(target=take_some, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert all(numbers == sorted(numbers) for numbers in found)
    every = sorted(number for numbers in found for number in numbers)
    assert every == [FIRST + number for number in range(15)]


def test_threads_at_once_get_each_number_once(lake: Lake) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(next_token(lake, "u"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [FIRST + number for number in range(8)]


def test_no_file_of_rows_is_written_and_the_log_stays_short(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is kept for two minutes: set to nothing here, so that each checkpoint cleans up."""
    monkeypatch.setitem(attempts.APPENDED, "delta.logRetentionDuration", "interval 0 seconds")
    for _ in range(90):
        next_token(lake, "u")
    folder = Path(lake.uri) / "u" / ATTEMPTS
    assert [entry.name for entry in folder.iterdir()] == ["_delta_log"]
    assert len(list((folder / "_delta_log").iterdir())) < 50
    assert next_token(lake, "u") == FIRST + 90, "what was cleaned up is counted all the same"


def test_numbers_are_above_any_clock_that_numbered_attempts_before() -> None:
    assert 1.5 * time.time_ns() < FIRST < 2**63 - 10**9


def test_a_lake_that_was_written_by_the_clock_is_written_on(lake, table, publish) -> None:
    publish(table, "p", time.time_ns(), [1])
    publish(table, "p", next_token(lake, "flight_delays"), [2])
    with pytest.raises(StaleAttempt):
        publish(table, "p", time.time_ns(), [3])
    assert table.read(["p"], ["a"]).to_pylist() == [{"a": 2}]


@pytest.mark.parametrize("begun_again", [True, False])
def test_an_attempt_that_a_lost_count_puts_behind_is_told_and_not_skipped(
    lake, table, publish, begun_again
) -> None:
    """Without a word each later run would count as overtaken."""
    for _ in range(5):
        token = next_token(lake, "flight_delays")
    publish(table, "p", token, [1])
    with pytest.raises(StaleAttempt):
        publish(table, "p", token - 1, [2])
    shutil.rmtree(Path(lake.uri) / "flight_delays" / ATTEMPTS)
    behind = next_token(lake, "flight_delays") if begun_again else token - 1
    with pytest.raises(DataContractError, match=r"attempt 4 .*flight_delays\.attempts has counted"):
        publish(table, "p", behind, [2])
    assert table.read(["p"], ["a"]).to_pylist() == [{"a": 1}]


def test_a_store_that_does_not_answer_is_worth_a_retry(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no answer")

    monkeypatch.setattr(attempts, "write_deltalake", refuse)
    with pytest.raises(ServiceUnavailable, match=r"u\.attempts at .* could not be written: no"):
        next_token(lake, "u")


def test_attempts_that_are_always_faster_end_in_words(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object, **__: object) -> None:
        raise CommitFailedError("version 1 already exists")

    monkeypatch.setattr(attempts, "write_deltalake", lose)
    monkeypatch.setattr(attempts, "_TRIES", 3)
    with pytest.raises(ServiceUnavailable, match="other attempts were faster 3 times"):
        next_token(lake, "u")
