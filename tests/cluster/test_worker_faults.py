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
    "validate_clean": "validate_and_clean",
    "batch_predict": "predict_partition",
    "train_tune": "run_trial",
}
DAYS = daily.days("2024-02-01", 12)
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
    found: dict[str, tuple[Caught, str, float]] = {}
    for phase, task in TASKS.items():
        while True:
            what = caught(house, started(house, phase, landed), task)
            if what is None:  # it had ended before it was seen
                continue
            at = lose(house, what.worker)
            state = what.run.tasks[task]
            if state == "running":
                found[phase] = (what, state, at)
                break
    return {
        phase: Lost(what, state, began_again(house, what, at, at + 150 - time.time()))
        for phase, (what, state, at) in found.items()
    }


def started(house: ClusterHouse, phase: str, landed: list[str]) -> Run:
    if phase == "train_tune":
        answer = house.trigger("train_tune", AS_OF, trials=2).raise_for_status()
        return Run(house, "train_tune", answer.json()["dag_run_id"])
    day = DAYS[len(landed)]
    landed.append(day)
    house.land(day)
    return run_of(house, phase, day)


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
    assert len(trained) == len(runs) == 2  # the first champion's training, and this one
