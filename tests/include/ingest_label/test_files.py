from __future__ import annotations

import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import DataContractError
from include.ingest_label.files import parse as parse_file
from include.ingest_label.source import Source
from include.use_cases.schema import Columns
from include.use_cases.sections.format import Format

ALL: Columns = {
    "at": "timestamp",
    "name": "string",
    "count": "int64",
    "share": "float64",
    "open": "bool",
}
GOOD = b"name,share,at,count,open,more\nNA,0.5,2013-01-01T10:00:00Z,3,true,x\n,,,,,\n"


def parse(content: bytes, path: str, columns: Columns, **written: object) -> pa.Table:
    """Read a file whose cells are written so."""
    return parse_file(content, Source(path, Format.model_validate(written)), columns)


def test_csv_has_exactly_the_declared_columns_and_types() -> None:
    table = parse(GOOD, "a.csv", ALL)
    assert table.schema == pa.schema(
        [
            ("at", pa.timestamp("us", tz="UTC")),
            ("name", pa.string()),
            ("count", pa.int64()),
            ("share", pa.float64()),
            ("open", pa.bool_()),
        ]
    )
    first, second = table.to_pylist()
    # "NA" is a text like another; only an empty cell is missing.
    assert first == {
        "at": datetime(2013, 1, 1, 10, tzinfo=UTC),
        "name": "NA",
        "count": 3,
        "share": 0.5,
        "open": True,
    }
    assert set(second.values()) == {None}


def test_times_of_other_zones_become_utc() -> None:
    table = parse(b"at\n2013-01-01T01:00:00+02:00\n", "a.csv", {"at": "timestamp"})
    assert table["at"][0].as_py() == datetime(2012, 12, 31, 23, tzinfo=UTC)


def test_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert parse(b"\xef\xbb\xbfcount\n3\n", "a.csv", {"count": "int64"})["count"].to_pylist() == [3]


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (b"", ALL, "a.csv: must begin with a header row, but is empty"),
        (
            b"name\nx\n",
            {"name": "string", "count": "int64"},
            r"lacks \['count'\]. It has \['name'\]",
        ),
        (b"count,count\n1,2\n", {"count": "int64"}, r"has \['count'\] more than once"),
        (
            b"name,count\nx,1\ny,1.5\n",
            {"count": "int64"},
            r"a.csv: column 'count' must be int64, a whole number like 42, got '1.5' in row 3",
        ),
        (
            b"at\n2013-01-01T10:00:00\n",
            {"at": "timestamp"},
            "column 'at' must be timestamp, a time with its zone like .*, got "
            "'2013-01-01T10:00:00'",
        ),
        (b"open\nyes\n", {"open": "bool"}, "column 'open' must be bool, true or false, got 'yes'"),
        (b"share\n1\ninf\n", {"share": "float64"}, "'share' must be finite, got inf in data row 2"),
        (b"share\nnan\n", {"share": "float64"}, "'share' must be finite, got nan in data row 1"),
        (b"name,count\nx,1,2\n", {"count": "int64"}, "a.csv: is not a readable CSV file .*Row #2"),
        (b"name\n\xe9\n", {"name": "string"}, "a.csv: must be UTF-8 text"),
    ],
)
def test_bad_csv_is_told_in_words(content: bytes, columns: Columns, message: str) -> None:
    with pytest.raises(DataContractError, match=message):
        parse(content, "a.csv", columns)


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_of_other_widths_is_taken_over() -> None:
    content = parquet(
        count=pa.array([3], pa.int16()),
        at=pa.array([0], pa.timestamp("ms", tz="Europe/Berlin")),
        name=pa.array(["x"]).dictionary_encode(),
        share=pa.array([0.5], pa.float32()),
        open=pa.array([True]),
    )
    assert parse(content, "a.parquet", ALL).to_pylist() == [
        {
            "at": datetime(1970, 1, 1, tzinfo=UTC),
            "name": "x",
            "count": 3,
            "share": 0.5,
            "open": True,
        }
    ]


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        (pa.array([1.0]), "int64", "column 'x' must be int64, .* got double"),
        (pa.array(["1"]), "float64", "column 'x' must be float64, .* got string"),
        (
            pa.array([0], pa.timestamp("us")),
            "timestamp",
            r"a time with its zone .* got timestamp\[us\]",
        ),
        (pa.array([2**63], pa.uint64()), "int64", "column 'x' must fit int64"),
        (
            pa.array([1], pa.timestamp("ns", tz="UTC")),
            "timestamp",
            "'x' must fit timestamp: .* lose",
        ),
    ],
)
def test_parquet_is_not_coerced(column: pa.Array, kind: str, message: str) -> None:
    with pytest.raises(DataContractError, match=message):
        parse(parquet(x=column), "a.parquet", {"x": kind})  # type: ignore[dict-item]


def test_broken_parquet_and_other_endings_are_told() -> None:
    with pytest.raises(DataContractError, match=r"a.parquet: is not a readable Parquet file"):
        parse(b"PAR1", "a.parquet", ALL)
    with pytest.raises(
        DataContractError,
        match=r"a.xlsx: must end in .csv, .tsv, .*, .parquet, or",
    ):
        parse(b"", "a.xlsx", ALL)
