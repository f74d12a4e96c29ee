"""The table by hand: three partitions, four models, and every number known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from include.errors import DataContractError
from include.replay.picture import draw
from include.replay.report import Difference, Line, Report, report_on, text_of
from include.replay.run import Promotion, Replayed, Run
from tests.include.replay.conftest import use_case_of

PARTITIONS = ["01", "02", "03", "04", "05"]
VALUES = {
    ("02", "03"): 0.70, ("02", "04"): 0.60, ("02", "05"): 0.50,
    ("03", "04"): 0.66, ("03", "05"): 0.72,
    ("04", "05"): 0.68,
}  # fmt: skip


def run_of(policy: str, gate: str, served: list[str | None], **more) -> Run:
    models = [model for model in dict.fromkeys(served) if model is not None]
    promotions = [
        Promotion(model, before, ["better"], more.get("claimed"))
        for model, before in zip(models, [None, *models], strict=False)
    ]
    return Run(
        policy,
        gate,
        served=dict(zip(PARTITIONS, served, strict=True)),
        trainings=more.get("trainings", models),
        promotions=promotions,
    )


def replayed() -> Replayed:
    return Replayed(
        PARTITIONS,
        [
            run_of("never", "gate", [None, None, "02", "02", "02"]),
            run_of(
                "declared", "gate", [None, None, "02", "03", "03"], claimed=0.05,
                trainings=["02", "03", "04"],
            ),
            run_of("every partition", "no gate", [None, None, "02", "03", "04"]),
        ],
        VALUES,
    )  # fmt: skip


def report() -> Report:
    return report_on(use_case_of(), replayed(), label_delay=1)


def line(policy: str) -> Line:
    (found,) = [line for line in report().lines if line.policy == policy]
    return found


def test_only_partitions_that_a_model_served_under_every_policy_are_compared():
    assert report().partitions == ["03", "04", "05"]
    late = replayed()
    late.runs[0].served["03"] = None
    assert report_on(use_case_of(), late, 1).partitions == ["04", "05"]


def test_means_trainings_and_promotions():
    assert line("never").mean == pytest.approx(0.60)
    assert line("declared").mean == pytest.approx((0.70 + 0.66 + 0.72) / 3)
    assert line("every partition").mean == pytest.approx(0.68)
    assert (line("declared").trainings, line("declared").promotions) == (3, 2)
    assert line("never").by_partition == {"03": 0.70, "04": 0.60, "05": 0.50}


def test_the_oracle_takes_the_best_model_of_each_partition():
    oracle = line("oracle")
    assert oracle.by_partition == {"03": 0.70, "04": 0.66, "05": 0.72}
    assert (oracle.trainings, oracle.promotions) == (2, 2), "02 and 03, and one change"
    assert oracle.regret.mean == 0.0


def test_regret_and_gain_are_paired():
    # Against the oracle never loses 0, .06 and .22; against every partition 0, .06 and .18.
    assert line("never").regret.mean == pytest.approx(0.28 / 3)
    assert line("never").regret.standard_error == pytest.approx(
        math.sqrt(sum((x - 0.28 / 3) ** 2 for x in (0, 0.06, 0.22)) / 2 / 3)
    )
    assert line("never").against.mean == pytest.approx(-0.24 / 3)
    assert line("declared").against.mean == pytest.approx(0.04 / 3)


def test_a_metric_that_should_be_low_is_read_so():
    train = {
        "metric": "log_loss",
        "split": {"by": "at", "folds": 2},
        "candidates": [{"estimator": "logistic_regression"}],
    }
    found = report_on(use_case_of(train=train), replayed(), 1)
    by_policy = {line.policy: line for line in found.lines}
    assert by_policy["oracle"].by_partition == {"03": 0.70, "04": 0.60, "05": 0.50}
    assert by_policy["never"].regret.mean == 0.0
    assert by_policy["declared"].regret.mean == pytest.approx((0.06 + 0.22) / 3)
    assert "(lower is better)" in text_of(found)


def test_what_a_promotion_brought_on_the_next_partition():
    paid = {(one.policy, one.as_of): one for one in report().paid}
    assert set(paid) == {("declared", "03"), ("every partition", "03"), ("every partition", "04")}
    assert paid["declared", "03"].gain == pytest.approx(0.06)
    assert paid["declared", "03"].claimed == 0.05
    assert paid["every partition", "04"].gain == pytest.approx(-0.04)
    assert (
        "Promotions that replaced a model: 1. The gate vouched for a gain above +0.0500 on average;"
        " the next partition brought +0.0600." in text_of(report())
    )


def test_a_metric_that_is_not_defined_is_left_out():
    values = VALUES | {("02", "03"): math.nan}
    found = report_on(use_case_of(), replace(replayed(), values=values), 1)
    assert found.partitions == ["04", "05"]


def test_a_history_without_a_served_partition_is_refused():
    none = [run_of("every partition", "no gate", [None] * 5)]
    with pytest.raises(DataContractError, match="Land a longer history"):
        report_on(use_case_of(), Replayed(PARTITIONS, none, {}), 1)


def test_one_partition_has_no_standard_error():
    assert Difference.of([0.5]) == Difference(0.5, None)


def test_the_table_and_its_json_say_the_same():
    found = report()
    text = text_of(found)
    row = next(line for line in text.splitlines() if line.startswith("declared"))
    assert row.split() == [
        "declared", "gate", "0.6933", "3", "2", "+0.0000", "±", "0.0000", "+0.0133", "±", "0.0133",
    ]  # fmt: skip
    assert text.splitlines()[0] == (
        "tiny: roc_auc (higher is better) of what served, mean of 3 partitions, 03 to 05; labels"
        " come 1 partition later"
    )
    assert "labels come with their rows" in text_of(replace(found, label_delay=0))
    assert "labels come 2 partitions later" in text_of(replace(found, label_delay=2))
    again = json.loads(json.dumps(found.as_json()))
    assert again["lines"][1]["mean"] == pytest.approx(0.6933, abs=1e-4)


def test_the_picture_names_every_policy_and_is_the_same_again(tmp_path):
    first = draw(report(), tmp_path / "deep" / "replay.svg").read_text()
    for line in report().lines:
        assert f"{line.policy}{', ' + line.gate if line.gate else ''}: {line.mean:.4f}" in first
    assert draw(report(), tmp_path / "replay.svg").read_text() == first
