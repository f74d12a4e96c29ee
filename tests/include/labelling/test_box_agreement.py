"""Boxes: IoU, matching, agreement and merging, against hand-made cases, COCO and brute force."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from include.labelling.asking import Box
from include.labelling.box_agreement import Merged, agreement, iou, match, merge
from include.labelling.boxes import fault_of

SIDE = st.integers(1, 6)
PLACE = st.integers(0, 8)


def box(name: str, x: float, y: float, width: float, height: float) -> Box:
    return Box(name, x, y, width, height, 100, 50)


BOX = st.builds(box, st.sampled_from(["stamp", "signature"]), PLACE, PLACE, SIDE, SIDE)
DRAWN = st.lists(BOX, max_size=5)


def stamp(x: float, y: float = 0, width: float = 10, height: float = 10) -> Box:
    return box("stamp", x, y, width, height)


@given(DRAWN, DRAWN)
def test_iou_is_that_of_coco(first, second):
    found = iou(first, second)
    assert found.shape == (len(first), len(second))
    if first and second:
        as_lists = [
            np.array([[b.x, b.y, b.width, b.height] for b in boxes], float)
            for boxes in (first, second)
        ]
        assert found == pytest.approx(np.array(mask.iou(*as_lists, [0] * len(second))))


@settings(deadline=None)  # the first call imports scipy.optimize
@given(DRAWN, DRAWN, st.sampled_from([0.1, 0.3, 0.5]))
def test_matching_is_the_best_of_all(first, second, same_from):
    found = match(first, second, same_from)
    assert len({one for one, _, _ in found}) == len({two for _, two, _ in found}) == len(found)
    shares = iou(first, second)
    for one, two, share in found:
        assert first[one].name == second[two].name
        assert share == shares[one, two] >= same_from
    short, long, table = (
        (first, second, shares) if len(first) <= len(second) else (second, first, shares.T)
    )
    best = (0, 0.0)
    for chosen in permutations(range(len(long)), len(short)):
        pairs = [
            table[one, two]
            for one, two in enumerate(chosen)
            if short[one].name == long[two].name and table[one, two] >= same_from
        ]
        best = max(best, (len(pairs), sum(pairs)))
    assert len(found) == best[0]
    assert sum(share for _, _, share in found) == pytest.approx(best[1])


def test_more_pairs_count_more_than_one_that_is_closer():
    # The nearest pair, .82, would leave the others without a partner: their IoU is .25.
    first, second = [stamp(0), stamp(4)], [stamp(1), stamp(-3)]
    assert iou(first, second).round(2).tolist() == [[0.82, 0.54], [0.54, 0.18]]
    assert [(one, two) for one, two, _ in match(first, second)] == [(0, 1), (1, 0)]


def test_agreement_by_hand():
    # Of two stamps one is found again, 8 of 12 columns wide; a third is elsewhere.
    first = [stamp(0), stamp(50), box("signature", 0, 30, 20, 5)]
    second = [stamp(2), stamp(80), box("signature", 0, 30, 20, 5)]
    signature, stamps = agreement([(first, second), ([stamp(0)], [])])
    assert (signature.name, signature.matched, signature.mean_iou, signature.f1) == (
        "signature", 1, 1.0, 1.0,
    )  # fmt: skip
    assert (stamps.first, stamps.second, stamps.matched) == (3, 2, 1)
    assert stamps.mean_iou == pytest.approx(8 / 12)
    assert stamps.f1 == pytest.approx(2 / 5)
    (none,) = agreement([([stamp(0)], [box("stamp", 0, 20, 10, 10)])])
    assert math.isnan(none.mean_iou)
    assert none.f1 == 0
    assert agreement([([], [])]) == []


@settings(deadline=None)
@given(DRAWN, DRAWN)
def test_agreement_does_not_depend_on_who_is_first(first, second):
    for one, other in zip(agreement([(first, second)]), agreement([(second, first)]), strict=True):
        assert (one.name, one.first, one.second) == (other.name, other.second, other.first)
        assert one.f1 == other.f1
        assert one.mean_iou == pytest.approx(other.mean_iou, nan_ok=True)


def test_merged_boxes_have_the_median_edges_and_need_more_than_half():
    drawn = {
        "ann": [stamp(0), stamp(100)],
        "bob": [stamp(1, 0, 12, 10)],
        "eve": [stamp(2, 1, 10, 9), stamp(40)],
    }
    assert merge(drawn) == [Merged(box("stamp", 1, 0, 11, 10), ("ann", "bob", "eve"))]
    assert merge({"ann": [stamp(0)], "bob": []}) == [], "one of two is not more than half"
    assert merge({"ann": [stamp(0)]}) == [Merged(stamp(0), ("ann",))]
    assert merge({}) == []


def test_a_box_is_not_merged_with_one_of_another_name_or_of_the_same_annotator():
    drawn = {"ann": [stamp(0), stamp(1)], "bob": [box("signature", 0, 0, 10, 10)]}
    assert merge(drawn) == []
    assert len(merge({"ann": [stamp(0), stamp(1)], "bob": [stamp(0), stamp(1)]})) == 2


@given(st.lists(DRAWN, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_the_order_of_annotators_or_boxes(drawn, random):
    named = {f"annotator {number}": boxes for number, boxes in enumerate(drawn)}
    shuffled = {
        who: random.sample(named[who], len(named[who]))
        for who in random.sample([*named], len(named))
    }
    merged = merge(named)
    assert merge(shuffled) == merged
    for each in merged:
        assert 2 * len(each.annotators) > len(named)
        assert len(set(each.annotators)) == len(each.annotators)
    assert len(merged) <= 2 * sum(map(len, drawn)) / len(named), "no box is used twice"


@pytest.mark.parametrize(
    ("drawn", "fault"),
    [
        (stamp(0), None),
        (stamp(90.4), None),
        (stamp(90.6), "reaches over the picture of 100 x 50 pixels"),
        (stamp(-1), "reaches over the picture of 100 x 50 pixels"),
        (stamp(0, 45), "reaches over the picture of 100 x 50 pixels"),
        (stamp(0, 0, 0), "is 0 x 10 pixels: it has no area"),
        (stamp(0, 0, 5, -1), "is 5 x -1 pixels: it has no area"),
        (stamp(math.nan), "has a coordinate that is no number"),
        (box("star", 0, 0, 1, 1), "is named 'star', which is none of ['signature', 'stamp']"),
    ],
)
def test_a_box_as_it_came_is_checked(drawn, fault):
    assert fault_of(drawn, {"stamp", "signature"}) == fault
