"""The table of decisions: it runs, it finds a bad method out, and docs/ says what was measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score

from benchmarks import decision_before as before
from benchmarks import decision_seeds, decisions
from benchmarks.decision_grid import scenarios
from benchmarks.decision_rare import names_what_is_missing
from benchmarks.decision_replay import newest_replay, replay_rows
from benchmarks.decision_scenarios import (
    AUC,
    MAE,
    NOTHING,
    Scenario,
    Setting,
    configuration,
    evidence,
)
from benchmarks.decision_seeds import Judged, Seeded
from benchmarks.decision_table import Row, load, markdown, put_into, save, share_row
from benchmarks.decision_worlds import auc_rho_02, mae_as_flights
from include.deploy.rule import judge
from include.modelling.metrics import METRICS_BY_TASK
from include.use_cases.schema import Deploy

ROW = Row("a", "things", 0.04, 0.01, 0.30, 0.02, 0.07, "at most", True, 200, 100, "abc")
BAD = Setting(mae_as_flights("settings"), 5_000)


def bad(rng):
    """Show the method before as if it were the gate of today."""
    outcome = configuration(BAD, NOTHING, rng)
    return replace(outcome, now=outcome.before())


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))


def test_the_smoke_grid_runs_and_is_written(tmp_path, capsys):
    assert decisions.main(["--smoke"]) == 0
    found = {row.name: row for row in load(tmp_path / "decisions.json")}
    assert set(found) == set(decisions.SMOKE)
    assert {row.n for row in found.values()} == {decisions.SMOKE_SEEDS}
    assert found["few_positives"].now == 0
    assert found["few_positives"].before > 0  # its bound was NaN
    assert "equal/MAE/1000" in capsys.readouterr().out


def test_the_same_seeds_give_the_same_decisions():
    again = [decisions.play("equal/AUC/1000", 3, 4) for _ in range(2)]
    assert again[0] == again[1]
    assert decisions.play("equal/AUC/1000", 5, 2) == again[0][2:]


def test_a_known_bad_method_is_flagged(monkeypatch, capsys):
    """The row bootstrap of before, put in the gate's place, and the exit code that it earns."""
    scenario = Scenario("bad", "equal models: promoted", bad, 0.07)
    monkeypatch.setattr(decisions, "scenarios", lambda: [scenario])
    monkeypatch.setattr(decisions, "SEEDS", 40)
    assert decisions.main(["--only", "bad"]) == 1
    said = capsys.readouterr()
    assert "OVER" in said.out
    assert "Not within its limit: bad" in said.err


def test_on_the_same_rows_the_gate_keeps_the_limit_that_the_method_before_breaks():
    play = partial(configuration, BAD, NOTHING)
    outcomes = [play(np.random.default_rng([7, seed])) for seed in range(40)]
    now, was = [one.now for one in outcomes], [one.before() for one in outcomes]
    row = share_row("equal", "equal models", now, was, 0.07, "at most", "abc")
    assert row.now <= 0.07 + 2 * row.now_se
    assert row.before > 0.07 + 2 * row.before_se


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        decisions.main(["--only", "everything"])
    assert "equal/AUC/1000" in capsys.readouterr().err


def test_limits_are_read_both_ways():
    assert ROW.mark == "ok"
    assert ROW.mark_before == "OVER"
    power = replace(ROW, now=0.65, before=0.71, limit=0.7, sense="at least")
    assert (power.mark, power.mark_before) == ("UNDER", "ok")
    assert replace(ROW, limit=None).mark == ""
    assert replace(ROW, now=None).mark == ""
    assert replace(ROW, code="").mark == "not run"


def test_a_share_has_the_binomial_error_of_two_more_of_each():
    row = share_row("a", "b", [True] * 3 + [False] * 7, [False] * 10, None, "at most", "abc")
    assert (row.now, row.before, row.n) == (0.3, 0.0, 10)
    assert row.now_se == pytest.approx(math.sqrt(5 / 14 * 9 / 14 / 14))
    assert row.before_se == pytest.approx(math.sqrt(2 / 14 * 12 / 14 / 14))


def test_the_table_of_a_document_is_replaced_and_the_rest_is_kept(tmp_path):
    document, results = tmp_path / "d.md", tmp_path / "d.json"
    document.write_text(
        "Before.\n<!-- written by benchmarks.decisions: begin -->\nold\n"
        "<!-- written by benchmarks.decisions: end -->\nAfter.\n"
    )
    save(results, [ROW])
    put_into(document, load(results))
    said = document.read_text()
    assert "| things | 30.0% ± 2.0 OVER | 4.0% ± 1.0 | ≤ 7% | ok | 200 |" in said
    assert "old" not in said
    assert said.startswith("Before.\n")
    assert said.endswith("\nAfter.\n")
    put_into(document, load(results))
    assert document.read_text() == said


def test_a_document_without_the_marks_is_refused(tmp_path):
    document = tmp_path / "d.md"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="must have the lines"):
        put_into(document, [ROW])


def test_the_committed_document_carries_the_committed_results():
    rows = load(decisions.RESULTS)
    assert markdown(rows) in decisions.DOCUMENT.read_text(encoding="utf-8"), (
        "docs/decisions.md differs from docs/decisions.json: run "
        "`python -m benchmarks.decisions --docs --only` with any row"
    )
    simulated = {row.name: row for row in rows if row.name in {one.name for one in scenarios()}}
    assert set(simulated) == {one.name for one in scenarios()}
    assert all(row.n >= decisions.SEEDS for row in simulated.values() if row.measured)


