"""Schemas: what is refused, and that every difference is told."""

from __future__ import annotations

import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.lake.schemas import arrow_schema, check_same, check_types


def test_every_column_type_has_one_arrow_type() -> None:
    columns = {"s": "string", "i": "int64", "f": "float64", "b": "bool", "t": "timestamp"}
    assert arrow_schema(columns).types == [
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.timestamp("us", tz="UTC"),
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("ns", tz="UTC"),
        pa.timestamp("us"),
        pa.dictionary(pa.int32(), pa.string()),
        pa.uint64(),
        pa.null(),
        pa.large_string(),
    ],
)
def test_types_that_would_change_are_refused_by_name(kind: pa.DataType) -> None:
    check_types(pa.schema([("good", pa.int64())]), "u.raw")
    with pytest.raises(DataContractError) as caught:
        check_types(pa.schema([("good", pa.int64()), ("bad", kind)]), "u.raw")
    assert f"column 'bad' is {kind}." in str(caught.value)


def test_the_lakes_own_column_and_doubles_are_refused() -> None:
    with pytest.raises(DataContractError, match="column 'partition' is the lake's own"):
        check_types(pa.schema([("partition", pa.string())]), "u.raw")
    with pytest.raises(DataContractError, match=r"must be unique, got \['a'\] more than once"):
        check_types(pa.schema([("a", pa.string()), ("a", pa.string())]), "u.raw")


def test_all_differences_are_told() -> None:
    got = pa.schema([("a", pa.float64()), ("c", pa.string())])
    expected = pa.schema([("a", pa.int64()), ("b", pa.string())])
    with pytest.raises(DataContractError) as caught:
        check_same(got, expected, "what", "Next.")
    assert str(caught.value) == (
        "what: column 'b' is missing; column 'c' is not expected; "
        "column 'a' must be int64, got double. Next."
    )


def test_order_counts_and_metadata_does_not() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    check_same(schema.with_metadata({"pandas": "{}"}), schema, "what", "Next.")
    swapped = pa.schema([schema.field("b"), schema.field("a")])
    with pytest.raises(DataContractError, match=r"in the order \['a', 'b'\], got \['b', 'a'\]"):
        check_same(swapped, schema, "what", "Next.")
    strict = pa.schema([pa.field("a", pa.int64(), nullable=False), schema.field("b")])
    with pytest.raises(DataContractError, match="'a' must be int64, got int64 not null"):
        check_same(strict, schema, "what", "Next.")
