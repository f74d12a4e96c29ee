"""Parquet files as Arrow tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from include.errors import DataContractError, bounded
from include.ingest_label.cells import ARROW_TYPES, EXAMPLES, MALFORMED, from_text, normalised
from include.ingest_label.checks import MAX_COLUMNS, MAX_ROWS, check_columns, within
from include.ingest_label.source import Source
from include.ingest_label.written_cells import in_zone, without_nulls
from include.use_cases.schema import Columns, ColumnType


def parse_parquet(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> pa.Table:
    """Read a file that has types of its own; text in it is read by the format's rules."""
    path = source.path
    source = replace(source, header_rows=0)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        check_columns(file.schema_arrow.names, source, columns, elsewhere)
        within(file.metadata.num_columns, MAX_COLUMNS, "columns", path, "Land fewer.")
        within(file.metadata.num_rows, MAX_ROWS, "rows", path, "Split the file.")
        table = file.read(columns=list(columns)).select(list(columns))
        table.validate(full=True)  # pyarrow takes a Parquet file's word that its text is UTF-8
        arrays = [_widened(table[name], name, source, kind) for name, kind in columns.items()]
    except MALFORMED as error:
        raise DataContractError(
            f"{path}: is not a readable Parquet file ({bounded(str(error), 500)}). Land it again, "
            "whole."
        ) from None
    return pa.table(arrays, names=list(columns))


def _widened(
    column: pa.ChunkedArray, name: str, source: Source, kind: ColumnType
) -> pa.ChunkedArray:
    """Take over types of other widths that hold the same values; refuse those that resemble."""
    got, wanted, rules = column.type, ARROW_TYPES[kind], source.rules(name)
    if pa.types.is_dictionary(got):
        got = got.value_type
    text = pa.types.is_string(got) or pa.types.is_large_string(got) or pa.types.is_string_view(got)
    if text and kind != "string" and rules.given:
        return from_text(column.cast(pa.string()), name, source, kind)
    local = pa.types.is_timestamp(got) and got.tz is None
    alike = {
        "string": text,
        "int64": pa.types.is_integer(got),
        "float64": pa.types.is_floating(got),
        "bool": pa.types.is_boolean(got),
        "timestamp": pa.types.is_timestamp(got) and (not local or rules.time_zone is not None),
        "date": pa.types.is_date(got),
    }[kind]
    if not alike:
        zone = f" Or give its 'time_zone' under {source.key}.columns.{name}." if local else ""
        raise DataContractError(
            f"{source.path}: column {name!r} must be {kind}, {EXAMPLES[kind]}, got "
            f"{bounded(str(column.type), 200)}. "
            f"Land it with that type, or correct the column's type in use_case.yaml.{zone}"
        )
    try:
        if kind == "date" or local:
            naive = column.cast(pa.timestamp("us"))
            return in_zone(naive, rules.time_zone or "UTC") if local else naive.cast(wanted)
        column = column.cast(wanted)  # a safe cast: raises where a value would change
    except MALFORMED as error:
        raise DataContractError(
            f"{source.path}: column {name!r} must fit {kind}: {bounded(str(error), 500)}. "
            "Land it so."
        ) from None
    if kind != "string":
        return column
    return normalised(without_nulls(column, rules), name, source.path)
