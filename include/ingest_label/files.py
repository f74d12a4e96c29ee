"""A landed CSV or Parquet file as an Arrow table of exactly the declared types, or why not."""

from __future__ import annotations

import csv
import re

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from include.errors import DataContractError, bounded
from include.ingest_label.cells import (
    ARROW_TYPES,
    AS_TEXT,
    EXAMPLES,
    INEXACT,
    MALFORMED,
    cell_message,
    check_finite,
    check_years,
    from_text,
    normalised,
)
from include.use_cases.schema import Columns, ColumnType

__all__ = ["ARROW_TYPES", "MAX_FILE_BYTES", "parse"]

# Limits stand far above what a real file needs. They keep one malformed file from occupying a
# worker for minutes.
MAX_FILE_BYTES = 2 * 2**30  # a file is parsed in memory; a month of flights has 2 MB
MAX_HEADER_BYTES = 2**20  # 10,000 names of 100 bytes
MAX_COLUMNS = 10_000  # each costs memory for every row, whether it is declared or not
MAX_ROW_BYTES = 4 * 2**20  # the block in which pyarrow reads: a row must fit into one
MAX_ROWS = 50_000_000  # one column of them has 400 MB

_CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #(\d+): )?.*?(?:invalid value '(.*)'|in '(.*)')", re.S
)


def parse(content: bytes, path: str, columns: Columns) -> pa.Table:
    """Read one file's bytes.

    Parameters
    ----------
    content : bytes
        The file.
    path : str
        Its name: the ending says what it is, and messages say where.
    columns : dict of str to ColumnType
        What is read, in this order. Other columns of the file are left alone; an empty CSV cell is
        missing. What a cell may hold is written at the top of `cells`.

    Raises
    ------
    DataContractError
        Not readable, larger than a limit, a column is missing, or a value is not of its type:
        which file, row and column. Malformed bytes raise nothing else.
    """
    _within(len(content), MAX_FILE_BYTES, "bytes", path, "Split the file.")
    if path.endswith(".csv"):
        table = _parse_csv(content, path, columns)
    elif path.endswith(".parquet"):
        table = _parse_parquet(content, path, columns)
    else:
        raise DataContractError(f"{path}: must end in .csv or .parquet. Land it as one of these.")
    for name, kind in columns.items():
        if kind == "float64":
            check_finite(table[name], name, path)
        elif kind == "timestamp":
            check_years(table[name], name, path)
    return table


def _within(got: int, limit: int, what: str, path: str, remedy: str) -> None:
    if got > limit:
        raise DataContractError(
            f"{path}: must have at most {limit:,} {what}, got {got:,}. {remedy}"
        )


def _parse_csv(content: bytes, path: str, columns: Columns) -> pa.Table:
    header = _header(content, path)
    _all_there(header, path, columns)
    if len(content) > MAX_ROWS:  # a line has a byte or more: what is smaller need not be counted
        lines = max(content.count(b"\n"), content.count(b"\r"))
        _within(lines, MAX_ROWS, "lines", path, "Split the file.")
    quotes = content.count(b'"') if b'"' in content else 0  # most files have none
    if quotes % 2:
        # pyarrow would take all that follows for one cell, and silently where nobody reads it.
        raise DataContractError(
            f'{path}: each quote (") must be closed, but the file has {quotes}, an odd number. '
            "Close it; inside a cell write a quote as two, and put the cell in quotes."
        )
    as_text = AS_TEXT if any(byte in content for byte in INEXACT) else ()
    options = pa_csv.ConvertOptions(
        include_columns=list(columns),
        column_types={
            name: pa.string() if kind in as_text else ARROW_TYPES[kind]
            for name, kind in columns.items()
        },
        # Only nothing is missing: "NA" may be a place and "null" a name.
        null_values=[""],
        strings_can_be_null=True,
        true_values=["true", "True"],
        false_values=["false", "False"],
    )
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            # One thread, since only then the parser knows the number of a bad row.
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
    except MALFORMED as error:
        # Without the cause: its message may repeat a cell of any size, and would be logged too.
        raise DataContractError(_csv_message(str(error), header, path, columns)) from None
    arrays = [from_text(table[name], name, path, kind) for name, kind in columns.items()]
    return pa.table(arrays, names=list(columns))


