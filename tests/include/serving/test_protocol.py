from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.serving.protocol import MAX_ROWS, answer, frame_of, parse
from include.serving.rejected import ERROR_CODES, Rejected
from tests.support.packages import tiny_use_case
from tests.support.three_classes import NAMES, three_classes

USE_CASE = tiny_use_case()
COLUMNS = {"x": "float64", "z": "float64", "colour": "string"}
JSON = "application/json"
TWO_ROWS = {"x": [0.5, 1.5], "z": [None, -2.0], "colour": ["red", None]}
TWO_RECORDS = [{"x": 0.5, "z": None, "colour": "red"}, {"x": 1.5, "z": -2.0, "colour": None}]
SECRET = "s3cret-value"


def read(content: Any, kind: str = JSON, columns: Any = COLUMNS, use_case: Any = USE_CASE) -> Any:
    body = content if isinstance(content, str) else json.dumps(content)
    return parse(body.encode("utf-8", "surrogatepass"), kind, use_case, columns)


def rejected(content: Any, **options: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(content, **options)
    return caught.value


def record(**changes: Any) -> dict[str, Any]:
    return {"x": 0.5, "z": 1.0, "colour": "red", **changes}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (
            JSON,
            {
                "dataframe_split": {
                    "index": [7, 8],
                    "columns": ["x", "z", "colour"],
                    "data": [[0.5, None, "red"], [1.5, -2, None]],
                }
            },
        ),
        (
            JSON,
            {
                "dataframe_records": [
                    {"x": 0.5, "z": None, "colour": "red"},
                    {"colour": None, "z": -2, "x": 1.5},
                ]
            },
        ),
        (JSON, {"instances": TWO_RECORDS}),
        (JSON, {"inputs": TWO_ROWS, "params": {}}),
        (JSON, {"inputs": TWO_RECORDS}),
        ("text/csv", "x,z,colour\n0.5,,red\n1.5,-2,\n"),
        ("text/csv; charset=UTF-8", '"colour","z","x"\r\n"red",,5e-1\r\n,-2.0,1.5\r\n\r\n'),
    ],
)
def test_every_format_says_the_same_rows(kind: str, content: Any) -> None:
    rows = read(content, kind)
    assert rows.count == 2
    assert {name: rows.columns[name] for name in COLUMNS} == TWO_ROWS


def test_what_mlflow_client_sends_is_understood() -> None:
    from mlflow.utils.proto_json_utils import dump_input_data

    frame = pd.DataFrame(
        {
            "x": [0.5],
            "z": np.array([2], dtype="int64"),
            "colour": ["red"],
            "at": [pd.Timestamp("2024-01-31T05:00:00", tz="UTC")],
        }
    )
    columns = {**COLUMNS, "at": "timestamp"}
    rows = read(dump_input_data(frame), columns=columns)
    assert rows.columns["at"] == [frame["at"][0].to_pydatetime()]
    assert rows.columns["z"] == [2.0]


