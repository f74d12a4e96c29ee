"""Malformed, enormous and nearly right files: `parse` gives an error in words, or exact data."""

from __future__ import annotations

import base64
import io
import random
import time
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import MESSAGE_LIMIT, ConfigError, DataContractError, bounded
from include.ingest_label import delimited, parquet_files
from include.ingest_label import files as files_module
from include.ingest_label.files import parse as parse_file
from include.ingest_label.source import Source
from include.use_cases.schema import Columns, ColumnType
from include.use_cases.sections.format import Format

ALL: Columns = {
    "at": "timestamp",
    "name": "string",
    "count": "int64",
    "share": "float64",
    "open": "bool",
}
HEADER = b"name,share,at,count,open,more\n"
GOOD_CSV = HEADER + b"".join(
    b'"N%d",0.%d,2013-01-01T10:00:00Z,%d,true,"x y"\n' % (n, n, n * 7) for n in range(40)
)


def parse(content: bytes, path: str, columns: Columns, **written: object) -> pa.Table:
    """Read a file whose cells are written so."""
    return parse_file(content, Source(path, Format.model_validate(written)), columns)


def refusal(content: bytes, columns: Columns, path: str = "a.csv") -> str:
    with pytest.raises(DataContractError) as caught:
        parse(content, path, columns)
    return str(caught.value)


def parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


# --- numbers that pyarrow would make of other texts


@pytest.mark.parametrize("cell", ["0x2D5", "0X2d5", " 725", "725 ", "\t725", "725\t", '" 725 "'])
def test_only_digits_make_an_integer(cell: str) -> None:
    message = refusal(f"count,more\n1,a\n{cell},b\n".encode(), {"count": "int64"})
    shown = repr(cell.strip('"'))
    assert f"column 'count' must be int64, a whole number like 42, got {shown}" in message
    assert "in row 3 (the header is row 1)" in message


@pytest.mark.parametrize(
    "cell", [" 4.2", "4.2 ", "\t4.2", "0x1p3", "1 000.5", "nan", "-inf", "1e999"]
)
def test_only_a_decimal_number_makes_a_float(cell: str) -> None:
    message = refusal(f"share,more\n1,a\n{cell},b\n".encode(), {"share": "float64"})
    assert "a.csv: column 'share' must be f" in message  # `float64`, or `finite`
    assert "in row 3" in message or "in data row 2" in message


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        ("int64", ["0", "-7", "007", "9223372036854775807", '"12"'], [0, -7, 7, 2**63 - 1, 12]),
        ("float64", ["4.2", "-1e-3", "+5", ".5", '"2"'], [4.2, -0.001, 5.0, 0.5, 2.0]),
    ],
)
def test_numbers_are_read_as_they_are_written(
    kind: ColumnType, cells: list[str], values: list[float]
) -> None:
    # The last column holds blanks and an `x`, in the first it does not matter.
    content = "n,more\n" + "".join(f"{cell},x 0x1\n" for cell in cells) + ",x\n"
    assert parse(content.encode(), "a.csv", {"n": kind})["n"].to_pylist() == [*values, None]


def test_an_integer_that_does_not_fit_is_named_with_its_row() -> None:
    message = refusal(b"count,more\n1,\n\n9223372036854775808,\n", {"count": "int64"})
    assert "got '9223372036854775808' in row 3" in message  # blank lines are not rows


@pytest.mark.parametrize("year", ["0000", "-001"])
def test_times_outside_of_the_calendar_are_refused(year: str) -> None:
    refusal(f"at\n{year}-01-01T00:00:00Z\n".encode(), {"at": "timestamp"})


def test_a_parquet_time_outside_of_the_calendar_is_refused() -> None:
    ends = pa.array([-62_135_596_800_000_000, 253_402_300_799_999_999], pa.timestamp("us", "UTC"))
    read = parse(parquet(pa.table({"at": ends})), "a.parquet", {"at": "timestamp"})
    assert [time.year for time in read["at"].to_pylist()] == [1, 9999]
    for beyond in (-62_135_596_800_000_001, 253_402_300_800_000_000):
        late = pa.table({"at": pa.array([0, beyond], pa.timestamp("us", "UTC"))})
        message = refusal(parquet(late), {"at": "timestamp"}, "a.parquet")
        assert "must be in the years 1 to 9999" in message
        assert f"got {beyond} microseconds since 1970 in data row 2" in message


# --- text


TEXTS = [("  N725MQ ", "N725MQ"), ("\u00a0Zürich\u3000", "Zürich"), ("a b", "a b"), ("  ", None)]


@pytest.mark.parametrize(("landed", "kept"), TEXTS)
def test_blanks_around_text_are_removed(landed: str, kept: str | None) -> None:
    csv = f'name,count\nx,1\n"{landed}",2\n'.encode()
    assert parse(csv, "a.csv", {"name": "string"})["name"].to_pylist() == ["x", kept]
    table = parquet(pa.table({"name": ["x", landed, "", None]}))
    read = parse(table, "a.parquet", {"name": "string"})["name"]
    assert read.to_pylist() == ["x", kept, None, None]
    assert read.type == pa.string()


