"""Features without pandas are those that the training set is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.lake.frames import arrow_schema, to_pandas
from include.modelling.features import InfiniteFeatureError, feature_arrays
from include.modelling.references import Indexed, index_reference
from include.serving.plain_features import PlainFeatures, plain_features
from include.serving.protocol import Rows, frame_of
from include.use_cases.python_package import OwnPython
from include.use_cases.schema import UseCase
from tests.support.packages import TINY, tiny_use_case

START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = {
    "at": "timestamp",
    "x": "float64",
    "n": "int64",
    "open": "bool",
    "colour": "string",
}
TABLES: dict[str, dict[str, Any]] = {
    "shops": {
        "landing": "shops/*.csv",
        "key": ["colour"],
        "columns": {"colour": "string", "size": "int64", "town": "string", "old": "bool"},
    },
    "weather": {
        "landing": "weather/*.csv",
        "key": ["colour", "at"],
        "columns": {"colour": "string", "at": "timestamp", "rain": "float64", "kind": "int64"},
    },
    "prices": {
        "landing": "prices/*.csv",
        "key": ["n"],
        "as_of": "since",
        "columns": {"n": "int64", "since": "timestamp", "price": "float64"},
    },
}
NUMERIC = ["x", "n", "open", "size", "old", "rain", "price"]
CATEGORICAL = ["colour", "town", "kind"]


def use_case_with(**changes: Any) -> UseCase:
    ingest = {
        **TINY["ingest"],
        "columns": {"id": "int64", **COLUMNS},
        "references": TABLES,
    }
    features = {
        "inputs": list(COLUMNS),
        "references": list(TABLES),
        "numeric": NUMERIC,
        "categorical": CATEGORICAL,
        **changes.pop("features", {}),
    }
    clean = {"noise": {"x": [-100, 100], "n": [0, 50]}, "missing": {"n": 7, "colour": "grey"}}
    return tiny_use_case(ingest=ingest, features=features, **{"clean": clean, **changes})


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def references(use_case: UseCase) -> dict[str, Indexed]:
    rows: dict[str, list[dict[str, Any]]] = {
        "shops": [
            {"colour": "red", "size": 3, "town": "here", "old": True},
            {"colour": "grey", "size": None, "town": None, "old": None},
            {"colour": "blue", "size": 2**40, "town": "", "old": False},
        ],
        "weather": [
            {"colour": "red", "at": at(0), "rain": 0.5, "kind": 3},
            {"colour": "red", "at": at(1), "rain": None, "kind": None},
            {"colour": "blue", "at": at(1), "rain": 1.5, "kind": -1},
        ],
        "prices": [
            {"n": 7, "since": at(0), "price": 1.0},
            {"n": 7, "since": at(2), "price": 2.0},
            {"n": 1, "since": at(1), "price": 3.0},
        ],
    }
    found = {}
    for name in use_case.features.references:
        reference = use_case.ingest.references[name]
        table = pa.Table.from_pylist(rows[name], schema=arrow_schema(reference.columns))
        found[name] = index_reference(to_pandas(table), reference, name)
    return found


def prepared(use_case: UseCase) -> PlainFeatures:
    made = plain_features(use_case, COLUMNS, references(use_case))
    assert made is not None
    return made


def assert_same(use_case: UseCase, requests: list[Rows]) -> None:
    frame = frame_of(requests, use_case, COLUMNS)
    unjoined: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    own = OwnPython("tiny")
    expected = feature_arrays(frame, references(use_case), use_case, own, unjoined[0])
    found = prepared(use_case)(requests, unjoined[1])
    there = [{name: rows.tolist() for name, rows in each.items()} for each in unjoined]
    assert there[0] == there[1]
    assert found.keys() == expected.keys()
    for name in use_case.features.numeric:
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for name in use_case.features.categorical:
        assert found[name].tolist() == pd.Series(expected[name]).tolist(), name


ROW = st.fixed_dictionaries(
    {
        "at": st.sampled_from([at(-1), at(0), at(0.5), at(1), at(2), at(9)]),
        "x": st.none() | st.floats(-150, 150) | st.sampled_from([-0.0, 2.0**24 + 1, 100.0]),
        "n": st.none() | st.sampled_from([0, 1, 7, 50, 51, -3, 2**53 + 1]),
        "open": st.none() | st.booleans(),
        "colour": st.none() | st.sampled_from(["red", "blue", "grey", "green", "", "é", "missing"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(ROW, min_size=1, max_size=3), min_size=1, max_size=4))
@pytest.mark.parametrize("cleaned", [True, False])
def test_features_are_those_of_training(cleaned: bool, rows: list[list[dict[str, Any]]]) -> None:
    use_case = use_case_with(**({} if cleaned else {"clean": {}}))
    requests = [
        Rows({name: [row[name] for row in some] for name in COLUMNS}, len(some)) for some in rows
    ]
    assert_same(use_case, requests)


def test_a_number_that_is_too_large_is_told_with_its_row() -> None:
    use_case = use_case_with(clean={})
    columns: dict[str, Any] = {name: [None, None] for name in COLUMNS}
    columns |= {"at": [at(0), at(1)], "x": [0.5, 1e39]}
    with pytest.raises(InfiniteFeatureError) as caught:
        prepared(use_case)([Rows(columns, 2)])
    assert (caught.value.feature, caught.value.row) == ("x", 1)


@pytest.mark.parametrize(
    "features",
    [
        {"numeric": ["x"], "categorical": ["at"]},  # pandas decides how a time reads
        {"numeric": ["n"], "categorical": ["x"]},  # and a float
        {"numeric": ["made_by_nobody"], "categorical": []},
        {"numeric": ["rain"], "categorical": ["price"]},
    ],
)
def test_what_only_pandas_knows_is_left_to_it(features: dict[str, list[str]]) -> None:
    use_case = use_case_with()
    changed = use_case.model_copy(
        update={"features": use_case.features.model_copy(update=features)}
    )
    assert plain_features(changed, COLUMNS, references(use_case)) is None
