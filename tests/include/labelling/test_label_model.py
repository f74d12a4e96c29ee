"""The label model: against an independent library, against Bayes' rule, and in planted settings."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.label_model import CORRELATED, SETTINGS, Setting, accuracies, plant, problems
from include.labelling.label_model import (
    ABSTAIN,
    MIN_ROWS,
    chosen,
    dawid_skene,
    majority,
    weigh,
)

VOTES = """
00000 11110 10111 10111 01000 10001 01101 11100 00011 00110 10111 10010 00100 11111 01100 01000
11110 01111 01101 00010 11111 11100 11111 00011 10100 01000 10001 11101 01001 00010 01000 10101
10011 00010 00000 10010
"""
OF_CROWD_KIT = [
    0.0, 0.961, 0.943, 0.943, 0.0, 0.0, 0.887, 0.943, 0.0, 0.401, 0.943, 0.0, 0.314, 0.988, 0.696,
    0.0, 0.961, 0.92, 0.887, 0.0, 0.988, 0.943, 0.988, 0.0, 0.768, 0.0, 0.0, 0.983, 0.0, 0.0, 0.0,
    0.919, 0.0, 0.0, 0.0, 0.0,
]  # fmt: skip
"""Probability of class 1 by crowd-kit 1.4.2, `DawidSkene(n_iter=20000, tol=1e-14)`, on `VOTES`."""


def test_without_a_prior_and_abstentions_it_is_dawid_and_skenes():
    votes = np.array([[int(vote) for vote in row] for row in VOTES.split()])
    found = dawid_skene(votes, 2, prior_rows=1e-9, rounds=20_000)[:, 1]
    assert found == pytest.approx(OF_CROWD_KIT, abs=1e-3)


def test_on_many_rows_it_is_bayes_rule_with_the_true_accuracies():
    setting = Setting("", (0.6, 0.7, 0.8, 0.9), coverage=1.0, rows=50_000)
    _, votes = plant(setting, seed=1)
    odds = np.ones(len(votes))
    for accuracy, column in zip(setting.accuracy, votes.T, strict=True):
        odds *= np.where(column == 1, accuracy / (1 - accuracy), (1 - accuracy) / accuracy)
    assert dawid_skene(votes, 2)[:, 1] == pytest.approx(odds / (1 + odds), abs=0.03)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_it_is_as_good_as_the_majority_and_better_where_accuracies_differ(setting):
    by_majority, by_model, _ = accuracies(setting)
    assert list(problems(setting, by_majority, by_model)) == []


def test_rules_that_copy_each_other_mislead_it():
    by_majority, by_model, used = accuracies(CORRELATED)
    assert used == "dawid_skene"
    assert by_model < by_majority - 0.01, (
        "if it no longer fails, docs/labelling.md is to be changed"
    )


def test_where_there_is_too_little_to_weigh_by_the_majority_counts():
    votes = np.tile([[1, 1, 0]], (MIN_ROWS, 1))
    assert weigh(votes[:-1], 2, "dawid_skene").model == "majority"
    assert weigh(votes, 2, "dawid_skene").model == "dawid_skene"
    assert weigh(votes, 2, "majority").model == "majority"
    silent = np.where(np.arange(3) == 2, ABSTAIN, votes)
    assert weigh(silent, 2, "dawid_skene").model == "majority", "two rules that vote"
    mute = np.where(np.arange(MIN_ROWS)[:, None] == 0, ABSTAIN, votes)
    assert weigh(mute, 2, "dawid_skene").model == "majority", "a row without a vote does not count"


def test_a_row_without_a_vote_has_no_label():
    votes = np.vstack([np.tile([[1, 1, 0, 1]], (1_500, 1)), np.tile([[0, 0, 0, 1]], (1_500, 1))])
    votes[:7] = ABSTAIN
    for each in (dawid_skene(votes, 2), majority(votes, 2)):
        assert (each[:7] == 0).all()
        assert each[7:].sum(axis=1) == pytest.approx(1)
        assert (chosen(each)[0][:7] == ABSTAIN).all()
    nothing = dawid_skene(np.full((5, 3), ABSTAIN), 2)
    assert (nothing == 0).all()
