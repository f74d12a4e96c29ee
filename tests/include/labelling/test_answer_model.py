"""Answers of people, weighed: against Bayes' rule, on sparse answers, and on rare classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.label_model import Setting, plant
from include.labelling.answer_model import MIN_ITEMS, one_coin, weigh_answers
from include.labelling.label_model import ABSTAIN, chosen, dawid_skene, majority

_ = ABSTAIN  # so that rows of answers are short


def right(posterior: np.ndarray, truth: np.ndarray) -> float:
    return float((chosen(posterior)[0] == truth).mean())


def test_on_many_items_it_is_bayes_rule_with_the_true_accuracies() -> None:
    accuracies = (0.6, 0.7, 0.8, 0.9)
    _truth, answers = plant(Setting("", accuracies, 1.0, (1 / 3,) * 3, rows=50_000, asked=3), 1)
    log = np.zeros((len(answers), 3))
    for accuracy, column in zip(accuracies, answers.T, strict=True):
        for one in range(3):
            said = np.where(column == one, accuracy, (1 - accuracy) / 2)
            log[:, one] += np.where(column == ABSTAIN, 0, np.log(said))
    wanted = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    assert one_coin(answers, 3) == pytest.approx(wanted, abs=0.03)


def test_who_was_not_asked_says_nothing_of_an_item() -> None:
    # Two of three people are asked about each item. Taken for an answer, as it is for rules, who
    # was not asked passes for the class.
    setting = Setting("", (0.7,) * 3, 1.0, rows=1_000, asked=2)
    ours, of_rules = [], []
    for seed in range(5):
        truth, answers = plant(setting, seed)
        ours.append((one_coin(answers, 2).argmax(axis=1) == truth).mean())
        of_rules.append((dawid_skene(answers, 2).argmax(axis=1) == truth).mean())
    assert np.mean(ours) > 0.69
    assert np.mean(of_rules) < 0.6


@pytest.mark.parametrize("classes", [(0.1,) * 10, (0.3, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02)])
@pytest.mark.parametrize("several", [0, MIN_ITEMS])
def test_an_answer_that_nobody_contradicts_is_the_label(
    classes: tuple[float, ...], several: int
) -> None:
    setting = Setting("", (0.7, 0.8, 0.9, 0.95), 1.0, classes, rows=2_000, asked=1)
    _truth, single = plant(setting, 0)
    _truth, more = plant(Setting("", setting.accuracy, 1.0, classes, rows=several, asked=3), 1)
    answers = np.vstack([single, more])
    labels, _confidence = chosen(weigh_answers(answers, len(classes), "dawid_skene"))
    assert labels[: len(single)].tolist() == single.max(axis=1).tolist()


def test_a_rare_class_is_not_lost_and_not_invented() -> None:
    truth, answers = plant(Setting("", (0.98,) * 4, 1.0, (0.95, 0.05), rows=1_200, asked=3), 0)
    by_majority, ours = majority(answers, 2), weigh_answers(answers, 2, "dawid_skene")
    assert right(ours, truth) >= right(by_majority, truth) > 0.99


def test_where_there_is_too_little_to_weigh_by_the_majority_counts() -> None:
    enough = np.tile([[1, 1, 0], [0, _, 0]], (MIN_ITEMS // 2, 1))
    assert not np.allclose(weigh_answers(enough, 2, "dawid_skene"), majority(enough, 2))
    for answers, model in (
        (enough[:-1], "dawid_skene"),
        (enough[:, :2], "dawid_skene"),
        (np.where(np.arange(3) == 2, _, enough), "dawid_skene"),
        (enough, "majority"),
    ):
        assert np.array_equal(weigh_answers(answers, 2, model), majority(answers, 2))
    single = np.vstack([enough[:-1], np.tile([[1, _, _]], (1_000, 1))])
    assert np.array_equal(weigh_answers(single, 2, "dawid_skene"), majority(single, 2)), (
        "items with one answer tell nothing of annotators"
    )


ANSWERS = st.lists(st.lists(st.sampled_from([_, 0, 1, 2]), min_size=4, max_size=4), min_size=1)


@settings(deadline=None)
@given(ANSWERS, st.randoms(use_true_random=False))
def test_probabilities_do_not_depend_on_the_order_of_items_annotators_or_classes(
    rows: list[list[int]], random
) -> None:
    answers = np.array(rows)
    found = one_coin(answers, 3)
    has_answer = (answers != ABSTAIN).any(axis=1)
    assert found.sum(axis=1) == pytest.approx(has_answer.astype(float))
    items, people = (random.sample(range(n), n) for n in answers.shape)
    assert one_coin(answers[items][:, people], 3) == pytest.approx(found[items], abs=1e-4)
    named = np.array([2, 0, 1, _])  # a class's new number; the last is that of no answer
    assert one_coin(named[answers], 3)[:, [2, 0, 1]] == pytest.approx(found, abs=1e-4)
