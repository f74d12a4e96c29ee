from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from include.errors import ConfigError
from include.use_cases.expectations import Suite
from include.validate_clean.expectations import check

FRAME = pd.DataFrame(
    {
        "plan": pd.Series(["a", None, "c", "d"], dtype="str"),
        "low": [1.0, 2.0, 30.0, None],
        "high": [2.0, 1.0, 40.0, 5.0],
    }
)


def suite(*expectations: dict[str, Any]) -> Suite:
    return Suite.model_validate({"expectations": list(expectations)})


def quarantine(name: str, **arguments: object) -> dict[str, Any]:
    return {"expectation": name, "on_failure": "quarantine", **arguments}


def test_failing_rows_are_named_with_every_reason() -> None:
    checked = check(
        FRAME,
        suite(
            quarantine("expect_column_values_to_be_between", column="low", max_value=10),
            quarantine("expect_column_values_to_not_be_null", column="plan"),
            quarantine("expect_column_values_to_be_in_set", column="plan", value_set=["a", "d"]),
            quarantine(
                "expect_column_pair_values_a_to_be_greater_than_b",
                column_A="high",
                column_B="low",
                ignore_row_if="either_value_is_missing",
            ),
        ),
        "e.yaml",
    )
    assert checked.refusals == []
    assert {row: sorted(why) for row, why in checked.rows.items()} == {
        1: [
            "expect_column_pair_values_a_to_be_greater_than_b(high, low)",
            "expect_column_values_to_not_be_null(plan)",
        ],
        2: [
            "expect_column_values_to_be_between(low)",
            "expect_column_values_to_be_in_set(plan)",
        ],
    }


def test_a_batch_that_fails_is_refused_with_what_was_observed() -> None:
    checked = check(
        FRAME,
        suite(
            {
                "expectation": "expect_table_row_count_to_be_between",
                "min_value": 10,
                "on_failure": "refuse",
            },
            {
                "expectation": "expect_column_values_to_be_in_set",
                "column": "plan",
                "value_set": ["a"],
                "on_failure": "refuse",
            },
            {
                "expectation": "expect_column_max_to_be_between",
                "column": "high",
                "max_value": 50,
                "on_failure": "refuse",
            },
        ),
        "e.yaml",
    )
    assert checked.rows == {}
    assert checked.refusals == [
        "expect_table_row_count_to_be_between() must hold with {'min_value': 10}, got 4",
        "expect_column_values_to_be_in_set(plan) must hold with {'value_set': ['a']}, "
        "but fails in 2 of 4 rows, such as ['c', 'd']",
    ]


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            quarantine("expect_nothing"),
            "expect_nothing.. is not an expectation with these arguments",
        ),
        (
            quarantine("expect_column_values_to_be_between", column="low", minimum=1),
            "e.yaml: expect_column_values_to_be_between.low. is not an expectation .*minimum",
        ),
        (
            quarantine("expect_column_mean_to_be_between", column="low", min_value=1),
            "looks at the table as a whole and names no rows to quarantine",
        ),
        (
            quarantine("expect_column_values_to_be_between", column="plan", min_value=1),
            r"expectation expect_column_values_to_be_between\(plan\) cannot be computed on "
            r"these columns",
        ),
    ],
)
def test_wrong_expectations_are_told_in_words(expectation: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        check(FRAME, suite(expectation), "e.yaml")


def test_checking_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        check(
            FRAME, suite(quarantine("expect_column_values_to_not_be_null", column="low")), "e.yaml"
        )
    assert caplog.records == []
