"""The rule on evidence made by hand: which answers promote, and in which words."""

import json
from dataclasses import asdict, replace

import pytest

from include.deploy.evidence import Evidence, Question
from include.deploy.rule import judge
from include.modelling.uncertainty import Estimate
from include.use_cases.amounts import Amount
from include.use_cases.schema import Deploy

CLEAR = Question(0.7, 0.5, Estimate(0.2, 0.01, 30))
EQUAL = Question(0.7, 0.7, Estimate(0.0, 0.004, 30))
SHORT = "not enough data: 8 independent blocks of rows, 10 are needed"
UNIT = Deploy(min_effect=0.01, margin=0.02)
# t(29) leaves 4 % above 1.814
SURE, ALMOST, MAYBE, BAD = (
    Question(0.7 + gain, 0.7, Estimate(gain, 0.01, 30)) for gain in (0.0290, 0.0270, 0.0, -0.03)
)
FINE = Question(0.7, 0.7, Estimate(-0.001, 0.01, 30))  # low -0.0191: within the margin of 0.02
WORSE = Question(0.7, 0.7, Estimate(-0.003, 0.01, 30))  # low -0.0211: not


def _evidence(**changes) -> Evidence:
    about = {"metric": "roc_auc", "dummy": CLEAR, "linear": EQUAL, "rows": 9000}
    return Evidence(**{**about, "holdout_partition": "2013-05", "champion": "7", **changes})


@pytest.mark.parametrize(
    ("asked", "newer", "promoted", "grounds"),
    [
        # Freshness alone.
        ({"freshness": SURE}, False, True, "better"),
        ({"freshness": ALMOST}, False, False, None),
        ({"freshness": ALMOST}, True, True, "refresh"),
        ({"freshness": FINE}, True, True, "refresh"),
        ({"freshness": FINE}, False, False, None),
        ({"freshness": WORSE}, True, False, None),
        # The configuration alone: the champion knows the holdout.
        ({"configuration": SURE}, False, True, "better"),
        ({"configuration": ALMOST}, True, False, None),
        ({"configuration": SURE, "older": True}, False, False, None),
        # Both.
        ({"configuration": SURE, "freshness": FINE}, False, True, "better"),
        ({"configuration": SURE, "freshness": FINE, "older": True}, False, True, "better"),
        ({"configuration": SURE, "freshness": WORSE}, True, False, None),
        ({"configuration": BAD, "freshness": FINE}, True, True, "refresh"),
        ({"configuration": BAD, "freshness": SURE}, False, False, None),
        ({"configuration": BAD, "freshness": SURE}, True, True, "refresh"),
        ({"configuration": MAYBE, "freshness": MAYBE}, False, False, None),
    ],
)
def test_which_answers_promote(asked, newer, promoted, grounds):
    verdict = judge(_evidence(newer=newer, **asked), UNIT)
    assert (verdict.promote, verdict.grounds) == (promoted, grounds)


def test_a_promotion_says_by_how_much_and_how_surely():
    verdict = judge(_evidence(freshness=SURE), UNIT)

    assert verdict.reasons == [
        "freshness: roc_auc 0.729 against 0.7 (gain +0.029) of champion 7's model as it serves, at "
        "least +0.01086 at 96 %: surely better by more than 0.01",
        "dummy: roc_auc 0.7 against 0.5 (gain +0.2), at least +0.1819 at 96 %: surely better",
        "linear: roc_auc 0.7 against 0.7 (gain +0), at most +0.007257 at 96 %: not surely worse "
        "by more than 0.01",
    ]
    assert (verdict.effect, verdict.confidence) == (pytest.approx(0.029), 0.96)
    assert verdict.confidence_low == pytest.approx(0.029 - 0.01 * 1.814, abs=1e-4)
    assert (verdict.challenger, verdict.champion, verdict.dummy) == (0.729, 0.7, 0.5)
    json.dumps(asdict(verdict), allow_nan=False)


