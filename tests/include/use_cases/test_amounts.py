"""Amounts of a metric, in its unit or as a share."""

import math

import pytest

from include.use_cases.amounts import Amount
from include.use_cases.loader import dump, load_text
from include.use_cases.yaml_text import read
from tests.include.use_cases.test_schema import CONFS


@pytest.mark.parametrize(
    ("written", "number", "is_share"),
    [(0, 0.0, False), (0.02, 0.02, False), ("10%", 10, True), ("2.5 %", 2.5, True)],
)
def test_an_amount_is_read_as_it_is_written(written, number, is_share):
    assert Amount.of(written) == Amount(number, is_share)


@pytest.mark.parametrize(
    "written", [-1, -0.5, True, "10", "ten%", "-5%", None, [1], math.nan, math.inf]
)
def test_anything_else_is_refused_with_words(written):
    with pytest.raises(ValueError, match="must be a number >= 0 in the metric's unit, such as"):
        Amount.of(written)


def test_a_share_is_of_the_skill_whichever_way_the_metric_reads():
    assert Amount.of("10%").within(0.25) == pytest.approx(0.025)
    assert Amount.of("10%").within(-40.0) == pytest.approx(4.0), (
        "an error falls as a model improves"
    )
    assert Amount.of(0.3).within(-40.0) == 0.3


def _use_case(deploy: str):
    text = (CONFS / "valid" / "classification.yaml").read_text()
    return load_text(f"{text}deploy: {deploy}\n", "churn", "use_case.yaml")


def test_a_use_case_keeps_both_kinds_as_they_were_written():
    text = (CONFS / "valid" / "classification.yaml").read_text()
    deploy = '{min_effect: "3%", margin: 0.01, slices: {columns: [plan], max_drop: 1}}'
    use_case = load_text(f"{text}deploy: {deploy}\n", "churn", "use_case.yaml")

    assert use_case.deploy.min_effect == Amount(3, is_share=True)
    assert use_case.deploy.margin == Amount(0.01, is_share=False)
    assert use_case.deploy.slices.max_drop == Amount(1, is_share=False)
    assert load_text(dump(use_case), "churn", "dump") == use_case
    assert read(dump(use_case), "dump").content["deploy"]["min_effect"] == "3%"


def test_the_defaults_are_shares():
    deploy, monitor = _use_case("{}").deploy, _use_case("{}").monitor
    assert [str(deploy.min_effect), str(deploy.margin)] == ["2%", "10%"]
    assert str(monitor.max_metric_drop) == "10%"