def test_key_columns_may_be_sent_and_are_checked() -> None:
    rows = read({"instances": [record(id=7)]})
    assert rows.columns["id"] == [7]
    assert list(frame_of([rows], USE_CASE, COLUMNS).columns) == ["x", "z", "colour"]
    assert rejected({"instances": [record(id="7")]}).message == (
        "Row 0, column 'id': must be a whole number of 64 bits, got text."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "The body must be JSON, without NaN or Infinity. Send null for a missing value."),
        ('{"instances": [{"x": NaN}]}', "without NaN or Infinity"),
        ('{"instances": [{"x": -Infinity}]}', "without NaN or Infinity"),
        ("[" * 100_000, "The body must be JSON"),
        ("1" * 5_000, "The body must be JSON"),
        ("[]", "The body must be an object with one of ['dataframe_split', "),
        ({}, "exactly one of"),
        ({"instances": [], "inputs": []}, "exactly one of"),
        ({"instances": [record()], SECRET: 1}, "and nothing else"),
        ({"instances": [record()], "params": {"a": 1}}, "'params' must be empty"),
        ({"instances": {}}, "'instances' must be a list of objects"),
        ({"instances": []}, "There must be at least one row."),
        ({"instances": [record(), 3]}, "Row 1 must be an object, got a number."),
        ({"instances": [record(), {"x": 1}]}, "Row 1 must have the same columns as row 0."),
        ({"instances": [{}]}, "Columns ['x', 'z', 'colour'] are missing."),
        ({"inputs": {"x": [1], "z": 2}}, "column 1 is not one"),
        ({"inputs": {"x": [1], "z": []}}, "lists of one length"),
        ({"inputs": {}}, "Columns ['x', 'z', 'colour'] are missing."),
        ({"dataframe_split": []}, "an object with 'columns' and 'data'"),
        ({"dataframe_split": {"columns": [1], "data": []}}, "must be a list of names"),
        ({"dataframe_split": {"columns": ["x", "x"], "data": []}}, "name each column once"),
        ({"dataframe_split": {"columns": ["x"], "data": 1}}, "must be a list of rows"),
        ({"dataframe_split": {"columns": [], "data": [[]]}}, "Columns ['x', 'z', 'colour'] are"),
        (
            {"dataframe_split": {"columns": ["x"], "data": [[1], [1, 2]]}},
            "Row 1 must be a list of 1 values.",
        ),
        ({"instances": [{"x": 1, "z": 2}]}, "Columns ['colour'] are missing."),
        (
            {"instances": [record(price=1)]},
            "Column 'price' is unknown. The columns are ['colour', ",
        ),
        ({"instances": [{"<b>": 1, **record()}]}, "Column number 0 is unknown."),
        ('{"instances": [{"\\ud800": 1}]}', "Column number 0 is unknown."),
        (
            {"instances": [record(), record(x="1")]},
            "Row 1, column 'x': must be a number between -1e+30 and 1e+30, got text.",
        ),
        ({"instances": [record(colour=["a"])]}, "'colour': must be valid text, got a list."),
        ('{"instances": [{"x": 1e400, "z": 1, "colour": "a"}]}', "'x': must be a number between"),
        ('{"instances": [{"x": 1, "z": 1, "colour": "\\udfff"}]}', "'colour': must be valid text"),
    ],
)
def test_refusals_name_the_place_and_the_rule(content: Any, message: str) -> None:
    error = rejected(content)
    assert (error.status, error.error_code) == (400, "BAD_REQUEST")
    assert message in error.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got nothing"),
        ("x,z,colour\n", "at least one row"),
        ("x,x,colour\n1,2,a\n", "name each column once"),
        ("x,z,colour\n1,2\n", "Row 0 must have 3 values."),
        ('x,z,colour\n1,2,"a\n', "must be CSV"),
        ("x,z,colour\nnan,2,a\n", "Row 0, column 'x': must be a number"),
        ("x,z,colour\n1e999,2,a\n", "Row 0, column 'x': must be a number"),
        ("x,z,colour\n१,2,a\n", "Row 0, column 'x': must be a number"),
    ],
)
def test_csv_is_refused_like_json(content: str, message: str) -> None:
    assert message in rejected(content, kind="text/csv").message


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json; charset=latin-1", "x/y"])
def test_other_media_are_415(kind: str) -> None:
    assert rejected({"instances": [record()]}, kind=kind).status == 415


def test_a_body_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Rejected, match=r"must be UTF-8"):
        parse(b'{"instances": "\xff"}', JSON, USE_CASE, COLUMNS)


@pytest.mark.parametrize("name", ["instances", "dataframe_records"])
def test_rows_are_limited(name: str) -> None:
    assert read({name: [record()] * MAX_ROWS}).count == MAX_ROWS
    error = rejected({name: [record()] * (MAX_ROWS + 1)})
    assert (error.status, error.message[:24]) == (413, "There may be 10000 rows ")


@pytest.mark.parametrize(
    "content",
    [
        {SECRET: 1},
        {"instances": SECRET},
        {"instances": [SECRET]},
        {"instances": [record(x=SECRET)]},
        {"instances": [{SECRET: 1}]},
        {"dataframe_split": {"columns": [SECRET], "data": [[SECRET]]}},
        {"inputs": {SECRET: SECRET}},
        '{"instances": ' + SECRET,
    ],
)
def test_no_message_repeats_what_was_sent(content: Any) -> None:
    assert SECRET not in rejected(content).body().decode()


