"""A replay of three classes whose rows have weights: what the wheel would have found and done."""

from __future__ import annotations

from pathlib import Path

from include.lake.table import Lake
from include.replay.gate import Gate
from include.replay.known import History
from include.replay.learn import learn
from include.replay.monitor import ReplayMonitor
from tests.support.lakes import fill
from tests.support.three_classes import three_class_rows, three_classes

MONTHS = [f"2024-{month:02}" for month in range(1, 6)]
TURNED = "2024-04"


def test_a_world_that_turned_over_is_decay_and_learned_anew(tmp_path: Path) -> None:
    use_case = three_classes(
        candidates=[{"estimator": "logistic_regression"}],
        tuning={"trials": 1},
        sample_weight="heft",
        max_rows=1000,
    )
    lake = Lake(str(tmp_path / "lake"))
    for seed, month in enumerate(MONTHS):
        rows = three_class_rows(month=month, seed=seed)
        turned = rows.assign(outcome=2 - rows["outcome"])
        fill(lake, use_case, month, turned if month >= TURNED else rows)
    history = History(use_case, lake, label_delay=0)
    known = history.at("2024-02")
    old = learn(known, known.training_set())
    assert old.holdout_estimate is not None
    monitor = ReplayMonitor(use_case)
    calm = monitor.window_of(old, "2024-03", history.at("2024-03"))
    after = monitor.window_of(old, TURNED, history.at(TURNED))
    assert (calm.decay, calm.drift, after.decay, after.drift) == (False, False, True, False)
    known = history.at(MONTHS[-1])
    training = known.training_set()
    new = learn(known, training)
    ruling = Gate()(use_case, new, old, training, 1)
    assert ruling.promote, ruling.reasons
    assert any("better by more than" in reason for reason in ruling.reasons)