@pytest.mark.parametrize(
    "bad", ["N\x00725", "N\n725", "N\r\n725", "N\t725", "N\x1b[31m", "N\x7f", "N\x85M"]
)
def test_control_characters_in_text_are_refused(bad: str) -> None:
    rule = "column 'name' must be one line of text without control characters, got "
    csv = f'name,count\nx,1\n"{bad}",2\n'.encode()
    message = refusal(csv, {"name": "string"})
    assert f"a.csv: {rule}{bad!r} in data row 2" in message
    message = refusal(parquet(pa.table({"name": ["x", bad]})), {"name": "string"}, "a.parquet")
    assert f"a.parquet: {rule}{bad!r} in data row 2" in message


def test_what_nobody_reads_may_hold_line_breaks() -> None:
    content = b'count,remark\n1,"two\nlines"\n2,"a ""quoted"" word"\n'
    assert parse(content, "a.csv", {"count": "int64"})["count"].to_pylist() == [1, 2]


def test_parquet_text_that_is_not_utf8_is_refused() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"], pa.binary()).buffers())
    message = refusal(parquet(pa.table({"name": bad})), {"name": "string"}, "a.parquet")
    assert "a.parquet: is not a readable Parquet file (" in message
    assert "UTF8" in message


# --- quotes


@pytest.mark.parametrize(
    "content",
    [
        b'count,remark\n1,"x\n2,y\n3,z\n',  # the last column, which nobody reads: rows vanished
        b'count,remark\n1,x\n2,y"\n',
        b'remark,count\n"x,1\ny,2\n',
        b'count,remark\n1,"x\n' + b"2,y\n" * 2_000_000,  # more than one block
    ],
)
def test_a_quote_that_is_not_closed_is_told(content: bytes) -> None:
    message = refusal(content, {"count": "int64"})
    assert 'a.csv: each quote (") must be closed, but the file has 1, an odd number' in message


def test_a_quote_that_is_not_closed_in_the_header_is_told() -> None:
    message = refusal(b'count,"remark\n1,x\n2,"y"\n', {"count": "int64"})
    assert 'each quote (") in the header row must be closed on that line' in message


# --- sizes


def test_a_header_of_ten_million_cells_is_refused_at_once() -> None:
    content = b"x," * 10_000_000 + b"\n"
    began = time.perf_counter()
    message = refusal(content, {"count": "int64"})
    assert time.perf_counter() - began < 5.0
    assert "a.csv: the header row must have at most 1,048,576 bytes" in message
    assert len(message) < 500


def test_a_header_of_many_columns_is_refused() -> None:
    message = refusal(b"," * 10_000 + b"count\n", {"count": "int64"})
    assert message.startswith("a.csv: must have at most 10,000 columns, got 10,001.")
    wide = b"," * 9_999 + b"count\n" + b"," * 9_999 + b"7\n"
    assert parse(wide, "a.csv", {"count": "int64"})["count"].to_pylist() == [7]


def test_a_header_that_lacks_a_column_repeats_only_its_ends() -> None:
    names = ",".join(f"column_{number:04}" for number in range(9_000))
    message = refusal(f"{names}\n".encode(), {"count": "int64"})
    assert len(message) <= MESSAGE_LIMIT
    assert "lacks ['count']" in message
    assert "'column_0000'" in message
    assert "'column_0019'] and 8980 more" in message
    assert message.endswith("or correct 'columns' in use_case.yaml.")


def test_a_huge_name_in_the_header_is_told() -> None:
    message = refusal(b"x" * 200_000 + b",count\n", {"count": "int64"})
    assert "a.csv: the header row cannot be read (field larger than field limit" in message


@pytest.mark.parametrize(("size", "ok"), [(2**20, True), (2**20 + 1, False)])
def test_a_cell_has_a_limit(size: int, ok: bool) -> None:
    cell = "x" * size
    content = f"name,count\na,1\n{cell},2\n".encode()
    if ok:
        assert parse(content, "a.csv", {"name": "string"})["name"][1].as_py() == cell
        return
    message = refusal(content, {"name": "string"})
    assert (
        "'name' must have at most 1,048,576 bytes in a cell, got 1,048,577 in data row 2" in message
    )
    assert len(message) < 500


def test_a_row_has_a_limit() -> None:
    content = b"count,remark\n1," + b"x" * 10 * 2**20 + b"\n"
    message = refusal(content, {"count": "int64"})
    assert "a row must have at most 4,194,304 bytes, but one has more" in message