def test_a_new_figure_takes_the_place_of_the_older_and_no_place_is_lost():
    name = scenarios()[1].name
    older = [replace(ROW, name=name, now=0.5), replace(ROW, name="seeds")]
    table = decisions.in_order(
        [replace(ROW, name=name), replace(ROW, name="seeds", code="")], older
    )
    assert [row.name for row in table][: len(scenarios())] == [one.name for one in scenarios()]
    assert [row.name for row in table if row.measured] == [name, "seeds"]
    assert table[1].now == 0.04


def test_the_bound_of_before_is_the_percentile_of_weighted_metrics(monkeypatch):
    """By scikit-learn's weighted metrics, resample by resample."""
    monkeypatch.setattr(before, "RESAMPLES", 40)
    rng = np.random.default_rng(3)
    truth = (rng.random(80) < 0.4).astype(float)
    ours, theirs = truth + rng.normal(0, 1, 80), truth + rng.normal(0, 1.5, 80)
    draws = np.random.default_rng(0)
    gains = {"auc": [], "mae": []}
    for _ in range(before.RESAMPLES):
        weight = np.bincount(draws.integers(0, 80, 80), minlength=80)
        a, b = (roc_auc_score(truth, each, sample_weight=weight) for each in (ours, theirs))
        gains["auc"].append(a - b)
        a, b = (mean_absolute_error(truth, each, sample_weight=weight) for each in (ours, theirs))
        gains["mae"].append(b - a)
    for metric, name in ((AUC, "auc"), (MAE, "mae")):
        low = before.lower_bound(metric, truth, ours, theirs)
        assert low == pytest.approx(np.quantile(gains[name], 0.05))


def test_the_slices_of_before_were_judged_by_the_point_estimate():
    truth = np.tile([0.0, 1.0], 1000)
    right, wrong = truth + np.linspace(0, 0.1, 2000), -truth + np.linspace(0, 0.1, 2000)
    which = np.repeat([0, 1], 1000)
    mixed = np.where(which == 1, wrong, right)
    assert before.blocks(AUC, truth, mixed, right, which)
    assert not before.blocks(AUC, truth, right, mixed, which)
    assert not before.blocks(AUC, truth, mixed, right, which, min_rows=1001)


def test_only_words_about_missing_data_count_as_a_named_verdict():
    rng = np.random.default_rng(0)
    world = auc_rho_02("settings")
    few = world.with_positives(rng, 1000, 6, [0.86, 0.71, 0.66])
    verdict = judge(evidence(AUC, few, configuration=1), Deploy())
    assert names_what_is_missing(verdict)
    assert not names_what_is_missing(replace(verdict, confidence_low=math.nan))
    assert not names_what_is_missing(replace(verdict, promote=True))
    assert not names_what_is_missing(replace(verdict, reasons=["lower bound nan"]))


def test_months_are_the_units_of_pairs_of_seeds():
    yes, no = Judged(True, 0.02, 0.01), Judged(False, -0.5, -0.5)
    months = [[(yes, no), (no, no)], [(no, yes), (no, no)]]
    row = decision_seeds._promotions(months, 2)
    assert (row.now, row.before, row.n) == (0.25, 0.25, 4)
    assert row.now_se == pytest.approx(0.25)  # of 1/2 and 0
    gain, later = decision_seeds._gains(months)
    assert (gain.now, gain.before) == (0.02, 0.02)
    assert later.now == 0.01
    assert later.now_se is None  # one month only


def test_the_refit_of_a_month_is_what_was_fitted_for_the_next():
    a, b = np.zeros(1), np.ones(1)
    found = {(0, "2013-04"): Seeded(a, a, a), (0, "2013-05"): Seeded(b, b, b)}
    ((first, refit),) = decision_seeds._of(found, "2013-04")
    assert first is found[0, "2013-04"]
    assert refit is b


def test_a_replay_that_was_not_run_says_so():
    assert [row.mark for row in replay_rows(None)] == ["not run", "not run"]
    assert newest_replay() is None or newest_replay().name == "replay.json"


def test_a_replay_is_read_and_shared_promotions_count_once(tmp_path):
    path = tmp_path / "replay.json"
    paid = {"policy": "declared", "gate": "gate", "as_of": "2013-05", "claimed": 0.01, "gain": 0.03}
    path.write_text(
        json.dumps(
            {
                "code": "3f2a1bc",
                "partitions": ["2013-05", "2013-06"],
                "lines": [
                    {
                        "policy": "declared",
                        "gate": "gate",
                        "against": {"mean": 0.002, "standard_error": 0.001},
                    }
                ],
                "paid": [
                    paid,
                    {**paid, "policy": "every partition"},
                    {**paid, "as_of": "2013-06", "claimed": 0.01, "gain": -0.01},
                    {**paid, "as_of": "2013-07", "gate": "no gate", "claimed": None, "gain": 1.0},
                ],
            }
        )
    )
    declared, claimed = replay_rows(path)
    assert (declared.now, declared.now_se, declared.n) == (0.002, 0.001, 2)
    assert declared.code == claimed.code == "3f2a1bc"
    assert claimed.now == pytest.approx(0.0)  # +.02 and -.02
    assert claimed.now_se == pytest.approx(0.02)
    assert claimed.n == 2


def test_the_area_of_before_counts_ties_half():
    truth = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    score = np.array([0.2, 0.2, 0.7, 0.7, 0.9])
    weight = np.array([1.0, 2.0, 0.0, 3.0, 1.0])
    found = before._Resampled(METRICS_BY_TASK["classification"]["roc_auc"], truth, score)
    assert found.of(weight) == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))
