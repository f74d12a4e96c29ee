"""CSV and TSV files as Arrow tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection

import pyarrow as pa
import pyarrow.csv as pa_csv

from include.errors import DataContractError, bounded
from include.ingest_label.cells import (
    ARROW_TYPES,
    AS_TEXT,
    FALSE,
    INEXACT,
    MALFORMED,
    TRUE,
    cell_message,
    from_text,
)
from include.ingest_label.checks import MAX_ROW_BYTES, MAX_ROWS, check_columns, within
from include.ingest_label.source import Source
from include.use_cases.schema import Columns, ColumnType

MAX_HEADER_BYTES = 2**20  # 10,000 names of 100 bytes

_CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #(\d+): )?.*?(?:invalid value '(.*)'|in '(.*)')", re.S
)


def parse_csv(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> pa.Table:
    """Read a file whose cells are separated by commas, or as its format says."""
    return _parse(content, source, columns, elsewhere, source.format.delimiter or ",")


def parse_tsv(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> pa.Table:
    """Read a file whose cells are separated by tabs, or as its format says."""
    return _parse(content, source, columns, elsewhere, source.format.delimiter or "\t")


def _parse(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str], delimiter: str
) -> pa.Table:
    path = source.path
    content = _utf8(content, source)
    header = _header(content, path, delimiter)
    check_columns(header, source, columns, elsewhere)
    if len(content) > MAX_ROWS:  # a line has a byte or more: what is smaller need not be counted
        lines = max(content.count(b"\n"), content.count(b"\r"))
        within(lines, MAX_ROWS, "lines", path, "Split the file.")
    quotes = content.count(b'"') if b'"' in content else 0  # most files have none
    if quotes % 2:
        # pyarrow would take all that follows for one cell, and silently where nobody reads it.
        raise DataContractError(
            f'{path}: each quote (") must be closed, but the file has {quotes}, an odd number. '
            "Close it; inside a cell write a quote as two, and put the cell in quotes."
        )
    # A tab between cells is no tab in a cell: what is not exact is then found in the column.
    inexact = delimiter == "\t" or any(byte in content for byte in INEXACT)
    options = pa_csv.ConvertOptions(
        include_columns=list(columns),
        column_types={
            name: pa.string() if _is_text(name, kind, source, inexact) else ARROW_TYPES[kind]
            for name, kind in columns.items()
        },
        # Only nothing is missing: "NA" may be a place and "null" a name.
        null_values=[""],
        strings_can_be_null=True,
        true_values=list(TRUE),
        false_values=list(FALSE),
    )
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            # One thread, since only then the parser knows the number of a bad row.
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, delimiter=delimiter),
            convert_options=options,
        )
    except MALFORMED as error:
        # Without the cause: its message may repeat a cell of any size, and would be logged too.
        raise DataContractError(_csv_message(str(error), header, source, columns)) from None
    arrays = [from_text(table[name], name, source, kind) for name, kind in columns.items()]
    return pa.table(arrays, names=list(columns))


def _is_text(name: str, kind: ColumnType, source: Source, inexact: bool) -> bool:
    """Whether a column is read as text first, because its cells are not pyarrow's to convert."""
    return source.rules(name).given or kind == "date" or (inexact and kind in AS_TEXT)


def _utf8(content: bytes, source: Source) -> bytes:
    if source.format.encoding == "utf-8":
        return content
    try:
        return content.decode(source.format.encoding).encode()
    except UnicodeError as error:
        raise DataContractError(
            f"{source.path}: must be {source.format.encoding} text ({bounded(str(error), 200)}). "
            f"Convert it, or correct {source.key}.encoding in use_case.yaml."
        ) from None


def _header(content: bytes, path: str, delimiter: str) -> list[str]:
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
        header = next(csv.reader([line.decode("utf-8-sig")], delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise DataContractError(
            f"{path}: must be UTF-8 text ({error}). Convert it, or declare "
            "its 'encoding' under 'format' in use_case.yaml."
        ) from None
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


def _csv_message(error: str, header: list[str], source: Source, columns: Columns) -> str:
    path = source.path
    match = _CONVERSION.match(error)
    if match is not None:
        name = header[int(match[1])]
        got = match[3] if match[3] is not None else match[4]
        row = int(match[2]) - 2 if match[2] else None  # pyarrow counts the header
        return cell_message(source, name, columns[name], got, row)
    if "UTF8" in error:
        return f"{path}: must be UTF-8 text ({bounded(error, 500)}). Convert it."
    if "straddling" in error:
        return (
            f"{path}: a row must have at most {MAX_ROW_BYTES:,} bytes, but one has more. Is a "
            "quote not closed? Land it again with shorter rows."
        )
    return f"{path}: is not a readable CSV file ({bounded(error, 500)}). Land it again, whole."