def test_no_look_is_as_sure_as_100_percent():
    verdict = judge(_evidence(freshness=CLEAR), UNIT, look=10)
    assert verdict.promote
    assert "at more than 99.9999 %: surely better" in verdict.reasons[0]
    assert not [reason for reason in verdict.reasons if " 100 %" in reason]


def test_a_refresh_does_not_claim_to_be_better():
    verdict = judge(_evidence(freshness=FINE, newer=True, same_configuration=True), UNIT)
    assert verdict.reasons[0].endswith(
        "at least -0.01914 at 96 %: not surely better by more than 0.01, but surely not worse by "
        "0.02"
    )
    assert verdict.reasons[1] == (
        "refresh: the challenger knows newer data, with the same configuration"
    )


def test_a_rejection_gives_only_what_speaks_against_it():
    verdict = judge(_evidence(freshness=WORSE, newer=True), UNIT)
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("freshness: ")
    assert verdict.reasons[0].endswith("at 96 %: may be worse by 0.02 or more")


def test_amounts_are_shares_of_what_the_champion_is_worth():
    """Champion .7, dummy .5: a margin of 10 % is .02, a least effect of 5 % is .01."""
    shares = Deploy(min_effect="5%", margin="10%")
    for asked in (SURE, ALMOST, FINE, WORSE):
        for newer in (True, False):
            evidence = _evidence(freshness=asked, newer=newer)
            assert judge(evidence, shares).grounds == judge(evidence, UNIT).grounds


def test_nothing_to_compare():
    same = judge(_evidence(same_configuration=True), UNIT)
    learned = judge(_evidence(same_configuration=True, newer=True), UNIT)

    assert not same.promote
    assert not learned.promote
    assert same.champion is None
    assert "there is nothing to compare, champion 7 has the same" in same.reasons[0]
    assert "champion 7 has learned rows of this holdout" in learned.reasons[0]


# Baselines


def test_the_first_model_must_surely_beat_the_dummy():
    good = judge(_evidence(champion=None), UNIT)
    bad = judge(_evidence(champion=None, dummy=MAYBE), UNIT)

    assert (good.promote, good.grounds, good.champion) == (True, "first", None)
    assert good.effect == 0.2
    assert not bad.promote
    assert bad.reasons[0].endswith("at least -0.01814 at 96 %: not surely better")


@pytest.mark.parametrize(("gain", "promoted"), [(0.2, True), (-0.01, False), (None, False)])
def test_with_too_little_data_the_first_may_pass_on_the_point_estimate_and_says_so(gain, promoted):
    short = Question(0.7, 0.5, Estimate(gain, None, 8, SHORT))
    verdict = judge(_evidence(champion=None, dummy=short, linear=short), UNIT)

    assert verdict.promote == promoted
    assert verdict.confidence_low is None
    assert SHORT in verdict.reasons[0]
    if promoted:
        assert (
            "better on the point estimate alone, which is enough for a first" in verdict.reasons[0]
        )
        assert (
            f"linear: roc_auc 0.7 against 0.5 (gain +0.2): not judged ({SHORT})" in verdict.reasons
        )


def test_a_later_model_may_not():
    short = Question(0.7, 0.5, Estimate(0.2, None, 8, SHORT))
    verdict = judge(_evidence(dummy=short, freshness=short, newer=True), UNIT)
    assert not verdict.promote
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["freshness", "dummy"]
    assert all(SHORT in reason for reason in verdict.reasons)


def test_a_challenger_surely_below_linear_is_rejected():
    verdict = judge(_evidence(freshness=SURE, linear=BAD), UNIT)
    assert not verdict.promote
    assert verdict.reasons == [
        "linear: roc_auc 0.67 against 0.7 (gain -0.03), at most -0.01186 at 96 %: surely worse by "
        "more than 0.01"
    ]


