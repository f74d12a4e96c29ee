"""A world that turns over: who retrains recovers, and nobody knows before."""

from __future__ import annotations

import numpy as np
import pytest

from include.lake.table import Lake
from include.modelling.training_set import TrainingSet
from include.replay.known import History
from include.replay.learn import Learned, learn
from include.replay.policies import (
    POLICIES,
    Ruling,
    every_partition,
    never,
    promote_all,
)
from include.replay.run import Replayed, Run, replay
from include.retrain_trigger.facts import Champion, Facts, Request
from include.use_cases.schema import UseCase
from tests.include.replay.conftest import MONTHS, TURNED, history_of, rows_of, use_case_of
from tests.support.lakes import fill


def no_more(
    use_case: UseCase,
    challenger: Learned,
    champion: Learned | None,
    training: TrainingSet,
    look: int,
) -> Ruling:
    """Let only the first model pass."""
    return Ruling(champion is None, [f"look {look}"])


GATES = {"no gate": promote_all, "closed": no_more}


def replayed(history: History) -> Replayed:
    return replay(history, POLICIES, GATES, learn)


def run_of(found: Replayed, policy: str, gate: str = "no gate") -> Run:
    (run,) = [run for run in found.runs if (run.policy, run.gate) == (policy, gate)]
    return run


@pytest.fixture(scope="module")
def year(tmp_path_factory) -> Replayed:
    """Give the year, replayed once."""
    return replayed(history_of(tmp_path_factory.mktemp("year"), use_case_of()))


def test_the_first_training_waits_for_two_labelled_months(year):
    for run in year.runs:
        assert run.trainings[0] == "2024-03", "January and February have labels then"
        assert run.served["2024-03"] is None, "it serves from the next month on"
        assert run.served["2024-04"] == "2024-03"


def test_never_trains_once(year):
    assert run_of(year, "never").trainings == ["2024-03"]
    assert set(run_of(year, "never").served.values()) == {None, "2024-03"}


def test_every_partition_trains_whenever_labels_come_and_never_for_the_last(year):
    run = run_of(year, "every partition")
    assert run.trainings == MONTHS[2:-1]
    assert [promotion.instead_of for promotion in run.promotions] == [None, *MONTHS[2:-2]]


def test_declared_retrains_when_the_decay_is_seen(year):
    """May turns over; its labels come with June, and then the monitor knows."""
    run = run_of(year, "declared")
    assert run.trainings[:2] == ["2024-03", "2024-06"]
    assert run.windows["2024-04"].decay is False
    assert run.windows["2024-05"].decay is True
    assert run.served["2024-07"] == "2024-06"


def test_the_metric_is_that_of_what_served_when_the_partition_came(year):
    old = year.values["2024-03", "2024-04"], year.values["2024-03", TURNED]
    assert old[0] > 0.8
    assert old[1] < 0.2, "the world turned over"
    assert year.values["2024-06", "2024-07"] > old[1], "May was learned, too"
    assert ("2024-06", "2024-06") not in year.values, "nobody is judged on what was known"


def test_a_closed_gate_keeps_the_first_model_and_says_so(year):
    run = run_of(year, "every partition", "closed")
    assert set(run.served.values()) == {None, "2024-03"}
    assert run.trainings == MONTHS[2:-1]
    assert run.rejected == {month: ["look 1"] for month in MONTHS[3:-1]}


def test_looks_at_one_holdout_are_counted(tmp_path):
    """Asked again before newer labels have come, the gate looks at the same holdout again."""
    history = history_of(tmp_path, use_case_of())
    run, looks = Run("x", "x"), []

    def count(use_case, challenger, champion, training, look):
        looks.append((training.holdout_partitions[0], look))
        return Ruling(False, ["no"])

    from include.replay.run import _train, _Training  # the step of one moment

    for moment in ("2024-04", "2024-04", "2024-05"):
        run.requests.clear()
        known = history.at(moment)
        _train(run, every_partition, count, known, _Training(known, learn))
    assert looks == [("2024-03", 1), ("2024-03", 2), ("2024-04", 1)]


