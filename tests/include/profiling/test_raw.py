"""Files that are no table to learn from: each is told in a line or two; and large ones."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.profiling.raw import SAMPLE_ROWS, read
from include.profiling.table import table_of

ROWS = "a,b\n1,2\n3,4\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", r"is empty. Name a file with a header row and rows"),
        ("x.csv", b"\n\n", r"is empty. Name a file with a header row"),
        ("x.csv", b"a,b\n", r"has a header, but no rows"),
        ("x.csv", b"a,b,a\n1,2,3\n", r"'a'\] stand there more than once. Rename them"),
        ("x.csv", b"a\n1\n2\n", r"has one column, \['a'\]; .* than , ; \| or a tab"),
        ("x.csv", b"1,2\n3,4\n", r"the first row must name the columns, but is \['1', '2'\]"),
        ("x.csv", b"\x89PNG\x00\x01\x02,\n", r"is no text, but binary data"),
        ("x.csv", b'a,b\n1,"2\n3,4\n', r"a quote \(\"\) is not closed"),
        ("x.csv", b"a,b\n1,2\n3,4,5\n", r"is no table of cells separated by ',' .*Expected 2"),
        ("x.csv", (",".join(f"c{n}" for n in range(5000)) + "\n" + "1," * 4999 + "1\n").encode(),
         r"has 5,000 columns; `make new` takes at most 500"),
        ("x.xlsx", b"PK", r"files of kind '.xlsx' are not read. Save the sheet as CSV"),
        ("x.json", b"[]", r"files of kind '.json' are not read. Write one JSON object a line"),
        ("x", b"a,b\n1,2\n", r"files of kind '' are not read. Name one that ends in .csv"),
        ("x.jsonl", b'{"a": 1, "b": 2}\n[1]\n', r"line 2 must be one JSON object"),
        ("x.jsonl", b'{"a": 1, "b": \n', r"line 1 must be one JSON object"),
        ("x.jsonl", b'{"a": "\\ud800", "b": 1}\n', r"half a character, '\\ud800'"),
        ("x.parquet", b"PAR1, but no more", r"is no readable Parquet file"),
        ("x.csv.gz", b"no gzip", r"cannot be unpacked"),
        ("x.csv.gz", gzip.compress(b"", mtime=0), r"is empty inside"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told_in_words(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataContractError, match=message) as error:
        read(path)
    assert str(error.value).count("\n") <= 1
    assert len(str(error.value)) < 600 + len(str(path))


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match=r"nowhere.csv: there is no such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(DataContractError, match=r"must be a file, not a folder"):
        read(tmp_path)


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.CSV.gz").write_bytes(gzip.compress(ROWS.encode()))
    raw = read(tmp_path / "x.CSV.gz")
    assert (raw.kind, raw.packed, raw.cells["b"].to_pylist()) == (".csv", ".gz", ["2", "4"])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("inside.csv", ROWS)
    (tmp_path / "x.zip").write_bytes(content.getvalue())
    raw = read(tmp_path / "x.zip")
    assert (raw.kind, raw.packed, raw.rows) == (".csv", ".zip", 2)


def test_cells_with_line_breaks_and_delimiters_are_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n"1,5","two\nlines"\n3,4\n')
    raw = read(path)
    assert raw.rows == 2
    assert raw.cells["b"].to_pylist() == ["two\nlines", "4"]
    path.write_bytes(raw.take(pa.array([0])))
    assert read(path).cells.to_pylist() == [{"a": "1,5", "b": "two\nlines"}]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_of_a_million_rows_a_sample_is_looked_at(tmp_path: Path, kind: str) -> None:
    rows, path = 1_000_000, tmp_path / f"x.{kind}"
    shape = "{0},{0}.5,w{1}\n" if kind == "csv" else '{{"id":{0},"x":{0}.5,"w":"w{1}"}}\n'
    with path.open("w") as file:
        file.write("id,x,w\n" if kind == "csv" else "")
        file.writelines(shape.format(n, n % 3) for n in range(rows))
    began = time.perf_counter()
    table = table_of(path, read(path))
    took_s = time.perf_counter() - began
    assert table.rows == rows
    assert 0.9 * SAMPLE_ROWS <= len(table.frame) <= SAMPLE_ROWS
    # Spread over the whole file.
    assert table.frame["id"].max() > 0.99 * rows
    assert table.frame["id"].diff().dropna().nunique() == 1
    assert took_s < 60, "4 s beside other work on 2 cores, writing the file included"


def test_the_sample_bounds_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write("id,x\n")
        file.writelines(f"{n},{n}.5\n" for n in range(1_000_000))
    before = pa.total_allocated_bytes()
    raw = read(path)
    # Text of 100,000 rows: 2 columns of 4 bytes of place and up to 9 of text.
    assert pa.total_allocated_bytes() - before < 20 * SAMPLE_ROWS * 2
    assert raw.rows == 1_000_000
