"""Which questions are asked, and what they are asked of."""

import numpy as np
import pandas as pd
import pytest

from include.deploy import evidence as module
from include.deploy.contenders import Contender, Rows
from include.deploy.evidence import evidence_of
from include.deploy.rule import judge
from include.modelling.blocks import blocks_of
from include.modelling.fit import fit
from include.modelling.metrics import metric_of
from include.modelling.scoring import score_rows
from tests.support.packages import tiny_rows, tiny_use_case

COLUMNS = ["x", "z", "colour"]
WEAK, STRONG = {"C": 1e-5}, {"C": 1.0}
SLICES = {"slices": {"columns": ["colour"], "min_rows": 200}}


def _world(task: str = "classification", rows: int = 3000, **deploy):
    """Give a use case and the rows of two months; the second is held out."""
    use_case = tiny_use_case(task, deploy=deploy)
    train, holdout = (
        tiny_rows(rows, month, seed) for month, seed in (("2024-01", 1), ("2024-02", 2))
    )
    labelled = task != "clustering"
    held = Rows(
        train_y=train["outcome"] if labelled else None,
        holdout_y=holdout["outcome"] if labelled else None,
        times=holdout["at"],
        blocks=blocks_of("day", holdout, "at"),
        holdout_partition="2024-02",
    )
    return use_case, held, train[COLUMNS], holdout[COLUMNS]


def _contender(world, params=STRONG, *, candidate="logistic_regression", version="2", again=True):
    use_case, rows, train_X, holdout_X = world
    model = fit(use_case, candidate, params, train_X, rows.train_y)
    return Contender(
        version, use_case, candidate, params, model, train_X if again else None, holdout_X
    )


def _asked(evidence) -> set[str]:
    return {name for name in ("configuration", "freshness") if getattr(evidence, name) is not None}


@pytest.mark.parametrize(
    ("about", "again", "asked"),
    [
        ({}, True, {"configuration", "freshness"}),
        ({"newer": True}, True, {"configuration", "freshness"}),
        ({"knows_holdout": True}, True, {"configuration"}),
        ({"same_configuration": True, "newer": True}, True, {"freshness"}),
        ({"same_configuration": True, "newer": True, "knows_holdout": True}, True, set()),
        ({"same_configuration": True}, True, set()),
        ({}, False, {"freshness"}),
        ({"knows_holdout": True}, False, set()),
    ],
)
def test_which_questions_are_asked(about, again, asked):
    world = _world(rows=600)
    champion = _contender(world, WEAK, version="1", again=again)
    evidence = evidence_of(*world[:2], _contender(world), champion, **about)
    assert _asked(evidence) == asked
    assert evidence.champion == "1"


def test_a_better_configuration_is_found_so():
    world = _world()
    use_case, _, _, holdout_X = world
    challenger, champion = _contender(world), _contender(world, WEAK, version="1")

    evidence = evidence_of(*world[:2], challenger, champion)
    verdict = judge(evidence, use_case.deploy)

    assert (verdict.promote, verdict.grounds) == (True, "better")
    metric, y = metric_of(use_case), world[1].holdout_y.to_numpy()
    fixed = metric.compute(y, score_rows(champion.estimator, holdout_X, use_case))
    assert evidence.freshness.theirs == fixed, "the champion as it serves"
    assert evidence.configuration.theirs != fixed, "the champion's settings, fitted again"
    assert evidence.freshness.gain.groups == 27
    assert evidence.dummy.theirs == 0.5
    own = metric.compute(y, score_rows(challenger.estimator, holdout_X, use_case))
    assert evidence.dummy.ours == own, "baselines are compared with the evaluated model"


def test_and_a_worse_one():
    world = _world()
    champion = _contender(world, version="1")
    evidence = evidence_of(*world[:2], _contender(world, WEAK), champion, newer=True)
    verdict = judge(evidence, world[0].deploy)
    assert not verdict.promote
    assert verdict.effect < 0


def test_fits_are_as_few_as_can_be(monkeypatch):
    fits = []

    def counted(use_case, candidate, params, X, y, **weights):
        fits.append((params["C"], len(X)))
        return fit(use_case, candidate, params, X, y, **weights)

    monkeypatch.setattr("include.deploy.origins.fit", counted)
    monkeypatch.setattr(module, "fit", counted)
    world = _world(rows=270)
    champion = _contender(world, WEAK, version="1")

    evidence_of(*world[:2], _contender(world), champion, same_configuration=True, newer=True)
    assert fits == [(1.0, 360), (1.0, 450)], "at the second and third origin: 90 rows each later"
    fits.clear()
    evidence_of(*world[:2], _contender(world), champion, same_configuration=True)
    evidence_of(*world[:2], _contender(world))
    assert fits == [], "nothing to compare"
    evidence_of(*world[:2], _contender(world), champion)
    assert fits == [(1.0, 360), (1.0, 450), (1e-5, 270), (1e-5, 360), (1e-5, 450)]


