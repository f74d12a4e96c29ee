"""JSON lines as Arrow tables: one object a line, its names the columns."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.json as pa_json

from include.errors import DataContractError, bounded
from include.ingest_label.cells import ARROW_TYPES, MALFORMED, from_text
from include.ingest_label.checks import MAX_ROW_BYTES, MAX_ROWS, check_columns, within
from include.ingest_label.source import Source
from include.use_cases.schema import Columns

_AS_JSON = ("int64", "float64", "bool")


def parse_json_lines(
    content: bytes, source: Source, columns: Columns, elsewhere: Collection[str] = ()
) -> pa.Table:
    """Read objects, one a line; a name that an object lacks is missing in that row."""
    source = replace(source, header_rows=0)
    path = source.path
    within(content.count(b"\n"), MAX_ROWS, "lines", path, "Split the file.")
    names = _names(content, path)
    there = [*names, *(name for name in columns if name not in names and _occurs(name, content))]
    check_columns(there, source, columns, elsewhere)
    kinds = {
        name: ARROW_TYPES[kind]
        if kind in _AS_JSON and not source.rules(name).given
        else pa.string()
        for name, kind in columns.items()
    }
    try:
        table = pa_json.read_json(
            pa.BufferReader(content),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema(list(kinds.items())),
                unexpected_field_behavior="ignore",
            ),
        )
    except MALFORMED as error:
        # Without the cause: its message may repeat a cell of any size, and would be logged too.
        raise DataContractError(
            f"{path}: must be one JSON object a line, each value of its column's type "
            f"({bounded(str(error), 300)}). Correct the file and land it again."
        ) from None
    arrays = [from_text(table[name], name, source, kind) for name, kind in columns.items()]
    return pa.table(arrays, names=list(columns))


def _names(content: bytes, path: str) -> list[str]:
    """Return the names of the first object."""
    line = content[: MAX_ROW_BYTES + 1].lstrip().split(b"\n", 1)[0]
    try:
        first = json.loads(line.decode("utf-8-sig")) if line else None
    except (ValueError, RecursionError) as error:
        raise DataContractError(
            f"{path}: must begin with a JSON object on one line "
            f"({bounded(str(error), 200)}). Land it as JSON lines."
        ) from None
    if not isinstance(first, dict):
        raise DataContractError(
            f"{path}: must begin with a JSON object on one line, but "
            f"{'is empty' if first is None else 'begins otherwise'}. Land it as JSON lines."
        )
    return list(first)


def _occurs(name: str, content: bytes) -> bool:
    """Whether some object has the name: a misspelt one would be missing in each row, silently."""
    return re.search(re.escape(json.dumps(name).encode()) + rb"\s*:", content) is not None
