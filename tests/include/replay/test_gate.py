"""The wheel's own gate in a replay: it lets a world that turned over be learned, and chance not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.modelling.fit import fit
from include.replay.gate import Gate
from include.replay.known import History
from include.replay.learn import learn
from include.replay.policies import POLICIES, promote_all
from include.replay.report import report_on
from include.replay.run import replay
from tests.include.replay.conftest import history_of, use_case_of


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> History:
    """Give the year once; nothing here changes it."""
    return history_of(tmp_path_factory.mktemp("year"), use_case_of())


def models(history: History, champion: str, challenger: str):
    learned = []
    for moment in (champion, challenger):
        known = history.at(moment)
        training = known.training_set()
        learned.append(learn(known, training))
    return learned[0], learned[1], training


def test_the_first_model_is_judged_against_the_dummy(history):
    known = history.at("2024-04")
    training = known.training_set()
    ruling = Gate()(history.use_case, learn(known, training), None, training, 1)
    assert ruling.promote
    assert ruling.low is None, "over no champion nothing is claimed"
    assert any(reason.startswith("dummy: ") for reason in ruling.reasons)


def test_a_model_that_knows_the_new_world_is_promoted_with_a_claim(history):
    old, new, training = models(history, "2024-04", "2024-07")
    gate = Gate()
    ruling = gate(history.use_case, new, old, training, 1)
    assert ruling.promote
    assert ruling.low > 0.3, "the old one is worse than chance there"
    later = gate(history.use_case, new, old, training, 3)
    assert later.low < ruling.low, "a third look at one holdout claims less"


def test_a_champion_that_learned_the_holdout_is_not_asked_for_freshness(history):
    """It would recall these rows; and the configuration is the same, so nothing can promote."""
    known = history.at("2024-07")
    training = known.training_set()
    model = learn(known, training)
    ruling = Gate()(history.use_case, replace(model, params={"C": 1e-6}), model, training, 1)
    assert not ruling.promote
    assert not any(reason.startswith("freshness") for reason in ruling.reasons)


def test_a_refit_that_does_not_agree_may_not_serve(history):
    """What would serve answers the opposite of what was judged."""
    _, new, training = models(history, "2024-04", "2024-07")
    upside_down = fit(
        history.use_case, new.candidate, new.params, training.train_X, 1 - training.train_y
    )
    ruling = Gate()(history.use_case, replace(new, serve=lambda: upside_down), None, training, 1)
    assert not ruling.promote
    assert ruling.reasons[-1].startswith("refit: ")


def test_with_the_gate_the_declared_policy_recovers_too(history):
    gates = {"gate": Gate(), "no gate": promote_all}
    report = report_on(history.use_case, replay(history, POLICIES, gates, learn), 1)
    means = {(line.policy, line.gate): line.mean for line in report.lines}
    assert means["declared", "gate"] > means["never", "gate"] + 0.1
    assert all(line.regret.mean >= 0 for line in report.lines)
    claimed = [one.claimed for one in report.paid if one.gate == "gate"]
    assert claimed
    assert None not in claimed
