"""Each part of a cluster is lost, its store fails, a disk is full: the wheel goes on by itself.

`make test-faults-cluster`; what was measured is in docs/reliability.md.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.conftest import SMALL_DISK
from tests.support import daily
from tests.support.cluster_faults import (
    RESUMES_WITHIN_S,
    began_again,
    caught,
    check_days,
    frozen,
    lose,
    monitored,
    no_run_failed,
    pid_of,
    run_of,
    until_healthy,
)
from tests.support.clusters import PATIENCE_S, ClusterHouse
from tests.support.s3_faults import BUSY, LATE, RESET
from tests.support.stacks import Run

pytestmark = pytest.mark.cluster

DAYS = iter(daily.days("2024-04-01", 60))


@pytest.fixture(scope="module")
def house(running, champion) -> ClusterHouse:
    return running.house


@pytest.fixture
def days(house) -> Iterator[list[str]]:
    """Return two days; afterwards every part is healthy, and nothing runs or has failed."""
    since = datetime.now(UTC).isoformat()
    yield [next(DAYS), next(DAYS)]
    until_healthy(house, PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    assert no_run_failed(house, since) == []


def through(house: ClusterHouse, days: list[str], at: float, folder: Path) -> float:
    """Wait until the wheel is through, and nothing is lost or doubled; return when it went on."""
    seconds = gone_on(house, days, at)
    check_days(house, days, folder)
    return seconds


def gone_on(house: ClusterHouse, days: list[str], at: float) -> float:
    """Wait until the wheel goes on, and then until it is through; return the seconds of the first.

    It goes on when the first day, which was on its way at the moment of the fault, has come as far
    as its features: scheduler, API, a worker, the store and the databases all have a part in it.
    """
    within_s = at + RESUMES_WITHIN_S - time.time()
    house.until(lambda: house.version("features", days[0]), f"{days[0]} goes on", within_s)
    seconds = time.time() - at
    for day in days:
        monitored(house, day, PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    return seconds


@pytest.mark.parametrize(
    "part",
    ["scheduler", "triggerer", "dag-processor", "api-server", "mlflow", "postgres", "redis"],
)
def test_a_part_that_is_lost_holds_the_wheel_up_no_longer(house, days, part, tmp_path):
    house.land(days[0])
    run_of(house, "validate_clean", days[0])
    pid = pid_of(house, part)
    at = lose(house, part)
    house.land(days[1])
    seconds = through(house, days, at, tmp_path)
    assert pid_of(house, part) != pid
    sys.stdout.write(f"{part}: goes on after {seconds:.0f} s\n")


def test_a_task_that_was_queued_when_redis_was_lost_runs(house, days, tmp_path):
    with frozen(house, "worker-1", "worker-2"):
        house.land(days[0])
        house.until(
            lambda: any("queued" in run.tasks.values() for run in house.runs("ingest_label")[:2]),
            "a task is queued",
        )
        at = lose(house, "redis")
        house.until(lambda: house.stack.services_status().healthy, "Redis is back")
    seconds = through(house, days[:1], at, tmp_path)
    sys.stdout.write(f"redis, with a task queued: goes on after {seconds:.0f} s\n")


def test_a_task_that_a_lost_worker_had_taken_and_not_begun_runs(house, days, tmp_path):
    """Without an API no task begins: so it is known that the worker was lost before."""
    house.pause("validate_clean", True)
    house.land(days[0])
    house.until(lambda: house.version("raw", days[0]), f"{days[0]} is raw", PATIENCE_S)
    answer = house.trigger("validate_clean", days[0]).raise_for_status()
    run = Run(house, "validate_clean", answer.json()["dag_run_id"])
    house.pause("validate_clean", False)
    with frozen(house, "api-server"):
        what = caught(house, run, "validate_and_clean", state="queued")
        at = lose(house, what.worker)
    state = run.tasks["validate_and_clean"]
    again = began_again(house, what, at, RESUMES_WITHIN_S)
    sys.stdout.write(f"lost with a task that was {state}: begins after {again:.0f} s\n")
    assert state == "queued"
    assert run.tries("validate_and_clean") == 1
    through(house, days[:1], at, tmp_path)


@pytest.mark.parametrize(("fault", "share"), [(BUSY, 0.3), (RESET, 0.2), (LATE, 0.3)])
def test_a_store_that_fails_loses_and_doubles_nothing(running, days, fault, share, tmp_path):
    house, before = running.house, running.store.caused().get(fault, 0)
    with running.store.failing(**{fault: share}):
        house.land(days[0])
        seconds = gone_on(house, days[:1], time.time())
    check_days(house, days[:1], tmp_path)
    caused = running.store.caused()[fault] - before
    sys.stdout.write(f"{fault} to {share:.0%}: features after {seconds:.0f} s, {caused} times\n")
    assert caused > 20


def test_two_runs_of_a_partition_on_two_workers_give_one_result(house, days, tmp_path):
    house.land(days[0])
    monitored(house, days[0], PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    for _ in range(8):
        answers = [house.trigger("validate_clean", days[0]) for _ in range(2)]
        runs = [answer.raise_for_status().json()["dag_run_id"] for answer in answers]
        ended = [house.ended("validate_clean", each, PATIENCE_S) for each in runs]
        assert {run.state for run in ended} == {"success"}
        found = [caught(house, run, "validate_and_clean", state="any") for run in ended]
        if len({each.worker for each in found}) == 2:
            break
    else:
        raise AssertionError("Of eight pairs of runs each was on one worker.")
    check_days(house, days[:1], tmp_path)


def test_a_worker_that_hangs_and_wakes_writes_nothing_twice(house, days, tmp_path):
    """Its task began again on another worker when it sent no heartbeat."""
    house.land(days[0])
    run = run_of(house, "validate_clean", days[0])
    what = caught(house, run, "validate_and_clean")
    assert what is not None
    at = time.time()
    with frozen(house, what.worker):
        seconds = began_again(house, what, at, RESUMES_WITHIN_S)
        house.until(lambda: house.version("clean", days[0]), "the other worker has published", 60)
    sys.stdout.write(f"{what.worker} hung: again after {seconds:.0f} s\n")
    assert run.tries("validate_and_clean") == 2
    through(house, days[:1], at, tmp_path)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as output, suppress(OSError):
        while output.write(bytes(2**12)):
            pass
    assert shutil.disk_usage(file.parent).free == 0


def test_a_worker_whose_disk_is_full_loses_nothing(running, days, tmp_path):
    if running.small_disk is None:
        pytest.skip("only root may mount a small disk")
    filler = running.small_disk / "filler"
    try:
        fill(filler)
        for day in days:
            running.house.land(day)
        seconds = through(running.house, days, time.time(), tmp_path)
        sys.stdout.write(f"full disk of {SMALL_DISK}: features after {seconds:.0f} s\n")
    finally:
        filler.unlink()