def test_what_is_too_small_to_count_as_a_gain_is_no_loss_against_linear():
    near = Question(0.695, 0.7, Estimate(-0.005, 0.001, 30))
    assert judge(_evidence(freshness=SURE, linear=near), UNIT).promote
    exact = UNIT.model_copy(update={"min_effect": Amount.of(0)})
    assert not judge(_evidence(freshness=SURE, linear=near), exact).promote


# Slices


def _sliced(*gains: float, problem: str | None = None) -> dict[str, Question]:
    return {
        f"origin={number}": Question(
            0.6, 0.6 - gain, Estimate(gain, None if problem else 0.02, 30, problem)
        )
        for number, gain in enumerate(gains)
    }


SLICES = {"columns": ["origin"], "max_drop": 0.05}
SLICED = Deploy(min_effect=0.01, margin=0.02, slices=SLICES)


def test_a_slice_stops_a_challenger_only_where_it_is_surely_worse_by_more():
    """Standard error .02: alone, a drop of .09 is surely above .05; of ten slices, .11 is not."""
    alone = judge(_evidence(freshness=SURE, slices=_sliced(-0.09)), SLICED)
    among = judge(_evidence(freshness=SURE, slices=_sliced(-0.09, *[0.0] * 9)), SLICED)
    far = judge(_evidence(freshness=SURE, slices=_sliced(-0.13, *[0.0] * 9)), SLICED)

    assert (alone.promote, among.promote, far.promote) == (False, True, False)
    assert alone.reasons == [
        "slice origin=0: roc_auc 0.6 against 0.69 (gain -0.09), at most -0.05372 at 96 %: surely "
        "worse by more than 0.05"
    ]
    assert "at 99.6 %" in far.reasons[0]


def test_slices_that_cannot_be_judged_are_named_and_share_nothing():
    slices = {**_sliced(-0.09), **{"colour=red": _sliced(-0.3, problem=SHORT)["origin=0"]}}
    stopped = judge(_evidence(freshness=SURE, slices=slices), SLICED)
    slices["origin=0"] = _sliced(0.0)["origin=0"]
    passed = judge(_evidence(freshness=SURE, slices=slices), SLICED)

    assert not stopped.promote, "one slice is judged: it has the whole chance of error"
    assert passed.promote
    assert passed.reasons[-1] == f"slice colour=red: not judged ({SHORT})"


# Looks


def test_each_look_at_a_holdout_asks_for_more():
    evidence = _evidence(freshness=SURE)
    first, second = judge(evidence, UNIT, look=1), judge(evidence, UNIT, look=2)

    assert first.promote
    assert not second.promote
    assert second.confidence_low < first.confidence_low
    assert (second.look, second.confidence) == (2, pytest.approx(0.992))
    assert second.reasons[-1] == "look 2 at this holdout: each bound holds at 99.2 %"


def test_the_confidence_is_the_declared_one():
    strict = judge(_evidence(freshness=SURE), UNIT.model_copy(update={"confidence": 0.999}))
    assert strict.confidence == pytest.approx(0.9992)
    assert not strict.promote


def test_notes_come_first():
    verdict = judge(replace(_evidence(freshness=SURE), notes=["beware"]), UNIT)
    assert verdict.reasons[0] == "beware"


def test_one_question_alone_says_better():
    """Freshness is surely better, but the configurations are compared, and are not."""
    both = judge(_evidence(configuration=BAD, freshness=SURE, newer=True), UNIT)
    assert both.grounds == "refresh"
    assert not any(
        "surely better by more than" in said for said in both.reasons if "dummy" not in said
    )
    alone = judge(_evidence(freshness=SURE, newer=True), UNIT)
    assert alone.reasons[0].endswith("surely better by more than 0.01")


def test_the_point_estimate_is_enough_only_where_nothing_serves():
    """A champion that could not be judged still serves: its place is not taken on a guess."""
    short = Question(0.7, 0.5, Estimate(0.2, None, 4, "not enough data"))
    alone = replace(_evidence(dummy=short), champion=None)
    assert judge(alone, UNIT).promote
    assert not judge(replace(alone, first=False), UNIT).promote
