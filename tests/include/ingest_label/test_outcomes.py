from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import DataContractError
from include.ingest_label.outcomes import MANY, check_classes, check_keys, label_of, make_labels
from include.lake.frames import arrow_schema, to_arrow
from include.use_cases.schema import ColumnType, Labels
from tests.support.three_classes import three_classes

COMPARISONS = {
    ">=": float.__ge__,
    ">": float.__gt__,
    "<=": float.__le__,
    "<": float.__lt__,
    "==": float.__eq__,
}


def read_off(kind: ColumnType, **made: object) -> Labels:
    """Labels of an outcome column of that type."""
    given = {"landing": "outcomes/{partition}/*.csv", "columns": {"out": kind}, "from": "out"}
    return Labels.model_validate({**given, **made})


@given(
    st.lists(st.floats(-50, 50).map(lambda x: round(x, 1)), min_size=1),
    st.sampled_from(sorted(COMPARISONS)),
    st.sampled_from(["15", "-3", "0", "0.5"]),
)
def test_rule_means_what_python_means(outcomes: list[float], sign: str, bound: str) -> None:
    labels = label_of(pa.chunked_array([outcomes]), read_off("float64", rule=f"{sign} {bound}"))
    assert labels.type == pa.int64()
    assert labels.to_pylist() == [int(COMPARISONS[sign](x, float(bound))) for x in outcomes]


def test_late_begins_at_15_minutes() -> None:
    labels = label_of(pa.chunked_array([[14, 15, 16]]), read_off("int64", rule=">= 15"))
    assert labels.to_pylist() == [0, 1, 1]


@pytest.mark.parametrize("made", [{"rule": "== 1"}, {}, {"classes": {True: 1, False: 0}}])
def test_bool_outcome_makes_a_class(made: dict[str, object]) -> None:
    labels = label_of(pa.chunked_array([[True, None, False]]), read_off("bool", **made))
    assert labels.type == pa.int64()
    assert labels.to_pylist() == [1, None, 0]


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        ({"rule": '== "Yes"'}, [1, 0, None]),
        ({"rule": "!= 'Yes'"}, [0, 1, None]),
        ({"classes": {"No": 1, "Yes": 0}}, [0, 1, None]),
    ],
)
def test_texts_become_classes(made: dict[str, object], wanted: list[int | None]) -> None:
    outcome = pa.chunked_array([["Yes", "No", None]])
    assert label_of(outcome, read_off("string", **made)).to_pylist() == wanted


@pytest.mark.parametrize(("kind", "values"), [("int64", [1, 2]), ("float64", [1.0, 2.0])])
def test_numbers_that_stand_for_classes(kind: ColumnType, values: list[float]) -> None:
    made = read_off(kind, classes={1: 0, 2: 1})
    assert label_of(pa.chunked_array([values]), made).to_pylist() == [0, 1]


NAMES = ["setosa", "Iris 'x'", "größer"]


def test_names_become_the_numbers_of_their_places() -> None:
    outcome = pa.chunked_array([["größer", None, "setosa"], ["Iris 'x'"]])
    labels = label_of(outcome, read_off("string", classes=NAMES))
    assert labels.type == pa.int64()
    assert labels.to_pylist() == [2, None, 0, 1]


@pytest.mark.parametrize(
    ("kind", "written"),
    [("int64", [7, 8, 9]), ("float64", [7, 8, 9]), ("float64", [7.0, 8.0, 9.0])],
)
def test_numbers_that_name_several_classes(kind: ColumnType, written: list[float]) -> None:
    made = read_off(kind, classes=written)
    outcome = pa.chunked_array([[9, 7, None, 8]]).cast(
        {"int64": pa.int64(), "float64": pa.float64()}[kind]
    )
    assert label_of(outcome, made).to_pylist() == [2, 0, None, 1]


@pytest.mark.parametrize("stranger", ["Setosa", "setosa ", "virginica", ""])
def test_a_class_that_is_not_in_the_list_is_refused_with_words(stranger: str) -> None:
    use_case = three_classes(classes=NAMES)
    assert use_case.labels is not None
    at = pd.Timestamp("2024-01-02", tz="UTC").as_unit("us")
    rows = pd.DataFrame({"id": [1, 2], "at": at, "kind": ["setosa", stranger]})
    schema = arrow_schema(use_case.labels.columns)
    with pytest.raises(DataContractError) as error:
        make_labels(to_arrow(rows, schema), use_case, use_case.labels, "tiny: outcomes")
    assert f"got {stranger!r} in data row 2. Add it to labels.classes" in str(error.value)
    assert "must be one of ['setosa', \"Iris 'x'\", 'größer']" in str(error.value)


def test_many_labels_of_one_of_several_classes_are_refused() -> None:
    labels = read_off("string", classes=NAMES)
    with pytest.raises(DataContractError, match="must be of several classes, but all 200 are 2 by"):
        check_classes(pa.table({"label": [2] * MANY}), labels, "flowers")
    check_classes(pa.table({"label": [2] * MANY + [0]}), labels, "flowers")


@pytest.mark.parametrize("rows", [MANY - 1, MANY])
def test_many_labels_of_one_class_are_refused(rows: int) -> None:
    """As of a rule that is misspelt; few of one class are chance."""
    labels = read_off("string", rule='== "yes"')
    table = pa.table({"label": [0] * rows})
    if rows < MANY:
        check_classes(table, labels, "customers")
    else:
        message = r"customers: .* all 200 are 0 by the rule '== \"yes\"' of 'out'"
        with pytest.raises(DataContractError, match=message):
            check_classes(table, labels, "customers")


def test_labels_of_two_classes_and_numbers_pass() -> None:
    check_classes(pa.table({"label": [0] * MANY + [1]}), read_off("bool"), "customers")
    check_classes(pa.table({"label": [7.0] * MANY}), read_off("float64"), "a regression")


def test_without_rule_the_outcome_is_the_label() -> None:
    labels = label_of(pa.chunked_array([[227, 160]]), read_off("int64"))
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
