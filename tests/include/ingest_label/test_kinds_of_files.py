"""The same rows, whatever kind of file they land in."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import DataContractError
from include.ingest_label import compressed
from include.ingest_label.files import parse
from include.ingest_label.source import Source
from include.use_cases.schema import Columns
from include.use_cases.sections.format import Format

COLUMNS: Columns = {
    "id": "int64",
    "name": "string",
    "share": "float64",
    "at": "timestamp",
    "day": "date",
}
CSV = "id,name,share,at,day\n1,Zürich,0.5,2013-01-01T10:00:00Z,2013-01-31\n2,,,,\n"
JSON = (
    '{"id": 1, "name": "Zürich", "share": 0.5, "at": "2013-01-01T10:00:00Z", "day": "2013-01-31"}\n'
    '{"id": 2, "share": null}\n'
)
ROWS = [
    {
        "id": 1,
        "name": "Zürich",
        "share": 0.5,
        "at": datetime(2013, 1, 1, 10, tzinfo=UTC),
        "day": datetime(2013, 1, 31, tzinfo=UTC),
    },
    {"id": 2, "name": None, "share": None, "at": None, "day": None},
]


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def read(content: bytes, path: str, kinds: Columns = COLUMNS, **written: object) -> pa.Table:
    return parse(content, Source(path, Format.model_validate(written)), kinds)


def refusal(content: bytes, path: str, kinds: Columns = COLUMNS, **written: object) -> str:
    with pytest.raises(DataContractError) as caught:
        read(content, path, kinds, **written)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "content", "written"),
    [
        ("a.csv", CSV.encode(), {}),
        ("a.csv", CSV.replace(",", ";").encode("cp1252"), {"delimiter": ";", "encoding": "cp1252"}),
        ("a.csv", CSV.encode("utf-16"), {"encoding": "utf-16"}),
        ("a.tsv", CSV.replace(",", "\t").encode(), {}),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0), {}),
        ("a.csv.bz2", bz2.compress(CSV.encode()), {}),
        ("a.csv.zst", zstd(CSV.encode()), {}),
        ("a.csv.zip", zipped(CSV.encode(), "inside.txt"), {}),
        ("a.jsonl", JSON.encode(), {}),
        ("a.ndjson.gz", gzip.compress(JSON.encode(), mtime=0), {}),
    ],
)  # fmt: skip
def test_each_kind_of_file_has_the_same_rows(
    path: str, content: bytes, written: dict[str, str]
) -> None:
    assert read(content, path, **written).to_pylist() == ROWS


def test_parquet_has_types_of_its_own_and_its_text_follows_the_rules() -> None:
    table = pa.table(
        {
            "day": pa.array([datetime(2013, 1, 31)], pa.date32()),
            "local": pa.array([datetime(2013, 7, 1, 10)], pa.timestamp("ns")),
            "price": pa.array(["1,5"]),
            "left": pa.array(["?"]),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    columns: Columns = {"day": "date", "local": "timestamp", "price": "float64", "left": "string"}
    written = {
        "price": {"decimal": ","},
        "local": {"time_zone": "Europe/Berlin"},
        "left": {"null_values": ["?"]},
    }
    found = read(sink.getvalue(), "a.parquet", columns, columns=written)
    assert found.to_pylist() == [
        {
            "day": datetime(2013, 1, 31, tzinfo=UTC),
            "local": datetime(2013, 7, 1, 8, tzinfo=UTC),
            "price": 1.5,
            "left": None,
        }
    ]
    message = refusal(sink.getvalue(), "a.parquet", {"local": "timestamp"})
    assert "Or give its 'time_zone' under ingest.format.columns.local." in message
    assert "must be float64" in refusal(sink.getvalue(), "a.parquet", {"price": "float64"})


# --- JSON lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "1"}\n', "must be one JSON object a line"),
        ('{"id": 1.5}\n', "must be one JSON object a line"),
        ('{"id": 1}\n[1]\n', "must be one JSON object a line"),
        ('{"id": 1}\n{"id"\n', "must be one JSON object a line"),
        ('{"ID": 1}\n', "but lacks ['id']. Is 'ID' instead of 'id'?"),
        ("[1]\n", "must begin with a JSON object on one line, but begins otherwise"),
        ("", "must begin with a JSON object on one line, but is empty"),
        ("not json\n", "must begin with a JSON object on one line ("),
    ],
)
def test_what_is_no_json_lines_is_told(content: str, message: str) -> None:
    assert message in refusal(content.encode(), "a.jsonl", {"id": "int64"})


def test_json_text_follows_the_rules_and_names_its_row() -> None:
    content = b'{"left": "Yes"}\n{"left": "maybe"}\n'
    words = {"left": {"true_values": ["Yes"], "false_values": ["No"]}}
    found = refusal(content, "a.jsonl", {"left": "bool"}, columns=words)
    assert "column 'left' must be bool, true or false, got 'maybe' in row 2." in found


# --- columns


def test_a_column_that_was_renamed_is_recognised() -> None:
    message = refusal(b"Monthly_Charges,b\n1,2\n", "a.csv", {"MonthlyCharges": "float64"})
    assert "lacks ['MonthlyCharges']. Is 'Monthly_Charges' instead of 'MonthlyCharges'?" in message


def test_a_long_list_of_columns_is_cut() -> None:
    header = ",".join(f"column{number}" for number in range(5000))
    message = refusal(f"{header}\n".encode(), "a.csv", {"price": "float64"})
    assert "'column19'] and 4980 more." in message
    assert len(message) < 800


def test_undeclared_columns_are_refused_by_choice() -> None:
    content = b"id,extra,left\n1,2,3\n"
    assert read(content, "a.csv", {"id": "int64"}).num_rows == 1
    message = refusal(content, "a.csv", {"id": "int64"}, undeclared="refuse")
    assert "must have no columns but those of use_case.yaml, but has ['extra', 'left']." in message
    source = Source("a.csv", Format(undeclared="refuse"))
    found = parse(content, source, {"id": "int64"}, elsewhere=["extra", "left"])
    assert found.column_names == ["id"]


# --- compressed files


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_a_bomb_is_refused_before_it_is_unpacked(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "SMALL_BYTES", 1000)
    ending = {gzip.compress: "gz", bz2.compress: "bz2"}.get(pack, "zst")
    bomb = pack(b"id\n" + b"1\n" * 5_000_000)
    message = refusal(bomb, f"a.csv.{ending}", {"id": "int64"})
    assert f"a.csv.{ending}: must have at most" in message
    assert "bytes when unpacked (200 times its size, or 1,000)" in message


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "SMALL_BYTES", 1000)
    bomb = zipped(b"id\n" + b"1\n" * 5_000_000, "a.csv")
    assert "bytes when unpacked" in refusal(bomb, "a.csv.zip", {"id": "int64"})


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (gzip.compress(CSV.encode(), mtime=0)[:-12], "a.csv.gz", "cannot be unpacked"),
        (b"no zip", "a.csv.zip", "cannot be unpacked"),
        (b"no gzip", "a.csv.gz", "cannot be unpacked"),
        (zipped(CSV.encode(), "a.csv", "b.csv"), "a.csv.zip", "a zip of one file, but has 2"),
        (gzip.compress(b"x", mtime=0), "a.xlsx.gz", "a.xlsx.gz: must end in .csv, .tsv"),
    ],
)
def test_what_cannot_be_unpacked_is_told(content: bytes, path: str, message: str) -> None:
    assert message in refusal(content, path)