@pytest.mark.parametrize("kind", ["int64", "float64", "bool", "timestamp"])
def test_an_error_repeats_only_the_ends_of_a_cell(kind: ColumnType) -> None:
    content = b"value\n" + b"z" * 500_000 + b"\n"
    with pytest.raises(DataContractError) as caught:
        parse(content, "a.csv", {"value": kind})
    message = str(caught.value)
    assert f"column 'value' must be {kind}" in message
    assert "of 500002 characters cut ...]" in message
    assert len(message) < 600
    # A logged traceback shows the cause as well.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_file_and_its_lines_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_ROWS", 3)
    monkeypatch.setattr(parquet_files, "MAX_ROWS", 3)
    for content in (b"count\n1\n2\n3\n", b"count\r1\r2\r3\r"):
        message = refusal(content, {"count": "int64"})
        assert message.startswith("a.csv: must have at most 3 lines, got 4.")
    table = parquet(pa.table({"count": [1, 2, 3, 4]}))
    message = refusal(table, {"count": "int64"}, "a.parquet")
    assert message.startswith("a.parquet: must have at most 3 rows, got 4.")
    monkeypatch.setattr(files_module, "MAX_FILE_BYTES", 5)
    message = refusal(b"count\n", {"count": "int64"})
    assert message.startswith("a.csv: must have at most 5 bytes, got 6.")


# --- every error of the family


def test_every_message_is_bounded_and_says_how_much_was_cut() -> None:
    error = ConfigError("head " + "x" * 1_000_000 + " tail")
    assert len(str(error)) <= MESSAGE_LIMIT == 2000
    assert str(error).startswith("head xxx")
    assert str(error).endswith("xxx tail")
    assert "of 1000010 characters cut ...]" in str(error)
    assert str(ConfigError("short")) == "short"


@pytest.mark.parametrize("size", [*range(95, 130), 1000, 10_000])
def test_what_is_cut_and_what_is_kept_add_up(size: int) -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(size))
    short = bounded(text, 100)
    assert len(short) <= 100
    if size <= 100:
        assert short == text
        return
    head, _, rest = short.partition(" [... ")
    cut, _, tail = rest.partition(f" of {size} characters cut ...] ")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(cut) + len(tail) == size


# --- random damage


def damaged(good: bytes, seed: int) -> bytes:
    """Change, remove, insert or repeat some bytes of a good file, or end it early."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    content = bytearray(good)
    pieces = [b'"', b'""', b"\0", b"\n", b"\r", b",", b" ", b"\xff\xfe", b"0x", draw.randbytes(4)]
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        at = draw.randrange(len(content)) if content else 0
        kind = draw.randrange(6)
        if kind == 0:
            content[at : at + 1] = draw.randbytes(1)
        elif kind == 1 and content:
            content[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del content[at : at + draw.choice([1, 2, 8, 64])]
        elif kind == 3:
            content[at:at] = draw.choice(pieces)
        elif kind == 4:
            content[at:at] = content[at : at + draw.choice([1, 8, 100])]
        else:
            del content[at:]
    return bytes(content)


def survives(content: bytes, path: str) -> bool:
    """Whether it is taken; what is taken must be whole, what is refused told in words."""
    try:
        table = parse(content, path, ALL)
    except DataContractError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - both outcomes are fine
        return False
    table.validate(full=True)
    assert table.column_names == list(ALL)
    table.to_pylist()
    return True


def test_a_damaged_csv_raises_data_contract_errors_alone() -> None:
    taken = sum(survives(damaged(GOOD_CSV, seed), "a.csv") for seed in range(4000))
    assert 0 < taken < 1000  # most damage is noticed, and the good file itself would be taken


def test_a_damaged_header_of_a_large_csv_raises_data_contract_errors_alone() -> None:
    rest = GOOD_CSV.removeprefix(HEADER).replace(b'"', b"") * 100
    taken = sum(survives(damaged(HEADER, seed) + rest, "a.csv") for seed in range(500))
    assert taken < 100


def test_a_damaged_time_zone_in_a_parquet_file_is_told() -> None:
    # pyarrow decodes the name of a zone when somebody asks for it.
    table = pa.table({"at": pa.array([0], pa.timestamp("us", tz="Etc/GMT-14"))})
    schema = table.schema.serialize().to_pybytes()
    assert schema.count(b"Etc/GMT-14") == 1
    damaged_schema = schema.replace(b"Etc/GMT-14", b"Etc/\xffMT-14")
    header = b"ARROW:schema"
    good = parquet(table)
    encoded, wrong = base64.b64encode(schema), base64.b64encode(damaged_schema)
    assert header in good
    assert good.count(encoded) == 1
    message = refusal(good.replace(encoded, wrong), {"at": "timestamp"}, "a.parquet")
    assert "a.parquet: is not a readable Parquet file (" in message


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "use_dictionary": False},
        {"compression": "gzip", "data_page_version": "2.0", "write_page_checksum": True},
        {"compression": "none", "row_group_size": 50},
    ],
    ids=["snappy", "zstd", "gzip", "none"],
)
def test_a_damaged_parquet_raises_data_contract_errors_alone(options: dict[str, object]) -> None:
    rows = range(200)
    table = pa.table(
        {
            "at": pa.array([datetime(2013, 1, 1, tzinfo=UTC)] * 200, ARROW_TIME),
            "name": [f"N{row}" for row in rows],
            "count": list(rows),
            "share": [row / 3 for row in rows],
            "open": [True] * 200,
        }
    )
    good = parquet(table, **options)
    assert survives(good, "a.parquet")
    taken = sum(survives(damaged(good, seed), "a.parquet") for seed in range(1000))
    assert taken < 500


ARROW_TIME = pa.timestamp("us", tz="UTC")
