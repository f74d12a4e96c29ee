"""Which rows a policy chooses, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.labelling.label_model import ABSTAIN
from include.labelling.policies import choose, counts_of, disagreement, uncertainty

_ = ABSTAIN
NONE = np.zeros(6, dtype=bool)


def test_uncertainty_is_one_minus_the_margin_of_the_two_likeliest_classes():
    chances = np.array([[0.1, 0.6, 0.3], [1 / 3] * 3, [1, 0, 0], [np.nan] * 3])
    assert uncertainty(chances) == pytest.approx([0.7, 1, 0, np.nan], nan_ok=True)


def test_disagreement_is_the_share_of_votes_against_the_most_frequent_one():
    votes = np.array([[0, 1, 2, 2], [0, 0, _, 1], [2, 2, _, _], [_, _, 1, _], [_, _, _, _]])
    expected = [0.5, 1 / 3, 0, np.nan, np.nan]
    assert disagreement(votes) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(disagreement(np.full((2, 3), _))).all()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any), st.integers(0, 60))
def test_shares_are_split_into_whole_items_that_add_up_and_are_close(parts, count):
    shares = {str(number): part / sum(parts) for number, part in enumerate(parts)}
    found = counts_of(shares, count)
    assert sum(found.values()) == count
    assert all(abs(found[name] - share * count) < 1 + 1e-6 for name, share in shares.items())


def test_each_policy_takes_its_share_and_chance_takes_the_lowest_numbers():
    scores = {"uncertain": np.array([0.1, 0.9, 0.5, 0.9, np.nan, 0.0])}
    chance = np.array([0.5, 0.6, 0.7, 0.3, 0.2, 0.9])
    found = choose({"uncertain": 0.5, "random": 0.5}, 4, scores, chance, NONE)
    # Of equal scores the lower number; chance then takes rows 4 and 0.
    assert found.rows.tolist() == [3, 1, 4, 0]
    assert found.policies == ["uncertain"] * 2 + ["random"] * 2
    assert found.scores == [0.9, 0.9, None, None]


def test_reserved_rows_are_left_to_chance_and_what_a_policy_cannot_choose_is_too():
    scores = {"uncertain": np.array([0.9, 0.8, 0.0, np.nan, 0.7, 0.6])}
    reserved = np.array([True, True, False, False, True, False])
    chance = np.arange(6) / 6
    found = choose({"uncertain": 1.0}, 3, scores, chance, reserved)
    assert dict(zip(found.rows.tolist(), found.policies, strict=True)) == {
        5: "uncertain",
        0: "random",
        1: "random",
    }
    assert choose({"disagreement": 1.0}, 2, {}, chance, reserved).policies == ["random"] * 2


@given(st.data(), st.integers(1, 40), st.integers(0, 50))
def test_no_row_is_chosen_twice_and_as_many_as_there_are(data, rows, count):
    numbers = st.floats(0, 1)
    column = st.lists(numbers, min_size=rows, max_size=rows).map(np.array)
    scores = {"uncertain": data.draw(column), "disagreement": data.draw(column)}
    reserved = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows).map(np.array))
    shares = {"uncertain": 0.5, "disagreement": 0.3, "random": 0.2}
    found = choose(shares, count, scores, data.draw(column), reserved)
    assert len(set(found.rows.tolist())) == len(found.rows) == min(rows, count)
    actively = [r for r, p in zip(found.rows, found.policies, strict=True) if p != "random"]
    assert not reserved[np.array(actively, int)].any()


def test_a_sample_by_chance_is_fair_whatever_the_other_policies_have_taken():
    """Rounds take the hard rows first; the share of hard rows among the drawn ones stays theirs."""
    rng = np.random.default_rng(3)
    chance, hard = rng.random(20_000), rng.random(20_000) < 0.2
    scores, reserved = np.where(hard, 0.9, 0.1), chance < 0.2
    left, drawn = np.arange(20_000), []
    for _round in range(30):
        found = choose(
            {"uncertain": 0.8, "random": 0.2},
            500,
            {"uncertain": scores[left]},
            chance[left],
            reserved[left],
        )
        random = [policy == "random" for policy in found.policies]
        drawn += left[found.rows[random]].tolist()
        left = np.delete(left, found.rows)
    assert hard[left].mean() < 0.06  # what is left is easy: a sample of it would be easy too
    assert hard[drawn].mean() == pytest.approx(0.2, abs=3 * (0.2 * 0.8 / len(drawn)) ** 0.5)
