"""Rules label rows through the real operators of the wheel, on a real lake and landing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.housekeeping.survey import Survey
from include.ingest_label.landing import Landing
from include.labelling import annotators
from include.lake.table import Lake
from include.modelling.training_set import load_training_set
from include.use_cases.loader import get
from plugins.operators.feature import BuildFeaturesOperator
from plugins.operators.ingest_label import IngestLabelsOperator, IngestRowsOperator
from plugins.operators.label import LabelByRulesOperator, ReportLabelsOperator
from plugins.operators.retract import RetractOperator
from plugins.operators.validate_clean import ValidateCleanOperator
from tests.support.tasks import OUTLET, emitted, execute, is_small_json, make_context

KEYS = ("2024-05", "2024-06")
SOME = AssetAlias("calls.more")
LANDING = Asset(name="calls.landing")
YAML = """\
task: classification
description: Will this customer leave?
owner: calls@example.com
ingest:
  landing: calls/{partition}/*.csv
  partition: {column: seen_at, grain: month}
  key: [customer]
  columns: {customer: int64, seen_at: timestamp, plan: string, calls: int64, bill: float64}
labels:
  strategy: rules
  min_coverage: 0.5
  rules:
    functions:
      many_calls: {when: "calls >= 8", label: 1}
      few_calls: {when: "calls < 3", label: 0}
      cheap_gold: {when: "plan == 'gold' and bill < 10", label: 0}
      no_bill: {when: "bill is None", label: 1}
      never: {when: "calls > 1000", label: 1}
      by_hand: {python: by_hand}
features: {inputs: [plan, calls, bill], numeric: [calls, bill], categorical: [plan]}
train:
  metric: roc_auc
  split: {by: seen_at}
  candidates: [{estimator: logistic_regression}]
retrain: {when: [age]}
"""
PYTHON = """\
def by_hand(row):
    if row["bill"] < 2:  # raises where the bill is missing
        return 0
    if row["calls"] == 7:
        return 9
    return None
"""
SUITE = "- {expectation: expect_column_values_to_not_be_null, column: plan, on_failure: refuse}\n"


@pytest.fixture
def root(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the use case `calls`, and land two months of 40 customers."""
    folder = home / "use_cases" / "calls"
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text(YAML)
    (folder / "labels.py").write_text(PYTHON)
    (folder / "expectations.yaml").write_text(SUITE)
    monkeypatch.setenv("FLYWHEEL_USE_CASES", str(folder.parent))
    for key in KEYS:
        lines = ["customer,seen_at,plan,calls,bill"]
        for number in range(40):
            bill = "" if number % 10 == 9 else str(number / 2)
            plan = "gold" if number % 2 else "basic"
            lines.append(f"{number},{key}-01T{number % 24:02}:00:00Z,{plan},{number % 12},{bill}")
        target = home / "landing" / "calls" / key
        target.mkdir(parents=True)
        (target / "calls.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(operator: type[Any], key: str | None = None, *, number: int = 1, **how: Any) -> Any:
    """Run a task as an event does; returns what it returned, and its context."""
    more = {}
    if operator in (IngestRowsOperator, IngestLabelsOperator):
        more = {"more": SOME, "landing": LANDING, "outlets": [OUTLET, SOME]}
        how = {"partition": None, **how}
    task = operator(task_id="do", use_case="calls", **({"outlets": [OUTLET]} | more))
    context = make_context(key=key, run=number, **{"run_type": "asset_triggered", **how})
    return execute(task, context), context


def label(home: Path, number: int = 1, **how: Any) -> dict[str, Any]:
    return run(LabelByRulesOperator, KEYS[0], number=number, **how)[0]


@pytest.fixture
def cleaned(root: Path, home: Path) -> Lake:
    """Take both months in, and clean them."""
    run(IngestRowsOperator)
    for key in KEYS:
        run(ValidateCleanOperator, key)
    return Lake(str(home / "lake"))


def votes(number: int) -> tuple[int, int]:
    """Count the votes for class 0 and for class 1 of a customer, by hand."""
    calls, bill = number % 12, None if number % 10 == 9 else number / 2
    ones = [calls >= 8, bill is None]
    zeros = [calls < 3, number % 2 == 1 and bill is not None and bill < 10]
    zeros += [bill is not None and bill < 2]
    return sum(zeros), sum(ones)


def expected(number: int) -> int | None:
    """Return the label of a customer: the same number of votes for each class is no label."""
    zeros, ones = votes(number)
    return None if zeros == ones else int(ones > zeros)


def labels_of(lake: Lake) -> dict[int, int]:
    rows = lake.table("calls", "labels").read([KEYS[0]]).to_pylist()
    return {row["customer"]: row["label"] for row in rows}


def test_rules_label_through_the_wheel_and_a_model_can_learn_from_it(cleaned, home):
    for key in KEYS:
        returned, context = run(LabelByRulesOperator, key)
        assert emitted(context) == (
            {key},
            {"partition": key, "rows": 40, "version": returned["version"]},
        )
        run(BuildFeaturesOperator, key)
    by_hand = {number: expected(number) for number in range(40)}
    assert labels_of(cleaned) == {one: found for one, found in by_hand.items() if found is not None}
    learned = load_training_set(get("calls"), cleaned, KEYS[1])
    assert learned.partitions == list(KEYS)
    assert learned.train_y is not None
    assert learned.train_y.tolist().count(1) == list(by_hand.values()).count(1)


def test_what_each_rule_did_is_told(cleaned, home):
    returned = label(home)
    told = {one["name"]: one for one in returned["functions"]}
    assert is_small_json(returned)
    assert (returned["rows"], returned["model"]) == (40, "majority"), "too few rows to weigh by"
    counted = [votes(number) for number in range(40)]
    assert returned["labelled"] == sum(zeros != ones for zeros, ones in counted)
    assert returned["all_abstain"] == counted.count((0, 0))
    assert returned["undecided"] == sum(zeros == ones > 0 for zeros, ones in counted)
    assert told["never"]["coverage"] == 0
    assert told["never"]["accuracy"] is None
    # Four bills are missing; of the three rows with seven calls one is among these.
    assert told["by_hand"]["raised"] == 4 + 2
    assert told["by_hand"]["first_error"].startswith(
        "data row 8: ValueError: must return 0, 1 or None"
    )
    assert told["many_calls"]["coverage"] == sum(number % 12 >= 8 for number in range(40)) / 40
    assert 0 < told["many_calls"]["conflict"] <= told["many_calls"]["overlap"]


def test_a_rerun_publishes_nothing_new(cleaned, home):
    label(home)
    before = cleaned.table("calls", "label_history").version()
    with pytest.raises(AirflowSkipException, match="up to date"):
        label(home, number=2)
    with pytest.raises(AirflowSkipException, match="has the same content as before"):
        label(home, number=3, run_type="manual")
    assert cleaned.table("calls", "label_history").version() == before


def test_a_changed_rule_puts_it_out_of_date_and_is_a_new_version_when_rebuilt(cleaned, root, home):
    label(home)
    (root / "use_case.yaml").write_text(YAML.replace("calls >= 8", "calls >= 6"))
    survey = Survey(get("calls"), cleaned, Landing(str(home / "landing")), None)
    assert survey.states("votes")[KEYS[0]].status == "out of date"
    assert survey.states("votes")[KEYS[1]].due
    label(home, number=2, run_type="manual")
    history = cleaned.table("calls", "label_history").read([KEYS[0]]).to_pylist()
    of_six = {row["_version"]: row["label"] for row in history if row["customer"] == 18}
    assert of_six == {1: 1}, "six calls, basic, a bill: no rule voted before"
    assert 18 in labels_of(cleaned)


def test_where_no_rule_votes_it_is_refused_and_nothing_is_published(cleaned, root, home):
    (root / "use_case.yaml").write_text(
        YAML.replace('"calls >= 8"', '"calls > 99"')
        .replace('"calls < 3"', '"calls > 99"')
        .replace("bill < 10", "bill < -10")
        .replace("bill is None", "bill == -1")
    )
    (root / "labels.py").write_text("def by_hand(row):\n    raise KeyError('no such column')\n")
    said = (
        r"no rule gives a label to any of the 40 rows .* by_hand votes on 0% and raised in 40 rows"
    )
    with pytest.raises(AirflowFailException, match=said):
        label(home)
    assert not cleaned.table("calls", "labels").exists()
    assert not cleaned.table("calls", "votes").exists()
    with pytest.raises(AirflowSkipException, match="refused before, and nothing has changed since"):
        label(home, number=2)


def test_a_function_that_is_not_there_is_named(cleaned, root, home):
    (root / "labels.py").write_text("x = 1\n")
    with pytest.raises(
        AirflowFailException, match=r"names 'by_hand', which labels\.py does not define"
    ):
        label(home)


def test_a_retraction_takes_votes_and_labels_back(cleaned, home):
    label(home)
    run(RetractOperator, None, number=2, run_type="manual", partition=KEYS[0], reason="a mistake")
    assert cleaned.table("calls", "labels").partitions() == []
    assert cleaned.table("calls", "votes").partitions() == []
    history = cleaned.table("calls", "label_history").read([KEYS[0]]).to_pylist()
    last = {row["customer"]: row["label"] for row in history if row["_version"] == 2}
    assert last
    assert set(last.values()) == {None}


def test_outcomes_beside_rules_take_precedence(root, home):
    landed = YAML.replace(
        "  strategy: rules\n",
        "  landing: left/{partition}/*.csv\n  from: left\n"
        "  columns: {customer: int64, left: bool}\n",
    )
    (root / "use_case.yaml").write_text(landed)
    target = home / "landing" / "left" / KEYS[0]
    target.mkdir(parents=True)
    # Many calls say that customer 8 leaves; she stayed. Of customer 6 no rule says anything.
    (target / "left.csv").write_text("customer,left\n8,false\n6,true\n")
    run(IngestRowsOperator)
    run(ValidateCleanOperator, KEYS[0])
    lake = Lake(str(home / "lake"))
    label(home)
    alone = labels_of(lake)
    assert (alone[8], alone.get(6)) == (1, None)
    run(IngestLabelsOperator)
    assert labels_of(lake) == {**alone, 8: 0, 6: 1}


def test_the_labels_are_reported_on_with_what_is_wrong_with_them(cleaned, home):
    with pytest.raises(AirflowSkipException, match=r"has not|Nothing to make|when its features"):
        run(ReportLabelsOperator, KEYS[0])
    for key in KEYS:
        run(BuildFeaturesOperator, key)
        run(LabelByRulesOperator, key)
    returned, context = run(ReportLabelsOperator, KEYS[1])
    assert is_small_json(returned)
    assert returned["strategies"] == {"rules": returned["rows"]}
    sure = [max(said) / sum(said) for number in range(40) if (said := votes(number))[0] != said[1]]
    assert returned["mean_confidence"] == pytest.approx(sum(sure) / len(sure), abs=1e-3)
    told = cleaned.table("calls", "label_quality").read([KEYS[1]]).to_pylist()
    shares = [(row["subject"], row["value"]) for row in told if row["topic"] == "class share"]
    assert {key for key, _ in shares} == set(KEYS), "over time"
    assert sum(value for key, value in shares if key == KEYS[0]) == pytest.approx(1)
    assert emitted(context)[0] == {KEYS[1]}
    with pytest.raises(AirflowSkipException, match="up to date"):
        run(ReportLabelsOperator, KEYS[1], number=2)


def test_what_a_person_should_know_of_the_annotators_is_a_warning(cleaned, home, monkeypatch):
    monkeypatch.setattr(
        annotators, "_warnings", lambda *_: iter(["bob is right on 10% of 20 gold items"])
    )
    path = home / "use_cases" / "calls" / "use_case.yaml"
    people = "  people: {items: 5}\n  rules:\n"
    path.write_text(path.read_text().replace("  rules:\n", people, 1))
    run(BuildFeaturesOperator, KEYS[0])
    run(LabelByRulesOperator, KEYS[0])
    heard: list[str] = []
    monkeypatch.setattr(
        ReportLabelsOperator,
        "log",
        SimpleNamespace(
            warning=lambda text, *told: heard.append(text % told), info=lambda *_: None
        ),
    )
    returned, _ = run(ReportLabelsOperator, KEYS[0])
    assert returned["warnings"] == ["bob is right on 10% of 20 gold items"]
    assert heard == [f"{KEYS[0]}: bob is right on 10% of 20 gold items"]