def test_slices_are_compared_with_what_serves_or_else_with_its_configuration():
    world = _world(**SLICES)
    champion = _contender(world, WEAK, version="1")
    serves = evidence_of(*world[:2], _contender(world), champion)
    learned = evidence_of(*world[:2], _contender(world), champion, knows_holdout=True)

    assert sorted(serves.slices) == ["colour=blue", "colour=green", "colour=red"]
    y, colour = world[1].holdout_y.to_numpy(), world[3]["colour"].to_numpy()
    score = score_rows(champion.estimator, world[3], world[0])
    metric = metric_of(world[0])
    for name in ("blue", "green", "red"):
        there = metric.compute(y[colour == name], score[colour == name])
        assert serves.slices[f"colour={name}"].theirs == there
        assert learned.slices[f"colour={name}"].theirs != there


def test_a_slice_that_the_challenger_breaks_stops_it():
    """Better on two colours of three, noise on the third."""
    world = _world(rows=6000, **SLICES)
    use_case, rows, train_X, holdout_X = world
    champion = _contender(world, WEAK, version="1")
    spoilt = holdout_X.assign(
        x=np.where(holdout_X["colour"] == "red", -3.0 * holdout_X["x"], holdout_X["x"])
    )
    good = _contender(world)
    challenger = Contender("2", use_case, good.candidate, STRONG, good.estimator, train_X, spoilt)

    verdict = judge(evidence_of(use_case, rows, challenger, champion), use_case.deploy)

    assert not verdict.promote
    assert [r for r in verdict.reasons if r.startswith("slice colour=red: ")]
    assert not [r for r in verdict.reasons if r.startswith("slice colour=blue")]


def test_regression_reads_errors_downwards():
    world = _world("regression")
    challenger = _contender(world, {"alpha": 1.0}, candidate="ridge")
    champion = _contender(world, {"alpha": 1e5}, candidate="ridge", version="1")

    verdict = judge(evidence_of(*world[:2], challenger, champion), world[0].deploy)

    assert verdict.promote
    assert verdict.challenger < verdict.champion < verdict.dummy
    assert verdict.effect == pytest.approx(verdict.champion - verdict.challenger)


def test_clusterings_are_compared_on_the_same_two_thousand_rows_without_origins():
    world = _world("clustering", rows=2500)
    challenger = _contender(world, {"n_clusters": 2}, candidate="kmeans")
    champion = _contender(world, {"n_clusters": 4}, candidate="kmeans", version="1")

    evidence = evidence_of(*world[:2], challenger, champion)

    assert evidence.rows == 2000
    assert evidence.freshness.theirs == pytest.approx(evidence.configuration.theirs), "one origin"
    assert evidence.freshness.gain.problem is None


class _OneCluster:
    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.zeros(len(X))


def test_a_champion_whose_metric_is_not_defined_is_as_none():
    world = _world("clustering", rows=400)
    challenger = _contender(world, {"n_clusters": 3}, candidate="kmeans")
    champion = Contender(
        "1", world[0], "kmeans", {"n_clusters": 1}, _OneCluster(), world[2], world[3]
    )

    verdict = judge(evidence_of(*world[:2], challenger, champion), world[0].deploy)

    assert verdict.reasons[0] == "silhouette of champion 1 is not defined here"
    assert (verdict.grounds, verdict.champion) == ("first", None)


@pytest.mark.parametrize("positives", [4, 10])
def test_few_positives_are_a_named_verdict(positives):
    use_case, rows, _, _ = world = _world(rows=600)
    y = pd.Series(np.where(np.arange(600) % (600 // positives) == 0, 1.0, 0.0))
    rare = Rows(rows.train_y, y, rows.times, rows.blocks, rows.holdout_partition)
    champion = _contender(world, WEAK, version="1")

    verdict = judge(evidence_of(use_case, rare, _contender(world), champion), use_case.deploy)

    assert not verdict.promote
    assert all("not enough data: " in reason for reason in verdict.reasons)
    assert f"{positives} rows of class 1, 20 are needed" in verdict.reasons[0]
