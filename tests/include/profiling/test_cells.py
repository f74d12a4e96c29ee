"""What a column of text holds, and by which rules ingestion then reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.profiling.delimited import delimiter_of
from include.profiling.raw import read
from include.profiling.table import table_of
from tests.include.profiling.conftest import Tabled

NAN = float("nan")


@pytest.mark.parametrize(
    ("cells", "kind", "rules"),
    [
        (["1", "-2", "30"], "int64", {}),
        (["1", "2.5", "1e-3"], "float64", {}),
        (["1", "", "3"], "int64", {}),
        (["1", " ", "NA"], "int64", {"null_values": [" ", "NA"]}),
        (["007", "110", "113"], "string", {}),
        (["12345678901234567890", "1", "2"], "string", {}),
        (["true", "false", "true"], "bool", {}),
        (["Yes", "No", "yes"], "bool", {"true_values": ["Yes", "yes"], "false_values": ["No"]}),
        (["ja", "nein", "ja"], "bool", {"true_values": ["ja"], "false_values": ["nein"]}),
        (["yes", "no", "maybe"], "string", {}),
        (["2024-01-31", "2024-02-29", ""], "date", {}),
        (["2023-02-29", "2023-03-01", "2023-03-02"], "string", {}),
        (["31.01.2024", "1.2.2024", "03.03.2024"], "date", {"time_format": "%d.%m.%Y"}),
        (["01/31/2024", "02/01/2024", "03/03/2024"], "date", {"time_format": "%m/%d/%Y"}),
        (["31/01/2024", "01/02/2024", "03/03/2024"], "date", {"time_format": "%d/%m/%Y"}),
        (["Jan 1 2024", "Feb 29 2024", "Mar 3 2024"], "date", {"time_format": "%b %d %Y"}),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+01:00", ""], "timestamp", {}),
        (["2024-01-01 10:00", "2024-01-02 11:30", ""], "timestamp", {"time_zone": "UTC"}),
        (
            ["31.01.2024 10:00", "1.2.2024 11:00", "?"],
            "timestamp",
            {"null_values": ["?"], "time_format": "%d.%m.%Y %H:%M", "time_zone": "UTC"},
        ),
        (["20240131", "20240201", "20240302"], "int64", {}),
        (["none", "unknown", "some"], "string", {}),
        (["one", "NA", "some"], "string", {"null_values": ["NA"]}),
        (["DE", "NA", "FR"], "string", {}),
    ],
)
def test_a_column_has_the_type_that_all_its_cells_have(
    tabled: Tabled, cells: list[str], kind: str, rules: dict[str, Any]
) -> None:
    table = tabled("row,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert (table.findings["x"].kind, dict(table.findings["x"].rules)) == (kind, rules)
    assert table.format == ({"columns": {"x": rules}} if rules else {})


def test_eight_digits_are_a_day_where_the_name_says_so(tabled: Tabled) -> None:
    table = tabled("row,order_date\n1,20240131\n2,20240201\n")
    assert table.kind("order_date") == "date"
    assert table.frame["order_date"].dt.day.tolist() == [31, 1]


def test_day_and_month_that_could_be_the_other_way_round_are_told(tabled: Tabled) -> None:
    table = tabled("row,x\n1,01/02/2024\n2,03/04/2024\n")
    assert table.findings["x"].rules["time_format"] == "%m/%d/%Y"
    assert "could be the other way round" in table.findings["x"].notes[0]


def test_dates_in_several_formats_are_no_feature_and_all_are_named(tabled: Tabled) -> None:
    table = tabled("row,x\n1,2024-01-31\n2,31.01.2024\n3,01/31/2024\n")
    assert table.findings["x"].obstacle == (
        "dates in 3 formats (%Y-%m-%d, %d.%m.%Y, %m/%d/%Y); write them in one"
    )


@pytest.mark.parametrize(
    "cells",
    [
        ["+1.5", "-2.25", "3"],
        ["1.5%", "2%", "10%"],
        ["12 €", "1.300 €", "9 €"],
        ["$4.20", "$1", "$3"],
        ["1\u202f234", "5\u202f678", "12"],
        ["\u22121.5", "2.5", "3.5"],
    ],
)
def test_amounts_with_signs_are_no_categories(tabled: Tabled, cells: list[str]) -> None:
    table = tabled("row,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert table.findings["x"].obstacle == (
        f"numbers with signs, such as {cells[0]!r}; write them without"
    )


@pytest.mark.parametrize("cells", [["1.2.3", "1.2.4"], ["A+", "B-"], ["10%", "few"]])
def test_codes_with_digits_or_signs_stay_texts(tabled: Tabled, cells: list[str]) -> None:
    table = tabled("row,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert (table.kind("x"), table.findings["x"].obstacle) == ("string", "")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_with_line_breaks_is_left_out_and_not_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    frame = pd.DataFrame({"row": [1, 2], "note": ["first\nsecond", "b"], "x": [1.5, 2.5]})
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    table = table_of(path, read(path))
    assert table.findings["note"].obstacle.startswith("holds line breaks")
    assert list(table.frame) == ["row", "x"]


def test_numbers_mixed_with_words_are_no_feature(tabled: Tabled) -> None:
    table = tabled("row,x\n1,5\n2,many\n3,7\n4,few\n5,9\n")
    assert table.findings["x"].obstacle.startswith("numbers (60%) mixed with words such as")


def test_a_rare_word_among_numbers_is_taken_as_missing_and_told(tabled: Tabled) -> None:
    cells = [*map(str, range(99)), "gone"]
    table = tabled("row,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert table.findings["x"].rules == {"null_values": ["gone"]}
    assert table.findings["x"].notes == ("['gone'] taken as missing",)
    assert table.missing("x") == 0.01


@pytest.mark.parametrize(
    ("text", "format_", "values"),
    [
        (  # the comma of one column decides what the point of another means
            "n;a;b\n1;1,5;1.234\n2;2,25;2.000\n3;;12.345\n",
            {
                "delimiter": ";",
                "decimal": ",",
                "columns": {"b": {"decimal": ",", "thousands": "."}},
            },
            {"a": [1.5, 2.25, NAN], "b": [1234.0, 2000.0, 12345.0]},
        ),
        (
            'n,a\n1,"1,234.5"\n2,"12,000"\n',
            {"columns": {"a": {"thousands": ","}}},
            {"a": [1234.5, 12000.0]},
        ),
        ("n;a\n1;1,250\n2;3,125\n", {"delimiter": ";", "decimal": ","}, {"a": [1.25, 3.125]}),
        (  # a comma in one column and points in another: each has its own rule
            "n;a;b\n1;1,5;2.75\n2;2,25;3.5\n",
            {"delimiter": ";", "columns": {"a": {"decimal": ","}}},
            {"a": [1.5, 2.25], "b": [2.75, 3.5]},
        ),
        ("n, a\n1, 5\n2, 17\n", {"decimal": "."}, {" a": [5, 17]}),
        ("n\ta\n1\t5\n2\t7\n", {"delimiter": "\t"}, {"a": [5, 7]}),
        (
            "n,a,b\n1,NA,?\n2,1,NA\n3,2,5\n",
            {"null_values": ["NA"], "columns": {"b": {"null_values": ["?", "NA"]}}},
            {"a": [NAN, 1, 2], "b": [NAN, NAN, 5]},
        ),
        (  # where NA is a value of another column, it is not missing everywhere
            "n,a,b,c\n1,NA,NA,NA\n2,1,2,DE\n3,2,5,FR\n",
            {"columns": {"a": {"null_values": ["NA"]}, "b": {"null_values": ["NA"]}}},
            {"a": [NAN, 1, 2], "b": [NAN, 2, 5], "c": ["NA", "DE", "FR"]},
        ),
    ],
)
def test_the_rules_together_read_the_values(
    tabled: Tabled, text: str, format_: dict[str, Any], values: dict[str, list[Any]]
) -> None:
    table = tabled(text)
    assert table.format == format_
    for name, expected in values.items():
        assert table.frame[name].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_is_found(tabled: Tabled, encoding: str) -> None:
    table = tabled("Größe,x\nMüll,1\n".encode(encoding))
    assert table.frame["Größe"].tolist() == ["Müll"]
    assert table.format == ({} if encoding.startswith("utf-8") else {"encoding": encoding})


def test_json_keeps_its_own_types(tabled: Tabled) -> None:
    lines = '{"n": 1, "f": 1.5, "b": true, "s": "7", "d": "31.01.2024", "o": [1]}\n'
    table = tabled(
        lines + '{"n": null, "f": 2, "b": false, "s": "8", "d": "1.2.2024"}\n', "x.jsonl"
    )
    kinds = {name: found.kind for name, found in table.findings.items()}
    assert kinds == {
        "n": "int64", "f": "float64", "b": "bool", "s": "string", "d": "date", "o": "string"
    }  # fmt: skip
    assert table.findings["o"].obstacle.startswith("holds values of several kinds")
    assert "o" not in table.frame
    assert table.frame["d"].dt.month.tolist() == [1, 2]


def test_parquet_keeps_its_own_types(tabled: Tabled, tmp_path: Any) -> None:
    frame = pd.DataFrame(
        {
            "n": [1, 2],
            "t": pd.to_datetime(["2024-01-01", "2024-02-01"]),
            "text_time": ["2024-01-01 10:00", "2024-01-01 11:00"],
            "text_number": ["1", "2"],
            "span": pd.to_timedelta([1, 2], "D"),
        }
    )
    frame.to_parquet(tmp_path / "made.parquet")
    table = tabled((tmp_path / "made.parquet").read_bytes(), "x.parquet")
    kinds = {name: found.kind for name, found in table.findings.items() if not found.obstacle}
    assert kinds == {
        "n": "int64", "t": "timestamp", "text_time": "timestamp", "text_number": "string"
    }  # fmt: skip
    assert table.findings["span"].obstacle == "holds duration[s], which is not read"


def test_a_delimiter_within_quotes_does_not_count() -> None:
    assert delimiter_of(["a,b", '"1;2;3",4', '"5;6;7",8']) == ","
