"""The benchmark of many answers, on a few: none is lost, none is recorded twice."""

from __future__ import annotations

import numpy as np

from benchmarks import annotations, label_confidence
from benchmarks.annotations import case
from include.labelling.label_model import ABSTAIN


def test_each_answer_is_recorded_once_and_becomes_a_label(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(tmp_path))
    monkeypatch.setattr(annotations, "ROWS", 200)
    found = case(tmp_path, 30)
    assert (found["new_record"], found["new_again"]) == (90, 0)
    assert 25 <= found["labelled"] <= 30
    assert found["right"] > 0.7


def test_a_lost_answer_or_too_much_memory_is_exit_code_1(monkeypatch):
    fine = {"peak_mib": 400, "record_s": 1.0, "new_record": 30_000, "new_again": 0}
    few = {"peak_mib": 390}
    for many, code in (
        (fine, 0),
        ({**fine, "peak_mib": 900}, 1),
        ({**fine, "record_s": 100.0}, 1),
        ({**fine, "new_record": 29_999}, 1),
        ({**fine, "new_again": 1}, 1),
    ):
        cases = {annotations.FEW: few, annotations.MANY: many}
        monkeypatch.setattr(annotations, "measured", cases.get)
        assert annotations.main([]) == code


def test_planted_voters_are_as_good_and_as_busy_as_they_are_said_to_be():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 20_000)
    votes = label_confidence.votes_on(truth, next(iter(label_confidence.VOTERS)), rng)
    voted = votes != ABSTAIN
    assert np.allclose(voted.mean(axis=0), 0.7, atol=0.02)
    right = [(votes[rows, at] == truth[rows]).mean() for at, rows in enumerate(voted.T)]
    assert np.allclose(right, [0.6, 0.75, 0.95], atol=0.02)