def _header(content: bytes, path: str) -> list[str]:
    first = content[: MAX_HEADER_BYTES + 1]
    ends = [end for end in (first.find(b"\n"), first.find(b"\r")) if end >= 0]
    line = first[: min(ends, default=len(first))]
    if len(line) > MAX_HEADER_BYTES:
        raise DataContractError(
            f"{path}: the header row must have at most {MAX_HEADER_BYTES:,} bytes, but has no end "
            "there. Land a CSV file whose first line names the columns."
        )
    quotes = line.count(b'"')
    if quotes % 2:
        raise DataContractError(
            f'{path}: each quote (") in the header row must be closed on that line, but it has '
            f"{quotes}. Land a CSV file whose first line names the columns."
        )
    try:
        header = next(csv.reader([line.decode("utf-8-sig")]), [])
    except UnicodeDecodeError as error:
        raise DataContractError(f"{path}: must be UTF-8 text ({error}). Convert it.") from None
    except csv.Error as error:
        raise DataContractError(
            f"{path}: the header row cannot be read ({error}). Land a CSV file whose first line "
            "names the columns."
        ) from None
    if not header:
        raise DataContractError(
            f"{path}: must begin with a header row, but is empty. Land it again."
        )
    return header


def _all_there(header: list[str], path: str, columns: Columns) -> None:
    _within(len(header), MAX_COLUMNS, "columns", path, "Land it without those nobody reads.")
    absent = [name for name in columns if name not in header]
    twice = sorted({name for name in columns if header.count(name) > 1})
    if absent or twice:
        what = f"lacks {absent}" if absent else f"has {twice} more than once"
        raise DataContractError(
            f"{path}: must have each of the columns {list(columns)} once, but {what}. It has "
            f"{bounded(str(header), 1000)}. "
            "Land the file with these columns, or correct 'columns' in use_case.yaml."
        )


def _csv_message(error: str, header: list[str], path: str, columns: Columns) -> str:
    match = _CONVERSION.match(error)
    if match is not None:
        name = header[int(match[1])]
        got = match[3] if match[3] is not None else match[4]
        return cell_message(path, name, columns[name], got, int(match[2]) if match[2] else None)
    if "UTF8" in error:
        return f"{path}: must be UTF-8 text ({bounded(error, 500)}). Convert it."
    if "straddling" in error:
        return (
            f"{path}: a row must have at most {MAX_ROW_BYTES:,} bytes, but one has more. Is a "
            "quote not closed? Land it again with shorter rows."
        )
    return f"{path}: is not a readable CSV file ({bounded(error, 500)}). Land it again, whole."


def _parse_parquet(content: bytes, path: str, columns: Columns) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        _all_there(file.schema_arrow.names, path, columns)
        _within(file.metadata.num_columns, MAX_COLUMNS, "columns", path, "Land fewer.")
        _within(file.metadata.num_rows, MAX_ROWS, "rows", path, "Split the file.")
        table = file.read(columns=list(columns)).select(list(columns))
        table.validate(full=True)  # pyarrow takes a Parquet file's word that its text is UTF-8
        arrays = [_widened(table[name], name, path, kind) for name, kind in columns.items()]
    except MALFORMED as error:
        raise DataContractError(
            f"{path}: is not a readable Parquet file ({bounded(str(error), 500)}). Land it again, "
            "whole."
        ) from None
    return pa.table(arrays, names=list(columns))


def _widened(column: pa.ChunkedArray, name: str, path: str, kind: ColumnType) -> pa.ChunkedArray:
    """Take over types of other widths that hold the same values; refuse those that resemble."""
    got, wanted = column.type, ARROW_TYPES[kind]
    if pa.types.is_dictionary(got):
        got = got.value_type
    alike = {
        "string": pa.types.is_string(got)
        or pa.types.is_large_string(got)
        or pa.types.is_string_view(got),
        "int64": pa.types.is_integer(got),
        "float64": pa.types.is_floating(got),
        "bool": pa.types.is_boolean(got),
        "timestamp": pa.types.is_timestamp(got) and got.tz is not None,
    }[kind]
    if not alike:
        raise DataContractError(
            f"{path}: column {name!r} must be {kind}, {EXAMPLES[kind]}, got "
            f"{bounded(str(column.type), 200)}. "
            "Land it with that type, or correct the column's type in use_case.yaml."
        )
    try:
        column = column.cast(wanted)  # a safe cast: raises where a value would change
    except MALFORMED as error:
        raise DataContractError(
            f"{path}: column {name!r} must fit {kind}: {bounded(str(error), 500)}. Land it so."
        ) from None
    return normalised(column, name, path) if kind == "string" else column
