"""Conditions of `labels.rules`: what the grammar takes, refuses, and makes of rows."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pyarrow as pa
import pytest

from include.errors import ConfigError
from include.label.predicates import holds
from include.use_cases.loader import load_text
from include.use_cases.predicates import parse
from tests.include.conftest import VALID

ROWS = pa.table({
    "calls": pa.array([1, 5, None, 9]),
    "bill": pa.array([0.5, None, 2.5, 4.0]),
    "plan": pa.array(["gold", "basic", None, "it's"]),
    "paid": pa.array([True, None, False, True]),
    "seen_at": pa.array(
        [datetime(2024, 5, day, tzinfo=UTC) for day in (1, 2, 3, 4)], pa.timestamp("us", "UTC")
    ),
})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("calls > 4", [1, 3]),
        ("calls != 5", [0, 3]),
        ("not calls > 4", [0]),
        ("calls is None", [2]),
        ("not (calls is None)", [0, 1, 3]),
        ("calls > 4 and bill > 3", [3]),
        ("calls > 4 or bill > 2", [1, 2, 3]),
        ("plan == 'gold' or plan == \"it's\"", [0, 3]),
        ("plan in ['gold', 'basic']", [0, 1]),
        ("plan not in ['gold', 'basic']", [3]),
        ("paid == True", [0, 3]),
        ("bill >= -1", [0, 2, 3]),
        ("seen_at >= '2024-05-02' and seen_at < '2024-05-03T12:00+00:00'", [1, 2]),
        ("seen_at == '2024-05-02T02:00+02:00'", [1]),
    ],
)
def test_a_condition_holds_in_these_rows(text, rows):
    assert holds(parse(text), ROWS).nonzero()[0].tolist() == rows


def test_joined_conditions_are_those_of_pythons_own_logic():
    pairs = list(product((0, 1), repeat=2))
    both = pa.table({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]})
    text = "not (a == 1 and b == 0) or a == 1 and not b == 1"
    expected = [not (a == 1 and b == 0) or (a == 1 and b != 1) for a, b in pairs]
    assert holds(parse(text), both).tolist() == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true')", "no comparison of a column"),
        ("calls.real > 1", "no comparison of a column"),
        ("f(calls) > 1", "no comparison of a column"),
        ("1 < calls < 3", "no comparison of a column"),
        ("calls > bill", "no number, text, True or False"),
        ("calls > 1 + 1", "no number, text, True or False"),
        ("plan == f'{calls}'", "no number, text, True or False"),
        ("plan in 'gold'", "'in' takes a list"),
        ("plan == None", "'is' takes None"),
        ("calls >", "cannot be read"),
        ("", "cannot be read"),
        ("calls > 1; calls", "cannot be read"),
        ("calls > 1 and " * 200 + "calls > 1", "at most 2000 characters"),
        ("not " * 60 + "calls > 1", "nested at most 50 deep"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused_with_an_example(text, said):
    with pytest.raises(ValueError, match=said):
        parse(text)


RULES = """  rules:
    functions:
      first: {when: "calls > 3", label: 1}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"calls > 3"', '"visits > 3"'), "names 'visits', which is not among ingest.columns"),
        (('"calls > 3"', "\"calls > '3'\""), "of type int64, with '3'. Compare it with a number"),
        (('"calls > 3"', "\"plan > 'a'\""), "orders 'plan', which is of type string"),
        (('"calls > 3"', "\"seen_at > 'May'\""), "Compare it with a time in quotes"),
        (("label: 1", "label: 2"), "label must be 0 or 1, got 2"),
        ((", label: 1", ""), "'when' needs 'label'"),
        (("when:", "python: f, when:"), "needs one of 'when' and 'python'"),
        (('"calls > 3"', '"calls + 3"'), "no comparison of a column"),
        (("  rules:", "  precedence: [outcome]\n  rules:"), "must name 'rules', which"),
        (("  rules:", "  from: plan\n  rules:"), "labels.from is for labels that land"),
        ((RULES, ""), "strategy 'rules' needs labels.rules"),
    ],
)
def test_a_rule_that_does_not_fit_the_columns_is_refused(change, said):
    text = VALID.read_text()
    begin, end = text.index("labels:"), text.index("features:")
    text = f"{text[:begin]}labels:\n  strategy: rules\n{RULES}{text[end:]}"
    use_case = load_text(text, "churn", "use_case.yaml")
    assert use_case.labels is not None
    assert use_case.labels.strategies == ["rules"]
    assert list(use_case.labels.columns) == ["customer", "seen_at"], "what names and orders rows"
    assert change[0] in text
    with pytest.raises(ConfigError, match=said):
        load_text(text.replace(*change), "churn", "use_case.yaml")


def test_rules_vote_for_classes_by_name_or_number():
    text = VALID.read_text()
    begin, end = text.index("labels:"), text.index("features:")
    rules = RULES.replace("label: 1", "label: 2")
    text = f"{text[:begin]}labels:\n  strategy: rules\n  classes: [a, b, c]\n{rules}{text[end:]}"
    use_case = load_text(text, "churn", "use_case.yaml")
    assert use_case.labels is not None
    assert use_case.labels.numbers == {"a": 0, "b": 1, "c": 2}
    for told in ("label: c", "label: 'b'"):
        assert load_text(text.replace("label: 2", told), "churn", "use_case.yaml").labels
    for wrong, shown in (("3", "3"), ("d", "'d'")):
        named = r"must be one of \['a', 'b', 'c'\] in labels.classes, or a number from 0 to 2"
        said = f"{named}, got {shown}"
        with pytest.raises(ConfigError, match=said):
            load_text(text.replace("label: 2", f"label: {wrong}"), "churn", "use_case.yaml")
    with pytest.raises(ConfigError, match=r"labels.classes is for labels that land"):
        load_text(
            text.replace("[a, b, c]", "{a: 0, b: 1}").replace("label: 2", "label: 1"),
            "churn",
            "use_case.yaml",
        )