def told(found: Replayed, up_to: str) -> list[tuple]:
    """Tell all that was decided and served up to a moment."""
    return (
        [
            (
                run.policy,
                run.gate,
                {key: model for key, model in run.served.items() if key <= up_to},
                [key for key in run.trainings if key <= up_to],
                [each for each in run.promotions if each.as_of <= up_to],
                {key: window for key, window in run.windows.items() if key < up_to},
            )
            for run in found.runs
        ]
        + [
            (model, key, value)
            for (model, key), value in found.values.items()
            if model <= up_to and key <= up_to
        ]
        + [
            (
                key,
                model.candidate,
                model.params,
                model.values,
                model.partitions,
                model.learned_until,
            )
            for key, model in found.models.items()
            if key <= up_to
        ]
    )


def test_a_planted_future_changes_nothing_before_it(tmp_path, year):
    """From July on the rows are absurd: who looks ahead learns, drifts or decays otherwise."""
    use_case = use_case_of()
    planted = Lake(str(tmp_path / "lake"))
    for month in MONTHS:
        rows = rows_of(month, turned=month >= TURNED)
        if month >= "2024-07":
            rows = rows.assign(x=1e6, z=np.nan, outcome=np.arange(len(rows)) % 2 * 1.0)
        fill(planted, use_case, month, rows)
    found = replayed(History(use_case, planted, label_delay=1))
    assert told(found, up_to="2024-06") == told(year, up_to="2024-06")
    assert found.values["2024-03", "2024-07"] != year.values["2024-03", "2024-07"], "it was planted"


def test_labels_of_the_future_change_nothing_before_they_come(tmp_path, year):
    """The rows of June are the same and its labels are not: they come with July."""
    use_case = use_case_of()
    planted = Lake(str(tmp_path / "lake"))
    for month in MONTHS:
        fill(planted, use_case, month, rows_of(month, turned=TURNED <= month < "2024-06"))
    found = replayed(History(use_case, planted, label_delay=1))
    decided = [run.served | {"promoted": run.promotions[:4]} for run in found.runs]
    expected = [run.served | {"promoted": run.promotions[:4]} for run in year.runs]
    assert [one["2024-07"] for one in decided] == [one["2024-07"] for one in expected]
    assert told(found, "2024-05") == told(year, "2024-05")


def test_a_replay_gives_the_same_again(tmp_path, year):
    again = replayed(history_of(tmp_path, use_case_of()))
    assert again.values == year.values
    assert told(again, MONTHS[-1]) == told(year, MONTHS[-1])


def test_what_serves_has_learned_the_holdout_unless_refit_is_off(tmp_path):
    history = history_of(tmp_path, use_case_of())
    known = history.at("2024-04")
    refit = learn(known, known.training_set())
    assert (refit.known_up_to, refit.learned_until) == ("2024-03", "2024-03")
    X = known.features("2024-04")
    scored = [each.predict_proba(X)[:, 1] for each in (refit.estimator, refit.evaluated)]
    assert not np.allclose(*scored), "another fit, on other rows"
    assert known.known_rows().learned_from == ["2024-02", "2024-03"], "train.max_rows, the newest"

    off = History(use_case_of(deploy={"refit": False}), history.lake, 1).at("2024-04")
    model = learn(off, off.training_set())
    assert model.estimator is model.evaluated
    assert (model.known_up_to, model.learned_until) == ("2024-03", "2024-02")


CHAMPION = Champion("1", as_of="2024-03", known_up_to="2024-02")


@pytest.mark.parametrize(("newest", "asks"), [("2024-03", True), ("2024-02", False)])
def test_every_partition_needs_newer_labels(newest, asks):
    facts = Facts("2024-04", ["2024-01", newest], "t", CHAMPION, requests=[
        Request("2024-03", "2024-02", "t"),
    ])  # fmt: skip
    assert every_partition(facts, use_case_of()).ask is asks
    assert not never(facts, use_case_of()).ask
