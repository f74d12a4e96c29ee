from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import DataContractError
from include.ingest_label.outcomes import check_keys, label_of

COMPARISONS = {
    ">=": float.__ge__,
    ">": float.__gt__,
    "<=": float.__le__,
    "<": float.__lt__,
    "==": float.__eq__,
}


@given(
    st.lists(st.floats(-50, 50).map(lambda x: round(x, 1)), min_size=1),
    st.sampled_from(sorted(COMPARISONS)),
    st.sampled_from(["15", "-3", "0", "0.5"]),
)
def test_rule_means_what_python_means(outcomes: list[float], sign: str, bound: str) -> None:
    labels = label_of(pa.chunked_array([outcomes]), f"{sign} {bound}")
    assert labels.type == pa.int64()
    assert labels.to_pylist() == [int(COMPARISONS[sign](x, float(bound))) for x in outcomes]


def test_late_begins_at_15_minutes() -> None:
    assert label_of(pa.chunked_array([[14, 15, 16]]), ">= 15").to_pylist() == [0, 1, 1]


def test_bool_outcome_makes_a_class() -> None:
    assert label_of(pa.chunked_array([[True, False]]), "== 1").to_pylist() == [1, 0]


def test_without_rule_the_outcome_is_the_label() -> None:
    labels = label_of(pa.chunked_array([[227, 160]]), None)
    assert labels.type == pa.float64()
    assert labels.to_pylist() == [227.0, 160.0]


def test_keys_that_name_each_row_pass_and_others_are_told() -> None:
    table = pa.table({"a": [1, 1, 2, 2], "b": ["x", "y", "x", "x"]})
    check_keys(table.slice(0, 3), ["a", "b"], "churn")
    with pytest.raises(
        DataContractError, match=r"churn: .* 1 keys are repeated, such as {'a': 2, 'b': 'x'}"
    ):
        check_keys(table, ["a", "b"], "churn")


def test_incomplete_keys_are_told() -> None:
    with pytest.raises(
        DataContractError, match=r"'b' must be there .* missing in 1, first in data row 2"
    ):
        check_keys(pa.table({"a": [1, 2], "b": ["x", None]}), ["a", "b"], "churn")
