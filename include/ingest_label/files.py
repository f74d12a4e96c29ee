"""A landed CSV or Parquet file as an Arrow table of exactly the declared types, or why not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from include.errors import DataContractError
from include.use_cases.schema import Columns, ColumnType

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_EXAMPLES: Mapping[ColumnType, str] = {
    "string": "UTF-8 text",
    "int64": "a whole number like 42",
    "float64": "a number like 4.2",
    "bool": "true or false",
    "timestamp": "a time with its zone like 2013-01-01T10:00:00Z",
}
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
        missing.

    Raises
    ------
    DataContractError
        Not readable, a column is missing, or a value is not of its type: which file, row and
        column.
    """
    if path.endswith(".csv"):
        table = _parse_csv(content, path, columns)
    elif path.endswith(".parquet"):
        table = _parse_parquet(content, path, columns)
    else:
        raise DataContractError(f"{path}: must end in .csv or .parquet. Land it as one of these.")
    for name in [name for name, kind in columns.items() if kind == "float64"]:
        finite = pc.fill_null(pc.is_finite(table[name]), True)
        if not pc.all(finite, min_count=0).as_py():
            row = pc.index(finite, False).as_py()
            raise DataContractError(
                f"{path}: column {name!r} must be finite, got {table[name][row].as_py()} in "
                "data row "
                f"{row + 1}. Leave the cell empty where the value is missing."
            )
    return table


def _parse_csv(content: bytes, path: str, columns: Columns) -> pa.Table:
    header = _header(content, path)
    _all_there(header, path, columns)
    options = pa_csv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: ARROW_TYPES[kind] for name, kind in columns.items()},
        # Only nothing is missing: "NA" may be a place and "null" a name.
        null_values=[""],
        strings_can_be_null=True,
        true_values=["true", "True"],
        false_values=["false", "False"],
    )
    try:
        return pa_csv.read_csv(
            pa.BufferReader(content),
            # One thread, since only then the parser knows the number of a bad row.
            read_options=pa_csv.ReadOptions(use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise DataContractError(_csv_message(str(error), header, path, columns)) from error


def _header(content: bytes, path: str) -> list[str]:
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
        header = next(csv.reader(text), [])
    except UnicodeDecodeError as error:
        raise DataContractError(f"{path}: must be UTF-8 text ({error}). Convert it.") from error
    if not header:
        raise DataContractError(
            f"{path}: must begin with a header row, but is empty. Land it again."
        )
    return header


def _all_there(header: list[str], path: str, columns: Columns) -> None:
    absent = [name for name in columns if name not in header]
    twice = sorted({name for name in columns if header.count(name) > 1})
    if absent or twice:
        what = f"lacks {absent}" if absent else f"has {twice} more than once"
        raise DataContractError(
            f"{path}: must have each of the columns {list(columns)} once, but {what}. It has "
            f"{header}. "
            "Land the file with these columns, or correct 'columns' in use_case.yaml."
        )


def _csv_message(error: str, header: list[str], path: str, columns: Columns) -> str:
    match = _CONVERSION.match(error)
    if match is None:
        if "UTF8" in error:
            return f"{path}: must be UTF-8 text ({error}). Convert it."
        return f"{path}: is not a readable CSV file ({error}). Land it again, whole."
    name = header[int(match[1])]
    got = match[3] if match[3] is not None else match[4]
    row = f" in row {match[2]} (the header is row 1)" if match[2] else ""
    return (
        f"{path}: column {name!r} must be {columns[name]}, {_EXAMPLES[columns[name]]}, got "
        f"{got!r}{row}. "
        "Correct the file and land it again, or correct the column's type in use_case.yaml."
    )


def _parse_parquet(content: bytes, path: str, columns: Columns) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _all_there(file.schema_arrow.names, path, columns)
        table = file.read(columns=list(columns)).select(list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        message = f"{path}: is not a readable Parquet file ({error}). Land it again, whole."
        raise DataContractError(message) from error
    arrays = [_widened(table[name], name, path, kind) for name, kind in columns.items()]
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
    try:
        if alike:
            return column.cast(wanted)  # a safe cast: raises where a value would change
    except pa.ArrowInvalid as error:
        raise DataContractError(
            f"{path}: column {name!r} must fit {kind}: {error}. Land it so."
        ) from error
    raise DataContractError(
        f"{path}: column {name!r} must be {kind}, {_EXAMPLES[kind]}, got {column.type}. "
        "Land it with that type, or correct the column's type in use_case.yaml."
    )
