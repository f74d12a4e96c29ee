"""The gate on three classes: champions of other lists of classes, slices, weights, refits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from include.deploy.contenders import Contender, Rows
from include.deploy.evidence import evidence_of
from include.deploy.origins import scores_at_origins
from include.deploy.refit_checks import check_refit
from include.deploy.rule import judge
from include.modelling.blocks import blocks_of
from include.modelling.fit import fit
from include.modelling.metrics import Judged, by_slice, judged, metric_of
from include.modelling.scoring import score_rows
from include.use_cases.schema import UseCase
from tests.support.three_classes import NAMES, three_class_rows, three_classes

FEATURES = ["x", "z", "colour"]
STRONG, WEAK = {"C": 1.0}, {"C": 1e-4}
TRAIN, HOLDOUT = (three_class_rows(1500, f"2024-0{n}", seed=n) for n in (1, 2))


def rows_of(weighted: bool = False) -> Rows:
    return Rows(
        train_y=TRAIN["outcome"],
        holdout_y=HOLDOUT["outcome"],
        times=HOLDOUT["at"],
        blocks=blocks_of("day", HOLDOUT, "at"),
        holdout_partition="2024-02",
        train_weight=TRAIN["heft"].to_numpy() if weighted else None,
        holdout_weight=HOLDOUT["heft"].to_numpy() if weighted else None,
    )


def contender(
    use_case: UseCase, params: dict[str, float], version: str, y: Any = None
) -> Contender:
    y = TRAIN["outcome"] if y is None else y
    model = fit(use_case, "logistic_regression", params, TRAIN[FEATURES], y)
    return Contender(
        version, use_case, "logistic_regression", params, model, TRAIN[FEATURES], HOLDOUT[FEATURES]
    )


def test_a_better_configuration_is_promoted_and_a_worse_one_is_not() -> None:
    use_case = three_classes()
    strong, weak = contender(use_case, STRONG, "2"), contender(use_case, WEAK, "1")
    evidence = evidence_of(use_case, rows_of(), strong, weak)
    verdict = judge(evidence, use_case.deploy)
    assert (verdict.promote, verdict.grounds) == (True, "better"), verdict.reasons
    assert evidence.freshness is not None
    assert evidence.freshness.theirs == pytest.approx(
        log_loss(
            HOLDOUT["outcome"], score_rows(weak.estimator, HOLDOUT, use_case), labels=[0, 1, 2]
        )
    )
    assert not judge(evidence_of(use_case, rows_of(), weak, strong), use_case.deploy).promote


def test_a_champion_of_another_order_is_judged_by_names() -> None:
    """Its model and its configuration say the same, whatever numbers its classes had."""
    use_case, other = three_classes(), three_classes(classes=list(reversed(NAMES)))
    challenger = contender(use_case, STRONG, "2")
    found = [
        evidence_of(use_case, rows_of(), challenger, champion)
        for champion in (
            contender(use_case, WEAK, "1"),
            contender(other, WEAK, "1", y=2 - TRAIN["outcome"]),
        )
    ]
    for asked in ("freshness", "configuration"):
        same, renamed = (getattr(one, asked) for one in found)
        assert renamed.theirs == pytest.approx(same.theirs, rel=1e-3)
        assert renamed.gain.low(0.05) == pytest.approx(same.gain.low(0.05), rel=1e-2)


def test_a_class_that_the_champion_does_not_know_counts_against_it() -> None:
    use_case, fewer = three_classes(), three_classes(classes=[*NAMES[:2], "gone"])
    known = TRAIN["outcome"].where(TRAIN["outcome"] < 2, 0)
    champion = contender(fewer, STRONG, "1", y=known)
    about = {"same_configuration": True, "newer": True}  # the labels were made again
    challenger = contender(use_case, STRONG, "2")
    evidence = evidence_of(use_case, rows_of(), challenger, champion, **about)
    assert evidence.freshness is not None
    assert evidence.freshness.theirs > 10, "its probability of the third class is 0"
    assert judge(evidence, use_case.deploy).promote


def test_weights_of_rows_enter_every_question() -> None:
    use_case = three_classes()
    challenger, champion = contender(use_case, STRONG, "2"), contender(use_case, WEAK, "1")
    plain, weighted = (
        evidence_of(use_case, rows_of(on), challenger, champion) for on in (False, True)
    )
    score = score_rows(challenger.estimator, HOLDOUT, use_case)
    own = log_loss(HOLDOUT["outcome"], score, sample_weight=HOLDOUT["heft"], labels=[0, 1, 2])
    assert weighted.dummy.ours == pytest.approx(own)
    for asked in ("dummy", "linear", "freshness", "configuration"):
        one, other = (getattr(each, asked) for each in (plain, weighted))
        assert one.theirs != pytest.approx(other.theirs, rel=1e-6)
        assert one.gain.standard_error != pytest.approx(other.gain.standard_error, rel=1e-3)


def test_fits_at_origins_weigh_the_rows_that_they_learn() -> None:
    """Rows without weight are not learned, of the training rows and of the holdout before."""
    use_case, some = three_classes(), np.arange(1500) % 2 == 0
    mixed = [each["outcome"].where(some, 2 - each["outcome"]) for each in (TRAIN, HOLDOUT)]
    weights = (some.astype(float), some.astype(float))
    found = [
        scores_at_origins(
            use_case, "logistic_regression", STRONG,
            (TRAIN[FEATURES], labels[0]), (HOLDOUT[FEATURES], labels[1]), [0, 700], None, weights,
        )
        for labels in ((TRAIN["outcome"], HOLDOUT["outcome"]), mixed)
    ]  # fmt: skip
    assert found[0].shape == (1500, 3)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_slices_are_judged_with_the_classes_that_they_have() -> None:
    use_case = three_classes(metric="f1_macro")
    model = contender(use_case, STRONG, "2").estimator
    shown = HOLDOUT[(HOLDOUT["colour"] != "red") | (HOLDOUT["outcome"] != 0)].reset_index(drop=True)
    rows = judged(use_case, shown[FEATURES], shown["outcome"])
    score = score_rows(model, rows.X, use_case)
    found = by_slice(metric_of(use_case), rows, score, ["colour"], 100)
    assert found.keys() == {"colour=red", "colour=green", "colour=blue"}
    red = (shown["colour"] == "red").to_numpy()
    two = metric_of(use_case).compute(rows.truth[red], score[red])
    assert found["colour=red"] == {"rows": int(red.sum()), "value": two}


@pytest.mark.parametrize(
    ("change", "against"),
    [
        (lambda score: score, None),
        (lambda score: np.roll(score, 1, axis=1), "rank correlation of scores"),
        (lambda score: np.where(np.arange(len(score))[:, None] == 3, np.nan, score), "1 of 1500"),
    ],
)
def test_a_refit_must_rank_rows_by_class_alike(change: Any, against: str | None) -> None:
    use_case = three_classes()
    score = score_rows(contender(use_case, STRONG, "2").estimator, HOLDOUT, use_case)
    rows = Judged(HOLDOUT[FEATURES], HOLDOUT["outcome"].to_numpy(float))
    checked = check_refit(use_case, rows, blocks_of("day", HOLDOUT, "at"), score, change(score))
    if against is None:
        assert (checked.agreement, checked.reasons_against) == (pytest.approx(1.0), [])
    else:
        assert against in checked.reasons_against[0]
