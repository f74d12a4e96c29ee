"""A worker is lost in the middle of a task, in three phases; the wheel goes on by itself.

All three are lost first and waited for then: each costs the heartbeat time-out.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import pytest

from tests.support import daily
from tests.support.cluster_faults import (
    RESUMES_WITHIN_S,
    Caught,
    began_again,
    caught,
    check_days,
    lose,
    monitored,
    run_of,
)
from tests.support.clusters import PATIENCE_S, ClusterHouse
from tests.support.stacks import Run

pytestmark = pytest.mark.cluster

TASKS = {
    "batch_predict": "predict_partition",
    "train_tune": "run_trial",
    "validate_clean": "validate_and_clean",
}
SCORED = daily.days("2024-02-01", 3)
"""Days whose features are there before any worker is lost."""
LANDED = daily.days("2024-02-04", 3)
AS_OF = "2024-01-03"


@dataclass(frozen=True)
class Lost:
    """What ran on a worker when it was lost, and after how long it began again."""

    what: Caught
    state: str
    seconds: float


@pytest.fixture(scope="module")
def house(running, champion) -> ClusterHouse:
    return running.house


@pytest.fixture(scope="module")
def landed() -> list[str]:
    """Return the days that were landed, which grow."""
    return []


@pytest.fixture(scope="module")
def lost(house, landed) -> dict[str, Lost]:
    """Lose a worker in each phase, then wait."""
    house.pause("batch_predict", True)
    for day in SCORED:
        house.land(day)
        landed.append(day)
    features = house.table("features")
    house.until(lambda: set(SCORED) <= set(features.partitions()), "features", PATIENCE_S)
    house.pause("batch_predict", False)
    found: dict[str, tuple[Caught, str, float]] = {}
    for phase, task in TASKS.items():
        for number in range(3):
            what = caught(house, started(house, phase, number, landed), task)
            if what is None:  # it had ended before it was seen
                continue
            at = lose(house, what.worker)
            state = what.run.tasks[task]
            if state == "running":
                found[phase] = (what, state, at)
                break
        else:
            raise AssertionError(f"{task} was three times too quick")
    for day in SCORED:  # what the pause has kept away; the day that was lost must come by itself
        if not house.runs("batch_predict", day):
            house.trigger("batch_predict", day).raise_for_status()
    return {
        phase: Lost(what, state, began_again(house, what, at, at + 150 - time.time()))
        for phase, (what, state, at) in found.items()
    }


def started(house: ClusterHouse, phase: str, number: int, landed: list[str]) -> Run:
    """Start a run of the phase."""
    if phase == "validate_clean":
        day = LANDED[number]
        landed.append(day)
        house.land(day)
        return run_of(house, phase, day)
    if phase == "batch_predict":
        answer = house.trigger(phase, SCORED[number])
    else:
        answer = house.trigger(phase, AS_OF, trials=2)
    return Run(house, phase, answer.raise_for_status().json()["dag_run_id"])


@pytest.mark.parametrize("phase", TASKS)
def test_a_task_whose_worker_is_lost_starts_again(lost, phase):
    found = lost[phase]
    sys.stdout.write(f"{phase}: {found.what.worker} lost, again after {found.seconds:.0f} s\n")
    assert found.state == "running"
    assert found.seconds <= RESUMES_WITHIN_S
    run = found.what.run
    ended = run.house.ended(phase, run.run_id, within_s=PATIENCE_S)
    assert ended.state == "success"
    assert ended.tries(found.what.task) >= 2


def test_nothing_is_lost_and_nothing_is_doubled(house, lost, landed, tmp_path):
    for day in landed:
        monitored(house, day, PATIENCE_S)
    house.at_rest(within_s=PATIENCE_S)
    check_days(house, landed, tmp_path)


def test_a_training_whose_worker_was_lost_gives_one_model(house, lost):
    run = lost["train_tune"].what.run
    house.ended("train_tune", run.run_id, within_s=PATIENCE_S)
    made = [house.registry.load(daily.NAME, v).facts for v in house.registry.versions(daily.NAME)]
    # A refit of what the gate has promoted is a version of its own.
    trained = [m for m in made if m["as_of"] == AS_OF and m.get("evaluated_version") is None]
    runs = [r for r in house.runs("train_tune", AS_OF) if r.state == "success"]
    assert len(trained) == len(runs) >= 2  # the first champion's training, and this one