def test_frame_has_the_dtypes_of_the_lake() -> None:
    columns = {"n": "int64", "x": "float64", "b": "bool", "s": "string", "t": "timestamp"}
    row = {"n": 5.0, "x": 1, "b": None, "s": None, "t": "2024-01-31T07:00:00+02:00"}
    frame = frame_of([read({"instances": [row]}, columns=columns)], USE_CASE, columns)
    assert frame.dtypes.astype(str).to_dict() == {
        "n": "Int64",
        "x": "float64",
        "b": "boolean",
        "s": "str",
        "t": "datetime64[us, UTC]",
    }
    assert frame["t"][0] == pd.Timestamp("2024-01-31T05:00", tz="UTC")
    assert frame["n"][0] == 5


def test_noise_and_missing_values_are_treated_as_in_training() -> None:
    clean = {"missing": {"x": 9.0, "colour": "none"}, "noise": {"x": [0, 10], "z": [0, 1]}}
    use_case = tiny_use_case(clean=clean)
    rows = read({"inputs": {"x": [11, None, 3], "z": [2, 1, 0], "colour": [None, "a", "b"]}})
    frame = frame_of([rows], use_case, COLUMNS)
    assert frame["x"].tolist() == [9.0, 9.0, 3.0]
    assert frame["z"].isna().tolist() == [True, False, False]
    assert frame["colour"].tolist() == ["none", "a", "b"]
    assert rows.columns["x"] == [11.0, None, 3.0], "the log keeps what was sent"


def test_a_row_that_training_would_drop_is_refused() -> None:
    use_case = tiny_use_case(clean={"missing": {"z": "drop"}})
    error = rejected({"instances": [record(z=None)]}, use_case=use_case)
    assert error.message == "Row 0, column 'z': must not be missing."


def test_cleaning_agrees_with_the_phase() -> None:
    """Serving may not import the phase, so the two are held together here."""
    import pyarrow as pa

    from include.lake.frames import arrow_schema, to_pandas
    from include.validate_clean.cleaning import clean

    rules = {"missing": {"x": 1, "colour": "none"}, "noise": {"x": [-1, 1], "z": [0, 5]}}
    use_case = tiny_use_case(clean=rules)
    sent = {"x": [-2.0, 0.5, None], "z": [5.0, 5.1, None], "colour": ["a", None, "b"]}
    keyed = pa.table({"id": [1, 2, 3], **sent}, schema=arrow_schema({"id": "int64", **COLUMNS}))
    expected = to_pandas(clean(keyed, use_case.clean).rows.drop_columns(["id"]))
    found = frame_of([read({"inputs": sent})], use_case, COLUMNS)
    pd.testing.assert_frame_equal(found, expected)


def test_answer_has_scores_for_classification_only() -> None:
    scores = np.array([0.25, 0.75])
    assert answer(scores, tiny_use_case()) == {"predictions": [0, 1], "scores": [0.25, 0.75]}
    assert answer(scores, tiny_use_case("regression")) == {"predictions": [0.25, 0.75]}
    found = answer(np.array([0.0, 2.0]), tiny_use_case("clustering"))
    assert found == {"predictions": [0, 2]}
    assert all(isinstance(cluster, int) for cluster in found["predictions"])


def test_answer_names_classes_and_their_probabilities() -> None:
    low, middle, high = NAMES
    assert answer(np.array([[0.2, 0.5, 0.3]]), three_classes()) == {
        "predictions": [middle],
        "probabilities": [{low: 0.2, middle: 0.5, high: 0.3}],
    }


def test_answer_says_what_is_flagged_when_something_is() -> None:
    scores, use_case = np.array([0.5, 1.5]), tiny_use_case("regression")
    assert answer(scores, use_case, {}) == {"predictions": [0.5, 1.5]}
    assert answer(scores, use_case, {"out_of_range": {"x": [1]}, "failed_joins": {}}) == {
        "predictions": [0.5, 1.5],
        "out_of_range": {"x": [1]},
    }


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_long_message_is_cut(letter: str) -> None:
    body = Rejected(400, letter * 5_000).body()
    assert 1_000 < len(body) <= 2_000
    message = json.loads(body)["message"]
    assert message.endswith(" ...")
    assert set(message.removesuffix(" ...")) <= {letter, " ", "."}


def test_error_body_is_mlflows() -> None:
    assert json.loads(Rejected(413, "Too much.").body()) == {
        "error_code": "PAYLOAD_TOO_LARGE",
        "message": "Too much.",
    }
    assert all(code.isupper() for code in ERROR_CODES.values())
